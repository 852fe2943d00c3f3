"""The programming interface of the original ChainGraph, over whichever mode is set.

`get_execution_service()`, `get_execution_store()`, `get_event_bus()` and `get_task_queue()`
give one of each for the process. They stand on the use cases that REST stands on: what a
call raises is in app.errors (NotFound, Conflict, ValidationFailed, StoreUnavailable).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.caller import LOCAL
from app.client.shapes import Execution, Member, Root
from app.config import Settings, load_settings
from app.errors import Conflict, NotFound
from app.executions.creation import Created
from app.executions.forking import NewFork
from app.executions.options import complete, external_events
from app.executions.service import Dispatcher, NewExecution
from app.store.appending import EventAppender
from app.streams.hub import Hub
from app.streams.relay import End, Gone, Wanted
from app.values.ports import Value
from web.event_bus import EventBus
from web.parts import Parts, parts_of
from web.services import Services

#: A wait for the end looks up so often (s).
LOOK_EVERY_S = 0.5


class ExecutionService:
    """Creates executions and commands them, as `POST /executions` and its commands do."""

    def __init__(self, services: Services, hub: Hub) -> None:
        self._services = services
        self._hub = hub

    def create(
        self,
        flow: str | Mapping[str, Any],
        *,
        flow_version: int | None = None,
        inputs: Mapping[str, Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        integration: Value = None,
        events: Sequence[Mapping[str, Any]] = (),
        autostart: bool = False,
    ) -> Execution:
        """Create an execution of a flow: of one that is stored, or of a document, stored first.

        Of `events`, `{eventName, payload?}` each, the first drives it, and each further one
        becomes a child at its start.
        """
        flow_id = flow if isinstance(flow, str) else ""
        if not isinstance(flow, str):
            stored = self._services.flows.store(dict(flow), LOCAL)
            flow_id, flow_version = stored["id"], stored["version"]
        wanted = NewExecution(
            flow_id=flow_id,
            flow_version=flow_version,
            inputs={node: dict(values) for node, values in (inputs or {}).items()},
            options=complete(options or {}),
            integration=integration,
            events=external_events(events),
            autostart=autostart,
        )
        [created] = self._services.executions.create([wanted], LOCAL, lambda _: "")
        return Execution.from_json(created)

    def fork(
        self,
        execution_id: str,
        *,
        from_node_id: str | None = None,
        flow_version: int | None = None,
        inputs: Mapping[str, Mapping[str, Any]] | None = None,
        options: Mapping[str, Any] | None = None,
        autostart: bool = False,
    ) -> Execution:
        """Create an execution that takes over what another has come to, in whatever status.

        Without `from_node_id` that is every completed node; with it, all that doesn't depend on
        that node. What `inputs` and `options` don't name is as it was.
        """
        wanted = NewFork(
            from_node_id=from_node_id,
            flow_version=flow_version,
            inputs={node: dict(values) for node, values in (inputs or {}).items()},
            options=options,
            autostart=autostart,
        )
        match self._services.forking.fork(execution_id, wanted, LOCAL):
            case Created([forked]):
                return Execution.from_json(forked)
            case _:
                raise AssertionError("without a key nothing was there before")

    def start(self, execution_id: str) -> Execution:
        """Start an execution that was created without `autostart`."""
        return Execution.from_json(self._services.executions.start(execution_id, LOCAL))

    def pause(self, execution_id: str, reason: str | None = None) -> Execution:
        """Pause at the next node boundary."""
        shown = self._services.control.pause(execution_id, LOCAL, reason)
        return Execution.from_json(shown)

    def resume(self, execution_id: str) -> Execution:
        """Go on, or withdraw a pause that is not effective yet."""
        return Execution.from_json(self._services.control.resume(execution_id, LOCAL))

    def stop(self, execution_id: str, reason: str | None = None) -> Execution:
        """Stop for good, with all that descends from it."""
        shown = self._services.control.stop(execution_id, LOCAL, reason)
        return Execution.from_json(shown)

    def signal(self, execution_id: str, name: str, payload: Value = None) -> str | None:
        """Send a signal; gives the node that it went to, None while it is kept for one."""
        return self._services.signalling.send(execution_id, LOCAL, name, payload).delivered

    def wait(self, execution_id: str, timeout_s: float | None = None) -> Execution:
        """Wait until an execution is final, and give it. Raises TimeoutError."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        head = self._hub.head(execution_id)
        if head is None or not LOCAL.may_see(head.owner_id):
            raise NotFound(f"There is no execution '{execution_id}'")
        # Past the last event there is nothing but the end.
        wanted = Wanted(from_index=head.last_event_index + 1, types=frozenset())
        with self._hub.feed(execution_id, head, wanted) as feed:
            while not isinstance(feed.next(_left(deadline)), End | Gone):
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"{execution_id} is not final after {timeout_s:g} s")
        return Execution.from_json(self._services.executions.get(execution_id, LOCAL))


