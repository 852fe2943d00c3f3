"""Sending hints. Messages wake, they don't carry: the broker never holds more than it can wake."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from app.config import Settings, urls
from app.errors import StoreUnavailable
from app.logs import bound
from app.nodes.queues import DEFAULT_QUEUE
from app.streams import keys
from app.streams.client import Role, connect
from app.streams.lingering import offer
from tasks.app import app
from tasks.bounded import MOST_QUEUED

#: How long (s) the number of slots is taken to stay what it was.
SLOTS_KEPT_S = 2.0

_log = logging.getLogger(__name__)


class Dispatcher:
    """Sends chains and hints through Celery.

    `slots` gives how much the workers alive can run at once, by the queues that they consume;
    `client` is one of the broker, to ask for the lengths of its queues.
    """

    def __init__(
        self,
        celery: Celery,
        client: Redis,
        slots: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = celery
        self._client = client
        self._slots = slots
        self._clock = clock
        self._known_slots: Mapping[str, int] = {}
        self._known_until = 0.0
        self._prefix = celery.conf.broker_transport_options.get("global_keyprefix", "")

    def room(self, wanted: int, queue: str = DEFAULT_QUEUE) -> int:
        """How many of so many messages a queue may get: no more than there are slots to wake."""
        try:
            queued = offer(self._client, (), self._prefix + queue, wanted).queued
        except RedisError:
            return 0
        return self._room(wanted, queued, queue)

    def unoffered(self, execution_ids: Sequence[str]) -> Sequence[str]:
        """Offer executions to processes that linger; gives those to send messages for."""
        most = self._slot_count()
        first = execution_ids[:most]
        try:
            offered = offer(self._client, first, self._prefix + DEFAULT_QUEUE, most)
        except RedisError:
            return ()
        return offered.left[: self._room(len(offered.left), offered.queued)]

    def _room(self, wanted: int, queued: int, queue: str = DEFAULT_QUEUE) -> int:
        return max(0, min(wanted, self._slot_count(queue) - queued))

    def send(self, execution_ids: Sequence[str]) -> None:
        """Send `chain(await_start, advance)` of each execution, as long as slots are unwoken."""
        advance = self._app.tasks["tasks.advance"]
        await_start = self._app.tasks["tasks.await_start"]
        for execution_id in execution_ids:
            chain = [advance.si(execution_id)]
            if not self._wake_with(await_start, execution_id, chain=chain):
                return

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Tell workers that these may be claimed, the first ones if there are too many."""
        if not execution_ids:
            return
        advance = self._app.tasks["tasks.advance"]
        for execution_id in self.unoffered(execution_ids):
            if not self._wake_with(advance, execution_id):
                return

    def take_dropped(self) -> bool:
        """Take the note that a hint was dropped as the queue was full; whether there was one."""
        try:
            return bool(self._client.delete(keys.DROPPED))
        except RedisError:
            return False

    def send_steps(self, execution_id: str, queues: Mapping[str, str]) -> None:
        """Send `chain(run_node.set(queue=…), advance)` of each node of an execution."""
        advance = self._app.tasks["tasks.advance"]
        run_node = self._app.tasks["tasks.run_node"]
        for node_id, queue in queues.items():
            chain = [advance.si(execution_id)]
            if not self._publish(run_node, execution_id, node_id, chain=chain, queue=queue):
                return

    def _wake_with(self, task: object, execution_id: str, **options: object) -> bool:
        """Send a message that wakes a slot, unless as many messages lie there as there are slots.

        Several may have looked at the queue at the same time: the broker decides.
        """
        most = self._slot_count()
        return self._publish(task, execution_id, **{MOST_QUEUED: most}, **options)

    def _publish(self, task: object, *ids: str, **options: object) -> bool:
        try:
            task.apply_async(ids, **options)  # type: ignore[attr-defined]
        except (OperationalError, RedisError) as error:
            with bound(executionId=ids[0]):
                _log.warning("no message for execution %s: %s", ids[0], error)
            return False
        return True

    def _slot_count(self, queue: str = DEFAULT_QUEUE) -> int:
        if self._clock() >= self._known_until:
            try:
                self._known_slots = self._slots()
            except StoreUnavailable:
                return self._known_slots.get(queue, 0)
            self._known_until = self._clock() + SLOTS_KEPT_S
        # With no worker known one message may wait: a worker that starts takes it.
        return max(1, self._known_slots.get(queue, 0))


def make_dispatcher(
    settings: Settings, slots: Callable[[], Mapping[str, int]], *, role: Role
) -> Dispatcher:
    """Make the dispatcher of a process: Celery's app, and a client of the same broker."""
    return Dispatcher(app, connect(urls.for_redis(settings.broker_url), role=role), slots)
