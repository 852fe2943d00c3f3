"""A worker process's part that runs executions, without a broker: runs, lanes, a store."""

from __future__ import annotations

import copy
import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.executions.executor import Executor
from app.executions.lanes import Lanes
from app.executions.plans import PlanCache
from app.executions.run import Run, RunEnd
from app.executions.surroundings import Surroundings
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, spec_of
from app.recovery.leases import LeaseKeeper
from app.store.database import Database
from app.store.leases import PgLeaseStore
from app.store.protocol import RunStore
from app.store.records import WorkerRow
from app.store.runs import PgRunStore
from tests.world import OPTIONS, PgWorld

LEASE_MS = 10_000
MAX_VALUE_BYTES = 1024 * 1024


@dataclass
class CountingStore:
    """A run store that counts what it is asked."""

    store: RunStore
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def counted(*args: Any) -> Any:
            self.calls.append(name)
            return method(*args)

        return counted

    @property
    def writes(self) -> int:
        return self.calls.count("write")


class LeapingClock:
    """The monotonic clock, which a node may set ahead: nobody waits for a limit, or misses it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s

    def leap(self, ctx: NodeContext, seconds: float) -> None:
        """Have so much time pass at once, and the run of the node look at the clock."""
        self.ahead_s += seconds
        ctx.log("time has passed")


class Process:
    """Claims and runs, as a worker does; what it publishes is kept in `published`."""

    def __init__(self, world: PgWorld, worker_id: str = "w1", url: str | None = None) -> None:
        self.world = world
        self.worker_id = worker_id
        self.database = Database(url or world.database.url, pool_size=2)
        self.store = CountingStore(PgRunStore(self.database))
        #: (execution, first index, types)
        self.published: list[tuple[str, int, list[str]]] = []
        self.lanes = Lanes()
        self._tokens = itertools.count(1)
        self._driven: list[Driven] = []

    def around(self, *targets: Callable[..., Any], **more: Any) -> Surroundings:
        """What runs share; `targets` are node functions beside the built-in ones."""
        own = {spec.type: spec for target in targets if (spec := spec_of(target))}
        return replace(
            Surroundings(
                store=self.store,  # type: ignore[arg-type]
                publish=self.publish,
                plans=PlanCache({**builtin_catalogue(), **own}),
                launch=lambda step: self.lanes.run(step.run),
                clock=time.monotonic,
                pause=time.sleep,
                lease_s=LEASE_MS / 1000,
                max_value_bytes=MAX_VALUE_BYTES,
                is_draining=lambda: False,
            ),
            **more,
        )

    def claim(self, around: Surroundings, execution_id: str) -> Run:
        token = f"{self.worker_id} {next(self._tokens)}"
        claimed = around.store.claim(self.worker_id, token, LEASE_MS, execution_id)
        assert claimed is not None
        return Run(claimed, around, around.clock())

    def run(self, execution_id: str, *targets: Callable[..., Any], **more: Any) -> RunEnd:
        """Claim an execution and drive it."""
        around = self.around(*targets, **more)
        return self.claim(around, execution_id).drive()

    def start(self, run: Run) -> Driven:
        """Drive a run in a thread of its own."""
        driven = Driven(run)
        self._driven.append(driven)
        return driven

    def executor(self, around: Surroundings, **more: Any) -> Executor:
        return Executor(
            self.worker_id, LEASE_MS, lambda: around, lambda: f"token {next(self._tokens)}", **more
        )

    def keeper(self, running: Callable[[], Sequence[Any]]) -> LeaseKeeper:
        row = WorkerRow(
            self.worker_id, None, "host", 1, "threads", 1, ["default"], LEASE_MS, hash(self)
        )
        return LeaseKeeper(
            PgLeaseStore(self.database, row), running, heartbeat_s=0.05, lease_s=LEASE_MS / 1000
        )

    def publish(self, execution_id: str, first_index: int, lines: Sequence[bytes]) -> None:
        types = [json.loads(line)["type"] for line in lines]
        self.published.append((execution_id, first_index, types))

    def published_types(self) -> list[str]:
        return [type_ for _, _, types in self.published for type_ in types]

    def end(self) -> None:
        # Closed under a run that uses it, a connection takes the whole process down.
        if not any(driven.is_alive for driven in self._driven):
            self.store.close()
        self.database.engine.dispose()


class Driven:
    """A run that is being driven in a thread."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._end: RunEnd | None = None
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self._thread.start()

    def _drive(self) -> None:
        self._end = self.run.drive()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self, within_s: float = 60.0) -> RunEnd:
        self._thread.join(within_s)
        assert self._end is not None, "the run did not end"
        return self._end


def options(debug: bool = False, **execution: Any) -> str:
    made = copy.deepcopy(OPTIONS)
    made["debug"] = debug
    made["execution"] |= execution
    return json.dumps(made)


def node(node_id: str, type_: str = "TextNode", **more: Any) -> dict[str, Any]:
    return {"id": node_id, "type": type_, **more}


def chain(*nodes: dict[str, Any], port: str = "text") -> dict[str, Any]:
    """Nodes in a row, each port feeding the same port of the next."""
    pairs = itertools.pairwise(each["id"] for each in nodes)
    edges = [
        {"source": f"{source}.{port}", "target": f"{target}.{port}"} for source, target in pairs
    ]
    return flow(*nodes, edges=edges)


def flow(*nodes: dict[str, Any], edges: Sequence[dict[str, str]] = ()) -> dict[str, Any]:
    return {"metadata": {"name": "test"}, "nodes": list(nodes), "edges": list(edges)}


def execution_of(world: PgWorld, document: dict[str, Any], **more: Any) -> str:
    """Store a flow and create a started execution of it."""
    flow_id = f"V2{world.one('SELECT count(*) FROM chaingraph_flows')}"
    world.store_flow(document, flow_id)
    return world.create(flow_id=flow_id, nodes_total=len(document["nodes"]), **more)


def told(world: PgWorld, execution_id: str) -> list[str]:
    """Its events in order, as `index type node`, the indexes checked for gaps."""
    events = world.events(execution_id)
    assert [index for index, _, _ in events] == list(range(-1, len(events) - 1))
    return [f"{type_} {json.loads(data).get('nodeId', '')}".strip() for _, type_, data in events]


def checkpoints(world: PgWorld, execution_id: str) -> dict[str, Any]:
    rows = world.execute(
        "SELECT * FROM chaingraph_checkpoints WHERE execution_id = %s ORDER BY seq", execution_id
    )
    return {row.node_id: row for row in rows}


def pass_time(world: PgWorld, execution: str, ms: int) -> None:
    """As if so much time had passed: what is due by then is due now."""
    for table, column, key in (
        ("chaingraph_checkpoints", "retry_at", "execution_id"),
        ("chaingraph_executions", "wake_at", "id"),
    ):
        world.execute(
            f"UPDATE {table} SET {column} = {column} - %s * interval '1 ms' WHERE {key} = %s",
            ms,
            execution,
        )


def assert_due(world: PgWorld, execution: str, at: datetime) -> None:
    """Its timer is the one that was due then: a new one would be half a minute later."""
    assert abs((world.row(execution).wake_at - at).total_seconds()) < 15
