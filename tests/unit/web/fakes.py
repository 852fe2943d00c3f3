"""Services that remember what they were asked, in place of those that need a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.caller import Caller
from app.errors import NotFound
from app.executions.flows import Changed, Checked, FlowPage, Stored
from app.executions.listings import Page
from app.executions.service import EventPage, NewExecution
from app.nodes.spec import NodeSpec
from app.store.bulk import BulkFilter, Recorded
from app.values.ports import Direction, PortConfig, PortType
from web.services import HealthCheck, Services


def text_node() -> NodeSpec:
    ports = {"text": PortConfig(PortType.STRING, Direction.PASSTHROUGH, default="")}
    return NodeSpec("TextNode", "basic-values", ports, lambda inputs, _: inputs, title="Text")


@dataclass
class FakeFlows:
    versions: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None

    def store(self, raw: Any, caller: Caller) -> dict[str, Any]:
        self._raise()
        flow_id = raw.get("id", "V2fresh")
        self.versions[flow_id] = self.versions.get(flow_id, 0) + 1
        return self._flow(flow_id, caller)

    def replace(self, flow_id: str, raw: Any, caller: Caller, expected: Any) -> Stored | Changed:
        self.get(flow_id, caller)
        if expected is not None and self.versions[flow_id] not in expected:
            return Changed(self.versions[flow_id])
        return Stored(self.store({**raw, "id": flow_id}, caller))

    def validate(self, raw: Any, owner: str) -> Checked:
        return Checked((), ())

    def get(self, flow_id: str, caller: Caller, version: int | None = None) -> dict[str, Any]:
        self._raise()
        if flow_id not in self.versions:
            raise NotFound
        return self._flow(flow_id, caller)

    def page(self, caller: Caller, limit: int, before: Any) -> FlowPage:
        return FlowPage([], None)

    def hide(self, flow_id: str, caller: Caller) -> None:
        self.get(flow_id, caller)

    def _raise(self) -> None:
        if self.error:
            raise self.error

    def _flow(self, flow_id: str, caller: Caller) -> dict[str, Any]:
        document = {"id": flow_id, "metadata": {"name": "a"}, "nodes": [], "edges": []}
        version = self.versions[flow_id]
        return {"id": flow_id, "version": version, "ownerId": caller.owner_id, "document": document}


@dataclass
class FakeExecutions:
    created: list[NewExecution] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)

    def create(
        self, requests: Sequence[NewExecution], caller: Caller, pointer_prefix: Callable[[int], str]
    ) -> list[dict[str, Any]]:
        self.created.extend(requests)
        self.pointers = [pointer_prefix(index) for index in range(len(requests))]
        return [{"id": f"EX{index}"} for index in range(len(requests))]

    def start(self, execution_id: str, caller: Caller) -> dict[str, Any]:
        return {"id": execution_id, "requested": "start"}

    def get(self, execution_id: str, caller: Caller) -> dict[str, Any]:
        raise NotFound

    def nodes(self, execution_id: str, caller: Caller, **asked: Any) -> list[dict[str, Any]]:
        self.asked = asked
        return self.listed[asked["offset"] : asked["offset"] + asked["limit"]]

    def node(self, execution_id: str, caller: Caller, node_id: str) -> dict[str, Any]:
        return {"id": node_id}

    def events(self, execution_id: str, caller: Caller, **asked: Any) -> EventPage:
        self.asked = asked
        return EventPage(events=[], next_index=asked["from_index"], end=False)


@dataclass
class FakeListings:
    asked: dict[str, Any] = field(default_factory=dict)
    after: Any = None

    def executions(self, caller: Caller, **asked: Any) -> Page[Any]:
        self.asked = asked
        return Page([], self.after)

    def roots(self, flow_id: str, caller: Caller, **asked: Any) -> Page[Any]:
        return self.executions(caller, **asked)

    def tree(self, execution_id: str, caller: Caller, **asked: Any) -> Page[Any]:
        return self.executions(caller, **asked)

    def recoveries(self, execution_id: str, caller: Caller, **asked: Any) -> Page[Any]:
        return self.executions(caller, **asked)


@dataclass
class FakeBulk:
    asked: list[tuple[str, BulkFilter]] = field(default_factory=list)

    def command(self, caller: Caller, action: str, wanted: BulkFilter) -> Recorded:
        self.asked.append((action, wanted))
        return Recorded(7, 5)


@dataclass
class FakeWorkers:
    alive: list[dict[str, Any]] = field(default_factory=list)

    def list(self, caller: Caller) -> list[dict[str, Any]]:
        return self.alive


def fake_services(**replaced: Any) -> Services:
    parts: dict[str, Any] = {
        "flows": FakeFlows(),
        "secrets": None,
        "executions": FakeExecutions(),
        "creation": None,
        "forking": None,
        "takeover": None,
        "control": None,
        "signalling": None,
        "bulk": FakeBulk(),
        "listings": FakeListings(),
        "workers": FakeWorkers(),
        "catalogue": {"TextNode": text_node()},
        "health": HealthCheck("r1", lambda: ["r1"], lambda: True),
    }
    return Services(**{**parts, **replaced})