class ExecutionStore:
    """Reads executions, and changes of their status what the commands change."""

    def __init__(self, services: Services, service: ExecutionService) -> None:
        self._services = services
        self._service = service

    def get(self, execution_id: str) -> Execution:
        """An execution, with its outputs once it is completed."""
        return Execution.from_json(self._services.executions.get(execution_id, LOCAL))

    def list(
        self,
        *,
        status: str | None = None,
        flow_id: str | None = None,
        root_execution_id: str | None = None,
        limit: int = 50,
    ) -> Sequence[Execution]:
        """The newest executions, or those of a status, a flow or a tree."""
        page = self._services.listings.executions(
            LOCAL,
            status=status,
            flow_id=flow_id,
            root_execution_id=root_execution_id,
            limit=limit,
            before=None,
        )
        return [Execution.from_json(item) for item in page.items]

    def tree(self, execution_id: str, *, limit: int = 1000) -> Sequence[Member]:
        """An execution and all that descend from it, by level, then id."""
        page = self._services.listings.tree(execution_id, LOCAL, limit=limit, after=None)
        return [Member.from_json(item) for item in page.items]

    def list_roots(
        self, flow_id: str, *, after: datetime | None = None, limit: int = 50
    ) -> Sequence[Root]:
        """A flow's newest root executions; `after`: created before that time."""
        page = self._services.listings.roots(
            flow_id, LOCAL, limit=limit, before=None, created_before=after
        )
        return [Root.from_json(item) for item in page.items]

    def update_status(self, execution_id: str, status: str, reason: str | None = None) -> Execution:
        """Have an execution started or resumed (`running`), `paused`, or `stopped`.

        Every other status is the engine's to give. Raises Conflict, as the commands do.
        """
        match status:
            case "running" if self.get(execution_id).status == "created":
                return self._service.start(execution_id)
            case "running":
                return self._service.resume(execution_id)
            case "paused":
                return self._service.pause(execution_id, reason)
            case "stopped":
                return self._service.stop(execution_id, reason)
            case _:
                raise Conflict(f"Cannot set status {status}: an execution comes to it by itself")

    def mark_for_recovery(self, execution_id: str) -> Execution:
        """Give up the present owner; another goes on from the last checkpoint."""
        shown = self._services.takeover.recover(execution_id, LOCAL)
        return Execution.from_json(shown)


class TaskQueue:
    """Hints for workers. All of them may be lost: what is to be run is found without them."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def publish(self, execution_id: str) -> None:
        """Tell workers that an execution may be claimed, if there are slots to wake."""
        self._dispatcher.hint([execution_id])


@dataclass(frozen=True, slots=True)
class Interface:
    """One of each, over the parts of a process."""

    service: ExecutionService
    store: ExecutionStore
    bus: EventBus
    queue: TaskQueue
    end: Callable[[], object]

    @classmethod
    def over(cls, parts: Parts, settings: Settings) -> Interface:
        """Put them together."""
        services = parts.services(settings)
        service = ExecutionService(services, parts.hub)
        return cls(
            service,
            ExecutionStore(services, service),
            EventBus(parts.hub, EventAppender(parts.sessions), parts.publisher),
            TaskQueue(parts.dispatcher),
            parts.end,
        )

    def close(self) -> None:
        """End every subscription, and in local mode all that runs."""
        self.bus.close()
        self.end()


_lock = threading.Lock()
_made: list[Interface] = []


def provide(made: Interface) -> None:
    """Make these the ones of the process, in place of those before."""
    with _lock:
        _made[:] = [made]


def forget() -> None:
    """There is none any more; the next call makes another."""
    with _lock:
        _made.clear()


def _interface() -> Interface:
    with _lock:
        if not _made:
            settings = load_settings()
            _made.append(Interface.over(parts_of(settings), settings))
        return _made[0]


def get_execution_service() -> ExecutionService:
    """The process's service."""
    return _interface().service


def get_execution_store() -> ExecutionStore:
    """The process's store."""
    return _interface().store


def get_event_bus() -> EventBus:
    """The process's bus."""
    return _interface().bus


def get_task_queue() -> TaskQueue:
    """The process's queue."""
    return _interface().queue


def _left(deadline: float | None) -> float:
    if deadline is None:
        return LOOK_EVERY_S
    return min(LOOK_EVERY_S, max(0.0, deadline - time.monotonic()))
