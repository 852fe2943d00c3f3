"""All that is known of a time of chaos once it is over, seen from outside: values alone.

Times are seconds since the epoch. Everything runs on one machine, so its clock is PostgreSQL's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.chaos.flows import Kind

FINAL = frozenset({"completed", "failed", "stopped"})
TERMINAL = {f"execution:{status}" for status in FINAL}

Shown = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """An execution as PostgreSQL holds it in the end."""

    id: str
    flow_id: str
    status: str
    parent: str | None
    root: str
    parent_node: str | None
    created_at: float
    completed_at: float | None


@dataclass
class Story:
    """An execution as REST and PostgreSQL tell it in the end."""

    row: Row
    shown: Shown
    events: list[dict[str, Any]]
    nodes: dict[str, dict[str, Any]]
    #: Index, type and data of each event in PostgreSQL.
    log: list[tuple[int, str, Any]]
    #: Why it was taken from an owner, each time.
    recoveries: list[str]

    @property
    def id(self) -> str:
        """The execution."""
        return self.row.id

    @property
    def event(self) -> str | None:
        """The event that drives it."""
        given = self.shown["externalEvents"] or []
        return given[0]["eventName"] if given else None

    @property
    def taken_over(self) -> list[str]:
        """Of a fork: the nodes whose results it has from elsewhere."""
        return list(self.events[0]["data"].get("takenOver", ())) if self.events else []

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        """Its events of these types, in order."""
        return [each for each in self.events if each["type"] in types]

    def attempts(self) -> dict[str, list[int]]:
        """The attempts of each node, in the order in which they started."""
        found: dict[str, list[int]] = {}
        for each in self.of_type("node:started"):
            found.setdefault(each["data"]["nodeId"], []).append(each["data"]["attempt"])
        return found


@dataclass(frozen=True)
class Answer:
    """A command that was answered with 2xx."""

    execution_id: str
    command: str
    #: When the answer was there.
    at: float
    #: What the client had seen last before it, if anything; what the answer showed.
    before: Shown | None
    shown: Shown
    payload: object = None
    #: Whether the next command may have taken it back before it was effective.
    is_withdrawn: bool = False


@dataclass
class Watch:
    """What one reader of an execution's events has read, whatever broke in between."""

    execution_id: str
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: The statuses of the end frames that came.
    ends: list[str] = field(default_factory=list)
    #: Whether it is to have read all of it.
    is_whole: bool = True


@dataclass
class Sightings:
    """What somebody saw who looked at PostgreSQL all the time."""

    #: Who held a claim: by execution, node, attempt and epoch.
    owners: dict[tuple[str, str, int, int], set[str]] = field(default_factory=dict)
    #: Final rows, as they were seen first: status, epoch, index of the last event, end.
    finals: dict[str, tuple[object, ...]] = field(default_factory=dict)
    #: Checkpoints of completed nodes, as they were seen first, by execution and node.
    checkpoints: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    #: Counts that went back, in a sentence each.
    retreats: list[str] = field(default_factory=list)
    #: Executions that waited and were claimed.
    idle_owners: set[str] = field(default_factory=set)
    #: The most that was claimed at once.
    most_claimed: int = 0
    #: The longest time (s) that nothing moved though something was to; one that was, and when.
    longest_stall: tuple[float, str] = (0.0, "")
    looks: int = 0


@dataclass(frozen=True)
class Quiet:
    """What was held while nothing was left but executions that wait."""

    waiting: int
    claims: int
    slots: int
    active: int
    connections: int


@dataclass
class Evidence:
    """All of it."""

    kinds: Mapping[str, Kind]
    #: The executions that were answered with 201.
    created: list[str]
    stories: dict[str, Story]
    answers: list[Answer]
    watches: list[Watch]
    #: When effects came, by execution and node.
    effects: Mapping[str, Mapping[str, list[float]]]
    sightings: Sightings
    #: The same as in the sightings, as it stands in the end.
    finals: Mapping[str, tuple[object, ...]]
    checkpoints: Mapping[tuple[str, str], tuple[object, ...]]
    #: When some process was frozen, from and to.
    frozen: list[tuple[float, float]]
    quiet: Quiet | None
    #: How many claims were active once all was over.
    claims_left: int = 0
    #: QUEUE_CONCURRENCY; 0 for none.
    limit: int = 0
    #: What clients were told that nobody should be told.
    complaints: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    #: What stands in the logs as an error, and how often: for people to look at.
    log_errors: Counter[str] = field(default_factory=Counter)

    def kind_of(self, story: Story) -> Kind:
        """What flow it runs."""
        return self._kinds_by_flow[story.row.flow_id]

    def children_of(self, execution_id: str) -> list[Story]:
        """The executions that it made."""
        return self._stories_by_parent.get(execution_id, [])

    def family_of(self, execution_id: str) -> Iterator[Story]:
        """The execution and all that descends from it."""
        if story := self.stories.get(execution_id):
            yield story
        for child in self.children_of(execution_id):
            yield from self.family_of(child.id)

    @cached_property
    def _kinds_by_flow(self) -> dict[str, Kind]:
        return {kind.flow_id: kind for kind in self.kinds.values()}

    @cached_property
    def _stories_by_parent(self) -> dict[str, list[Story]]:
        found: dict[str, list[Story]] = {}
        for story in self.stories.values():
            if story.row.parent:
                found.setdefault(story.row.parent, []).append(story)
        return found
