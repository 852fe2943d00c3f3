"""What a time of chaos did and found: for people, as a line of a table, and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.evidence import Evidence, Story
from tests.chaos.losses import Tally
from tests.chaos.place import Plan
from tests.chaos.verdict import Fault

#: Broken promises that are shown.
SHOWN = 20


@dataclass(frozen=True)
class Report:
    """Everything in plain values. Times are seconds."""

    seed: int
    pool: str
    dispatch: str
    limit: int
    #: How long things were lost.
    seconds: float
    losses: dict[str, int]
    #: Processes killed with SIGKILL, by what they were.
    kills: dict[str, int]
    #: Messages dropped, doubled and sent again.
    messages: dict[str, int]
    #: Executions by status; how many of them are children.
    executions: dict[str, int]
    children: int
    recoveries: dict[str, int]
    effects: int
    #: Effects that happened more than once, under one key.
    repeated_effects: int
    watches: int
    #: What clients counted: answers by command, calls and sockets that broke, events read.
    clients: dict[str, int]
    #: The longest time that nothing moved though something was to; one that was, and when.
    longest_stall: float
    stalled: str
    #: Errors in the logs, by what they say.
    log_errors: dict[str, int]
    violations: list[dict[str, Any]]
    #: The logs of the executions that the violations name.
    stories: dict[str, list[str]]

    @property
    def kills_in_all(self) -> int:
        """How many processes were killed."""
        return sum(self.kills.values())

    @property
    def executions_in_all(self) -> int:
        """How many executions there were."""
        return sum(self.executions.values())

    def as_json(self) -> dict[str, Any]:
        """The same for `json.dumps`."""
        return asdict(self)


def report(plan: Plan, tally: Tally, evidence: Evidence, found: Sequence[Fault]) -> Report:
    """Sum up."""
    stories = evidence.stories.values()
    times = [len(each) for nodes in evidence.effects.values() for each in nodes.values()]
    stall, stalled = evidence.sightings.longest_stall
    return Report(
        seed=plan.seed,
        pool=plan.pool,
        dispatch=plan.dispatch,
        limit=plan.limit,
        seconds=plan.seconds,
        losses=dict(tally.losses.most_common()),
        kills=dict(tally.kills.most_common()),
        messages=dict(tally.messages),
        executions=dict(Counter(story.row.status for story in stories)),
        children=sum(story.row.parent is not None for story in stories),
        recoveries=dict(Counter(why for story in stories for why in story.recoveries)),
        effects=len(times),
        repeated_effects=sum(each > 1 for each in times),
        watches=len(evidence.watches),
        clients=dict(sorted(evidence.counts.items())),
        longest_stall=round(stall, 1),
        stalled=stalled,
        log_errors=dict(evidence.log_errors.most_common()),
        violations=[asdict(each) for each in found],
        stories={
            story.id: list(_told(story, evidence))
            for story in stories
            if any(story.id in each.text for each in found[:SHOWN])
        },
    )


def lines(told: Report) -> Iterable[str]:
    """For people."""
    yield f"lost: {_listed(told.losses)}"
    yield f"killed with SIGKILL: {told.kills_in_all} processes ({_listed(told.kills)})"
    yield f"messages: {_listed(told.messages)}"
    yield (
        f"executions: {told.executions_in_all} ({_listed(told.executions)}),"
        f" {told.children} of them children"
    )
    yield f"taken from lost workers: {_listed(told.recoveries)}"
    yield f"effects: {told.effects}, more than once: {told.repeated_effects}"
    yield f"watched: {told.watches}; clients: {_listed(told.clients)}"
    yield f"longest stall: {told.longest_stall} s ({told.stalled})"
    yield f"errors in the logs: {_listed(told.log_errors)}"
    for each in told.violations[:SHOWN]:
        yield f"BROKEN {each['promise']}: {each['text']}"
    for story in told.stories.values():
        yield from story
    yield f"{len(told.violations)} broken promises"


def _told(story: Story, evidence: Evidence) -> Iterable[str]:
    kind = evidence.kind_of(story)
    yield f"{kind.name}, {story.row.status}, taken over: {story.recoveries}, {story.shown}"
    for each in story.events:
        data = {
            name: each["data"].get(name) for name in ("nodeId", "attempt", "reason", "workerId")
        }
        yield f"{each['timestamp']} {each['index']} {each['type']} {data}"
    for node, times in evidence.effects.get(story.id, {}).items():
        yield f"effects of {node}: {times}"
    for answer in evidence.answers:
        if answer.execution_id == story.id:
            yield f"{answer.at} {answer.command} {answer.shown}"


HEAD = (
    "| seed | pool | steps | s | losses | processes killed | executions | taken over"
    " | effects, repeated | events watched | longest stall (s) | broken promises |"
)


def table(reports: Sequence[Report]) -> Iterable[str]:
    """A Markdown table with a line for each, and one for all."""
    yield HEAD
    yield "|" + "---|" * (HEAD.count("|") - 1)
    for each in reports:
        yield _row([str(each.seed), each.pool, each.dispatch], [each])
    yield _row(["all", "", ""], reports)


def _row(begin: Sequence[str], reports: Sequence[Report]) -> str:
    cells = [
        sum(each.seconds for each in reports),
        sum(sum(each.losses.values()) for each in reports),
        sum(each.kills_in_all for each in reports),
        sum(each.executions_in_all for each in reports),
        sum(sum(each.recoveries.values()) for each in reports),
        f"{sum(e.effects for e in reports):,}, {sum(e.repeated_effects for e in reports):,}",
        sum(each.clients.get("events watched", 0) for each in reports),
        max((each.longest_stall for each in reports), default=0.0),
        sum(len(each.violations) for each in reports),
    ]
    shown = [each if isinstance(each, str) else f"{each:,}" for each in cells]
    shown[0] = f"{cells[0]:,.0f}"
    return "| " + " | ".join([*begin, *shown]) + " |"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
