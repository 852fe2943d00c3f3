"""What processes publish with: it is looked at, and goes on to who watches, if anybody does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from app.streams.protocol import Batch
from app.streams.publisher import EventPublisher
from tests.simulation.threads import SimLock

if TYPE_CHECKING:
    from tests.simulation.world import World


class SimPublisher:
    """One process's: the production one where the world has watchers, else nobody would see."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._publisher = _publisher(world) if world.is_watched else None

    def publish(self, execution_id: str, first_index: int, envelopes: Sequence[bytes]) -> bool:
        return self.publish_many((Batch(execution_id, first_index, envelopes),))

    def publish_many(self, batches: Iterable[Batch]) -> bool:
        batches = list(batches)
        self._world.scheduler.point()
        for batch in batches:
            self._world.published(*batch)
        if self._publisher is None:
            return self._world.redis.is_up
        return self._publisher.publish_many(batches)


def _publisher(world: World) -> EventPublisher:
    random = world.scheduler.random
    return EventPublisher(
        "",
        ttl_s=random.choice((2, 3600)),
        maxlen=random.choice((2, 10_000)),
        clock=world.clock,
        lock=lambda: SimLock(world.scheduler),
        connect=world.connect,
    )
