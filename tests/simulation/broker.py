"""Celery as the house uses it: names of tasks, messages with ids, a queue that Redis holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import tasks
from app.nodes.queues import DEFAULT_QUEUE
from tests.simulation.redis import SimRedis

QUEUE = DEFAULT_QUEUE

#: What becomes of a message that is sent.
Fate = Literal["comes", "is lost", "comes twice"]


class Message(NamedTuple):
    """A task's name, the ids that it is for, and what is sent once it has ended."""

    name: str
    ids: tuple[str, ...]
    chain: tuple[Message, ...] = ()
    queue: str = QUEUE


class SimCelery:
    """The Celery app of every process. `fate` decides about each message."""

    class conf:  # noqa: N801 - as Celery calls it
        """What the dispatcher reads of the configuration."""

        broker_transport_options: dict[str, str] = {}  # noqa: RUF012 - read only
        task_default_queue = QUEUE

    def __init__(self, redis: SimRedis, fate: Callable[[Message], Fate]) -> None:
        self._redis = redis
        self._fate = fate
        bodies: tuple[Any, ...] = (tasks.await_start, tasks.advance, tasks.run_node)
        self.tasks = {body.name: SimTask(self, body) for body in bodies}

    def send(self, message: Message, most_queued: int | None = None) -> None:
        """Put a message on the queue, as often as fate has it. Raises RedisError.

        Not where so many lie there already.
        """
        match self._fate(message):
            case "comes":
                self._redis.rpush_within(most_queued, message.queue, message)
            case "comes twice":
                self._redis.rpush_within(most_queued, message.queue, message, message)
            case "is lost":
                self._redis.ping()

    def deliver(self, message: Message) -> None:
        """Run a task, then send what is chained to it and was not called in its place."""
        self.tasks[message.name].run(*message.ids)
        if message.name != "tasks.await_start":
            for each in message.chain:
                self.send(each)


class SimTask:
    """A task of the house: its real body, sent over the simulated broker."""

    def __init__(self, celery: SimCelery, body: Any) -> None:
        self.name: str = body.name
        self.run = body.run
        self._celery = celery

    def si(self, *ids: str) -> Message:
        return Message(self.name, ids)

    def apply_async(
        self,
        ids: Sequence[str],
        *,
        chain: Sequence[Message] = (),
        queue: str = QUEUE,
        most_queued: int | None = None,
    ) -> None:
        self._celery.send(Message(self.name, tuple(ids), tuple(chain), queue), most_queued)
