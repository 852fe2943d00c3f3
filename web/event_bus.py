"""Publishing events into executions' logs, and reading those logs."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import orjson

from app.caller import LOCAL
from app.client.shapes import Event
from app.errors import Conflict, Fault, NotFound, ValidationFailed
from app.events.fitting import fit_event
from app.events.log import StoredEvent
from app.events.types import Event as NewEvent
from app.events.types import EventType
from app.events.wire import FIRST_INDEX, envelopes
from app.store.appending import EventAppender
from app.streams.hub import Hub
from app.streams.protocol import Publisher
from app.streams.relay import End, Events, Gone, Wanted
from app.values.ports import Value

#: What anybody may append. What tells of a status is the engine's alone to say.
OPEN_TYPES = frozenset({EventType.NODE_DEBUG_LOG, EventType.NODE_PROGRESS})

#: A wait for events ends so often (s), to notice that it is not wanted any more.
LOOK_EVERY_S = 0.5

Handler = Callable[[Event], object]


class Subscription:
    """One reader's way through an execution's events: iterate over it for batches, in order."""

    def __init__(self, hub: Hub, execution_id: str, wanted: Wanted, told: Handler) -> None:
        self._hub = hub
        self._execution_id = execution_id
        self._wanted = wanted
        self._told = told
        self._is_closed = threading.Event()

    def __iter__(self) -> Iterator[Sequence[Event]]:
        """Give batches as they come, to the end. Raises NotFound, StoreUnavailable."""
        head = self._hub.head(self._execution_id)
        if head is None or not LOCAL.may_see(head.owner_id):
            raise NotFound(f"There is no execution '{self._execution_id}'")
        with self._hub.feed(self._execution_id, head, self._wanted) as feed:
            while not self._is_closed.is_set():
                match feed.next(LOOK_EVERY_S):
                    case Events(stored, _):
                        yield self._heard(stored)
                    case End() | Gone():
                        return

    def close(self) -> None:
        """End the iteration, from any thread, within half a second."""
        self._is_closed.set()

    def _heard(self, stored: Sequence[StoredEvent]) -> Sequence[Event]:
        events = [Event.from_json(orjson.loads(each.envelope)) for each in stored]
        for event in events:
            self._told(event)
        return events


class EventBus:
    """Publishes events into executions' logs, and reads those logs."""

    def __init__(self, hub: Hub, appender: EventAppender, publisher: Publisher) -> None:
        self._hub = hub
        self._appender = appender
        self._publisher = publisher
        self._handlers: dict[str, list[Handler]] = defaultdict(list)
        self._subscriptions: list[Subscription] = []
        self._lock = threading.Lock()

    def publish(self, execution_id: str, event_type: str, data: Mapping[str, Value]) -> int:
        """Append an event to an execution's log; gives its index.

        `event_type` is one of OPEN_TYPES. Raises ValidationFailed for another, NotFound, and
        Conflict once the execution is final.
        """
        if event_type not in OPEN_TYPES:
            allowed = ", ".join(sorted(OPEN_TYPES))
            raise ValidationFailed([Fault("/type", f"must be one of {allowed}")])
        encoded = fit_event(execution_id, NewEvent(EventType(event_type), dict(data)))
        appended = self._appender.append(execution_id, encoded)
        if appended is None:
            raise self._refusal(execution_id)
        first, at = appended
        self._publisher.publish(execution_id, first, envelopes(execution_id, first, at, encoded))
        return first

    def subscribe(
        self,
        execution_id: str,
        from_index: int = FIRST_INDEX,
        max_size: int = 100,
        timeout_ms: int = 25,
    ) -> Subscription:
        """Read an execution's events from an index on, to its end.

        A batch ends at `max_size` events, or `timeout_ms` after its first.
        """
        wanted = Wanted(from_index, None, max_size, timeout_ms / 1000)
        subscription = Subscription(self._hub, execution_id, wanted, self._tell)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def on(self, event_type: str, handler: Handler) -> Handler:
        """Call `handler` with each event of a type that a subscription of this bus reads.

        It is called by the thread that iterates over the subscription, before the batch is
        given.
        """
        with self._lock:
            self._handlers[event_type].append(handler)
        return handler

    def unsubscribe(self, what: Subscription | Handler) -> None:
        """Read no more, or call a handler no more."""
        with self._lock:
            if isinstance(what, Subscription):
                what.close()
                self._subscriptions = [each for each in self._subscriptions if each is not what]
                return
            for event_type, handlers in self._handlers.items():
                self._handlers[event_type] = [each for each in handlers if each is not what]

    def close(self) -> None:
        """End every subscription, and call no handler any more."""
        with self._lock:
            for subscription in self._subscriptions:
                subscription.close()
            self._subscriptions.clear()
            self._handlers.clear()

    def _tell(self, event: Event) -> None:
        with self._lock:
            handlers = list(self._handlers.get(event.type, ()))
        for handler in handlers:
            handler(event)

    def _refusal(self, execution_id: str) -> NotFound | Conflict:
        head = self._hub.head(execution_id)
        if head is None:
            return NotFound(f"There is no execution '{execution_id}'")
        return Conflict(f"Cannot publish to execution in status {head.status}")
