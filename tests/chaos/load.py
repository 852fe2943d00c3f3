"""The clients: they create executions of all kinds, start, command, signal and stop them, and watch.

Each execution is commanded by one client, so that what a command found before it is known. What
the clients were told stands in the book; it is what the executions are held against in the end.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from tests.chaos.calls import AGAIN_S, Book, Caller
from tests.chaos.evidence import FINAL, Shown, Watch
from tests.chaos.flows import GO, Kind
from tests.chaos.watchers import Watcher, read_pages

#: Clients that create, and watchers, at most.
CLIENTS, MOST_WATCHERS = 3, 12
#: Enough for all of them.
MOST_THREADS = 64
#: How long (s) between two looks of a client at its execution.
LOOKS_EVERY_S = 0.8
#: How long (s) until an execution that was told to pause or step is looked at no more for that.
PAUSES_WITHIN_S = 120.0
#: One execution of so many is watched, read in pages, and forked in the end.
WATCHED, PAGED, FORKED = 2, 8, 6
#: Executions that wait for a signal until the end, and those that are stopped in one call.
HELD, ENDLESS = 60, 4

#: How often each kind is run.
WEIGHTS = {
    "short": 4,
    "row": 4,
    "long": 2,
    "wide": 3,
    "branch": 3,
    "queued": 3,
    "stumbling": 2,
    "stream": 2,
    "sum": 2,
    "timer": 3,
    "signal": 3,
    "emitting": 2,
    "deep": 3,
    "child": 2,
    "each": 2,
}


class Load:
    """All clients. `stop` ends the creating; whoever waits for an answer goes on insisting."""

    def __init__(self, url: str, kinds: Mapping[str, Kind], seed: int, alive: int) -> None:
        self._url = url
        self._kinds = kinds
        self._seed = seed
        self._is_stopped = threading.Event()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="client")
        self._under_way: list[Future[None]] = []
        self._watching = threading.Semaphore(MOST_WATCHERS)
        self._alive = threading.Semaphore(alive)
        self._numbers = itertools.count(1)
        self.book = Book()
        self.watches: list[Watch] = []
        self.held: list[str] = []

    def begin(self) -> None:
        """Have the clients come."""
        for number in range(CLIENTS):
            self._spawn(self._create_on, random.Random(f"{self._seed}/{number}"))
        self._spawn(self._stop_endless_ones, random.Random(f"{self._seed}/endless"))

    def hold(self) -> None:
        """Create executions that wait for a signal until they are let go."""
        body = {"items": [{"flowId": self._kinds["hold"].flow_id, "autostart": True}] * HELD}
        with Caller(self._url, self.book) as call:
            answer = call.create("/executions/batch", body, self._key())
        self.held = [item["id"] for item in answer["items"]] if answer else []
        self.book.add(self.held)

    def let_go(self) -> None:
        """Send those that were held what they wait for."""
        with Caller(self._url, self.book) as call:
            for place, execution_id in enumerate(self.held):
                call.signal(execution_id, GO, {"n": place}, self._key())

    def stop(self) -> None:
        """Create no more."""
        self._is_stopped.set()

    def join(self, within_s: float) -> bool:
        """Wait until every client has what it wants; whether that is so.

        Raises what a client failed with.
        """
        until = time.monotonic() + within_s
        while self._under_way and time.monotonic() < until:
            done, _ = wait(self._under_way[:1], max(0.0, until - time.monotonic()))
            for each in done:
                each.result()
                self._under_way.remove(each)
        return not self._under_way

    def give_up(self) -> None:
        """Have every client end, whatever it still wants."""
        self.stop()
        self.book.given_up.set()
        self._pool.shutdown(wait=False)

    # -- clients

    def _spawn(self, body: Callable[..., None], *args: object) -> None:
        self._under_way.append(self._pool.submit(body, *args))

    def _key(self) -> str:
        return f"chaos-{self._seed}-{next(self._numbers)}"

    def _create_on(self, dice: random.Random) -> None:
        with Caller(self._url, self.book) as call:
            while not self._is_stopped.is_set():
                if self._alive.acquire(timeout=AGAIN_S):
                    self._create(call, dice)
                self._is_stopped.wait(dice.random() * 0.3)

    def _create(self, call: Caller, dice: random.Random) -> None:
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        [name] = dice.choices(names, weights)
        kind = self._kinds[name]
        is_started = dice.random() < 0.7
        options: dict[str, Any] = {"priority": dice.randint(0, 9), "debug": dice.random() < 0.1}
        if kind.breakpoints and dice.random() < 0.2:
            options["breakpoints"] = list(kind.breakpoints)
        body = {"flowId": kind.flow_id, "autostart": is_started, "options": options}
        created = call.create("/executions", body, self._key())
        if created is None:
            self._alive.release()
            return
        self.book.add([created["id"]])
        if not dice.randrange(WATCHED):
            self._watch(created["id"])
        client = _Client(self, kind, created["id"], random.Random(dice.random()), self._key())
        self._spawn(self._see_through, client, is_started)

    def _watch(self, execution_id: str) -> None:
        if not self._watching.acquire(blocking=False):
            return
        watcher = Watcher(self._url, execution_id, self.book)
        self.watches.append(watcher.watch)

        def read() -> None:
            watcher.read()
            self._watching.release()

        self._spawn(read)

    def _see_through(self, client: _Client, is_started: bool) -> None:
        with Caller(self._url, self.book) as call:
            client.see_through(call, is_started=is_started)
        self._alive.release()

    def keep(self, watch: Watch) -> None:
        """Keep what somebody read in pages."""
        with self._lock:
            self.watches.append(watch)

    def _stop_endless_ones(self, dice: random.Random) -> None:
        """Create a few that never end by themselves, and stop them in one call."""
        item = {"flowId": self._kinds["endless"].flow_id, "autostart": True}
        with Caller(self._url, self.book) as call:
            while not self._is_stopped.is_set():
                answer = call.create("/executions/batch", {"items": [item] * ENDLESS}, self._key())
                ids = [each["id"] for each in answer["items"]] if answer else []
                self.book.add(ids)
                self._is_stopped.wait(dice.uniform(0.2, 6))
                if ids:
                    call.stop_all(ids)


class _Client:
    """Who has one execution started, commanded and ended."""

    def __init__(
        self, load: Load, kind: Kind, execution_id: str, dice: random.Random, key: str
    ) -> None:
        self._load = load
        self._book = load.book
        self._kind = kind
        self._id = execution_id
        self._dice = dice
        self._key = key

    def see_through(self, call: Caller, *, is_started: bool) -> None:
        """From its start to its end."""
        if not is_started:
            self._wait()
            call.command(self._id, "start")
        if self._kind.signals and self._dice.random() < 0.5:
            self._signal(call)
        self._dice.choices(
            (self._let_be, self._pause, self._step, self._stop, self._recover, self._prune),
            (6, 3, 2, 2, 1, 3 if self._kind.name == "deep" else 0),
        )[0](call)
        self._signal(call)
        self._have_it_end(call)
        if self._kind.is_plain and not self._dice.randrange(FORKED):
            self._fork(call)

    def _fork(self, call: Caller) -> None:
        """Have another execution take over what this one has come to, and end."""
        path = f"/executions/{self._id}/fork"
        forked = call.create(path, {"autostart": True}, f"{self._id}-fork")
        if forked is not None:
            self._book.count("forks")
            self._book.add([forked["id"]])
            self._id = forked["id"]
            self._have_it_end(call)

    def _have_it_end(self, call: Caller) -> None:
        while not self._book.given_up.wait(LOOKS_EVERY_S):
            if not self._dice.randrange(PAGED):
                self._load.keep(read_pages(call, self._id))
            shown = call.look(f"/executions/{self._id}")
            if shown.get("status") in FINAL:
                return
            if shown.get("status") == "paused":
                call.command(self._id, "resume", shown)

    def _wait(self) -> None:
        self._book.given_up.wait(self._dice.random() * 1.5)

    def _signal(self, call: Caller) -> None:
        """Send each signal that it waits for, once."""
        if self._kind.signals and self._key:
            call.signal(self._id, GO, {"key": self._key}, self._key)
            self._key = ""

    # -- what is done to it meanwhile

    def _let_be(self, call: Caller) -> None:
        """Nothing is done to it."""

    def _pause(self, call: Caller) -> None:
        """Pause it, and resume it: at once, or once it is paused."""
        self._wait()
        is_withdrawn = self._dice.random() < 0.3
        if call.command(self._id, "pause", is_withdrawn=is_withdrawn) is None:
            return
        if is_withdrawn:
            call.command(self._id, "resume")
        else:
            self._await_pause(call)

    def _step(self, call: Caller) -> None:
        """Pause it, and go on by steps for a while."""
        self._wait()
        if call.command(self._id, "pause") is None:
            return
        for _ in range(self._dice.choice((1, 2, 4))):
            paused = self._await_pause(call)
            if paused is None or call.command(self._id, "step", paused) is None:
                return

    def _stop(self, call: Caller) -> None:
        self._wait()
        self._wait()
        call.command(self._id, "stop")

    def _recover(self, call: Caller) -> None:
        self._wait()
        call.command(self._id, "recover")

    def _prune(self, call: Caller) -> None:
        """Stop one of its children, with all that descends from it."""
        self._wait()
        tree = call.look(f"/executions/{self._id}/tree").get("items", [])
        branches = [item["id"] for item in tree if item["level"] == 1]
        if branches:
            call.command(self._dice.choice(branches), "stop")

    def _await_pause(self, call: Caller) -> Shown | None:
        """Wait until it is paused; nothing if it ends, or does not pause."""
        until = time.monotonic() + PAUSES_WITHIN_S
        while time.monotonic() < until and not self._book.given_up.wait(AGAIN_S):
            shown = call.look(f"/executions/{self._id}")
            if shown.get("status") == "paused":
                return shown
            if shown.get("status") in FINAL:
                return None
        return None
