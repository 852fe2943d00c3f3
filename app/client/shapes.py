"""What the API answers with, typed. `raw` is the JSON as it came, with everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: A decoded JSON object.
Json = Mapping[str, Any]

#: The statuses that an execution never leaves.
FINAL = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what was sent: where (a JSON pointer) and what."""

    pointer: str
    message: str

    @classmethod
    def from_json(cls, raw: Json) -> Fault:
        """Read one of a problem's `errors`, or of a flow's warnings."""
        return cls(str(raw["pointer"]), str(raw["message"]))


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow at one version; `document` is None in lists."""

    id: str
    version: int
    name: str
    owner_id: str
    created_at: datetime
    updated_at: datetime
    document: Json | None
    warnings: tuple[Fault, ...]
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Flow:
        """Read a Flow."""
        return cls(
            id=raw["id"],
            version=raw["version"],
            name=raw["name"],
            owner_id=raw["ownerId"],
            created_at=datetime.fromisoformat(raw["createdAt"]),
            updated_at=datetime.fromisoformat(raw["updatedAt"]),
            document=raw.get("document"),
            warnings=faults(raw.get("warnings", ())),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Validation:
    """What a check of a document found; it can be stored if there are no errors."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]

    @property
    def is_valid(self) -> bool:
        """Whether the document can be stored."""
        return not self.errors

    @classmethod
    def from_json(cls, raw: Json) -> Validation:
        """Read what a check found."""
        return cls(faults(raw["errors"]), faults(raw["warnings"]))


@dataclass(frozen=True, slots=True)
class Progress:
    """How many nodes an execution has, and how many of them are settled."""

    total: int
    completed: int
    failed: int
    skipped: int

    @property
    def settled(self) -> int:
        """How many nodes are done with, in whatever way."""
        return self.completed + self.failed + self.skipped

    @classmethod
    def from_json(cls, raw: Json) -> Progress:
        """Read an execution's progress."""
        return cls(raw["total"], raw["completed"], raw["failed"], raw["skipped"])


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as it was when it was asked for; `outputs` is None until it is completed."""

    id: str
    flow_id: str
    flow_version: int
    status: str
    requested: str | None
    waiting: Json | None
    progress: Progress
    outputs: Json | None
    error_message: str | None
    error_node_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    last_event_index: int
    raw: Json = field(repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in FINAL

    @classmethod
    def from_json(cls, raw: Json) -> Execution:
        """Read an Execution."""
        return cls(
            id=raw["id"],
            flow_id=raw["flowId"],
            flow_version=raw["flowVersion"],
            status=raw["status"],
            requested=raw["requested"],
            waiting=raw["waiting"],
            progress=Progress.from_json(raw["progress"]),
            outputs=raw["outputs"],
            error_message=raw["errorMessage"],
            error_node_id=raw["errorNodeId"],
            created_at=datetime.fromisoformat(raw["createdAt"]),
            started_at=_time(raw["startedAt"]),
            completed_at=_time(raw["completedAt"]),
            last_event_index=raw["lastEventIndex"],
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A node of an execution; in lists, large values are left out and named."""

    id: str
    type: str
    status: str
    attempt: int
    inputs: Json | None
    outputs: Json | None
    error: Json | None
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Node:
        """Read a Node."""
        names = ("id", "type", "status", "attempt", "inputs", "outputs", "error")
        return cls(**{name: raw[name] for name in names}, raw=raw)


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many executions a filter matched, and how many of them take the command."""

    matched: int
    accepted: int

    @classmethod
    def from_json(cls, raw: Json) -> Accepted:
        """Read the answer to a command to many."""
        return cls(raw["matched"], raw["accepted"])


@dataclass(frozen=True, slots=True)
class Root:
    """A root execution with the size of its tree: levels and executions, itself counted."""

    execution: Execution
    levels: int
    total_nested: int

    @classmethod
    def from_json(cls, raw: Json) -> Root:
        """Read an item of a flow's executions."""
        return cls(Execution.from_json(raw["execution"]), raw["levels"], raw["totalNested"])


@dataclass(frozen=True, slots=True)
class Member:
    """An execution in a tree, whose top is on level 0."""

    execution: Execution
    parent_id: str | None
    level: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Member:
        """Read an item of a tree."""
        return cls(Execution.from_json(raw["execution"]), raw["parentId"], raw["level"], raw)


@dataclass(frozen=True, slots=True)
class Recovery:
    """One time that an execution was taken from its owner, and why."""

    recovered_at: datetime
    recovered_by_worker: str
    reason: str
    previous_status: str
    previous_worker_id: str | None
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Recovery:
        """Read an item of an execution's recoveries."""
        return cls(
            recovered_at=datetime.fromisoformat(raw["recoveredAt"]),
            recovered_by_worker=raw["recoveredByWorker"],
            reason=raw["recoveryReason"],
            previous_status=raw["previousStatus"],
            previous_worker_id=raw["previousWorkerId"],
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in an execution; indexes run -1, 0, 1, … without a gap."""

    index: int
    type: str
    timestamp: datetime
    execution_id: str
    data: Json
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Event:
        """Read an event's envelope."""
        return cls(
            index=raw["index"],
            type=raw["type"],
            timestamp=datetime.fromisoformat(raw["timestamp"]),
            execution_id=raw["executionId"],
            data=raw["data"],
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class NodeType:
    """A type of the node catalogue; `ports` are as the API writes them."""

    type: str
    category: str
    title: str
    description: str
    deprecated: bool
    effects: bool
    ports: tuple[Json, ...]
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> NodeType:
        """Read a node type."""
        names = ("type", "category", "title", "description", "deprecated", "effects")
        return cls(**{name: raw[name] for name in names}, ports=tuple(raw["ports"]), raw=raw)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret: what it is called and what it is for, never what it holds."""

    id: str
    name: str
    secret_type: str
    owner_id: str
    created_at: datetime
    updated_at: datetime
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Secret:
        """Read a Secret."""
        return cls(
            id=raw["id"],
            name=raw["name"],
            secret_type=raw["secretType"],
            owner_id=raw["ownerId"],
            created_at=datetime.fromisoformat(raw["createdAt"]),
            updated_at=datetime.fromisoformat(raw["updatedAt"]),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that is alive; `active` are the executions there that the caller sees."""

    id: str
    hostname: str
    pid: int
    pool: str
    concurrency: int
    queues: tuple[str, ...]
    active: tuple[str, ...]
    status: str
    started_at: datetime
    last_heartbeat_at: datetime
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: Json) -> Worker:
        """Read a Worker."""
        return cls(
            id=raw["workerId"],
            hostname=raw["hostname"],
            pid=raw["pid"],
            pool=raw["pool"],
            concurrency=raw["concurrency"],
            queues=tuple(raw["queues"]),
            active=tuple(raw["active"]),
            status=raw["status"],
            started_at=datetime.fromisoformat(raw["startedAt"]),
            last_heartbeat_at=datetime.fromisoformat(raw["lastHeartbeatAt"]),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the API can serve: `up`, `down` or `unused` servers, and whether the schema fits."""

    status: str
    postgres: str
    redis: str
    schema: str

    @property
    def is_ready(self) -> bool:
        """Whether it can serve."""
        return self.status == "ok"

    @classmethod
    def from_json(cls, raw: Json) -> Health:
        """Read the answer of `/health/ready`."""
        return cls(raw["status"], raw["postgres"], raw["redis"], raw["schema"])


def faults(raw: Any) -> tuple[Fault, ...]:
    """Read a list of errors or warnings."""
    return tuple(Fault.from_json(each) for each in raw)


def _time(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)
