"""An execution while it runs, event by event: as JSON lines, or for people with a bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.cli.event_lines import event_line
from app.cli.output import print_json
from app.client import Event

#: The events after which a node may be done with.
SETTLING = ("node:completed", "node:skipped", "node:failed")

_STYLES = {"completed": "green", "failed": "red", "skipped": "dim", "stopped": "yellow"}


class Passed(Iterator[Event]):
    """Events on their way to a reader; knows what comes after those that were shown."""

    def __init__(self, events: Iterator[Event], from_index: int) -> None:
        self._events = events
        self._handed_out: Event | None = None
        #: Where to go on: who asks for an event has shown the one before.
        self.next_index = from_index

    def __next__(self) -> Event:
        if self._handed_out is not None:
            self.next_index = self._handed_out.index + 1
        self._handed_out = next(self._events)
        return self._handed_out


def print_events_as_json(events: Iterable[Event]) -> None:
    """Print each event as a line of JSON."""
    for event in events:
        print_json(dict(event.raw))


def print_events(events: Iterable[Event]) -> None:
    """Print each event as a line."""
    console = Console(soft_wrap=True, highlight=False)
    for event in events:
        console.print(_styled(event))


def print_events_with_bar(events: Iterable[Event], nodes_total: int, name: str) -> None:
    """Print each event as a line; on a terminal a bar beneath shows how far it is."""
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        print_events(events)
        return
    with _bar(console) as bar:
        task = bar.add_task(name, total=nodes_total)
        for event in events:
            console.print(_styled(event))
            if settles_node(event):
                bar.advance(task)


def show_progress(events: Iterable[Event], nodes_total: int, name: str) -> None:
    """Show how far it is, on the terminal beside the answer, until the events end."""
    with _bar(Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=nodes_total)
        for event in events:
            if settles_node(event):
                bar.advance(task)


def settles_node(event: Event) -> bool:
    """Whether a node is done with, after this event."""
    match event.type:
        case "node:completed" | "node:skipped":
            return True
        case "node:failed":
            return not event.data.get("willRetry")
        case _:
            return False


def _styled(event: Event) -> Text:
    return Text(event_line(event), style=_STYLES.get(event.type.partition(":")[2], ""))


def _bar(console: Console, *, transient: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=transient,
    )
