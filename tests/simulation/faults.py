"""What goes wrong in a world: drawn from its seed, each at a step drawn from it, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.broker import Fate, Message
from tests.simulation.streams import Passage

if TYPE_CHECKING:
    from tests.simulation.scheduler import Host
    from tests.simulation.world import World

#: Faults happen within so many steps.
WITHIN_STEPS = 500
#: One message in so many is lost or doubled, where messages suffer.
BAD_MESSAGE = 4
#: The same of what is published.
BAD_PASSAGE = 4

#: What may go wrong, each as often as it stands here.
KINDS = (
    "kill",
    "freeze",
    "freeze claimant",
    "lose lock",
    "cut",
    "cut",
    "store away",
    "redis emptied",
    "redis away",
    "drain",
    "kill api",
    "drain api",
)


class Faults:
    """The faults of one schedule."""

    def __init__(self, world: World, kinds: Sequence[str], counts: Sequence[int]) -> None:
        self._world = world
        random = world.scheduler.random
        self.count = random.choice(counts)
        self.spoils_messages = bool(self.count) and random.random() < 0.5
        steps = sorted(random.randrange(WITHIN_STEPS) for _ in range(self.count))
        self._due = [(step, random.choice(kinds)) for step in steps]
        #: Whether what is published suffers; watched worlds decide.
        self.spoils_events = False
        self.is_over = False
        self.has_frozen = False
        self._awaits_claim = False

    @property
    def is_faultless(self) -> bool:
        """Whether nothing goes wrong in this schedule at all."""
        return self.count == 0

    def happen(self) -> None:
        """Do what is due at this step. Outside of every task."""
        while self._due and self._due[0][0] <= self._world.scheduler.steps:
            _, kind = self._due.pop(0)
            getattr(self, "_" + kind.replace(" ", "_"))()

    def fate(self, _message: Message) -> Fate:
        """What becomes of a message."""
        random = self._world.scheduler.random
        if self.is_over or not self.spoils_messages or random.randrange(BAD_MESSAGE):
            return "comes"
        return random.choice(("is lost", "comes twice"))

    def passage(self) -> Passage:
        """What becomes of events that are published."""
        random = self._world.scheduler.random
        if self.is_over or not self.spoils_events or random.randrange(BAD_PASSAGE):
            return "comes"
        return random.choice(("is lost", "comes late", "comes twice"))

    def heal(self) -> None:
        """From now on nothing goes wrong, and what was away is back."""
        self.is_over = True
        self._due.clear()

    # -- kinds

    def _kill(self) -> None:
        world = self._world
        if hosts := world.alive_workers():
            world.kill(world.scheduler.random.choice(hosts).host)
            world.later(world.scheduler.random.random() * 3, "a new worker", world.add_worker)

    def _kill_api(self) -> None:
        self._world.replace_api()

    def _drain_api(self) -> None:
        self._world.drain_api()

    def _freeze(self) -> None:
        world = self._world
        random = world.scheduler.random
        if hosts := [worker.host for worker in world.alive_workers() if not worker.host.frozen]:
            self._freeze_host(random.choice(hosts), random.random() * 8)

    def _freeze_claimant(self) -> None:
        """Whoever claims next owns something, and doesn't know it before long."""
        self._awaits_claim = True

    def after(self, host: Host, name: str) -> None:
        """A statement was done."""
        if self._awaits_claim and not self.is_over and name.startswith("claim_"):
            self._awaits_claim = False
            self._freeze_host(host, 4 + self._world.scheduler.random.random() * 6)

    def _freeze_host(self, host: Host, seconds: float) -> None:
        self._world.scheduler.note(f"{host.name} is frozen")
        host.frozen = self.has_frozen = True
        self._world.later(seconds, f"{host.name} goes on", lambda: self._world.thaw(host))

    def _cut(self) -> None:
        world = self._world
        random = world.scheduler.random
        lines = list(world.server.lines)
        if busy := [line for line in lines if line.is_busy]:
            lines = busy if random.random() < 0.7 else lines
        if lines:
            line = random.choice(lines)
            executes = random.random() < 0.5
            world.scheduler.note(f"cut: {line}{', it is done all the same' if executes else ''}")
            line.cut(executes=executes)

    def _lose_lock(self) -> None:
        """A process that runs something is taken for dead, and isn't."""
        world = self._world
        busy = [worker for worker in world.alive_workers() if worker.running and worker.lease_line]
        if busy:
            worker = world.scheduler.random.choice(busy)
            world.scheduler.note(f"{worker.host.name} loses its lock")
            worker.lease_line.cut(executes=False)

    def _store_away(self) -> None:
        world = self._world
        world.scheduler.note("postgres is away")
        world.stop_store()
        world.later(world.scheduler.random.random() * 6, "postgres is back", world.start_store)

    def _redis_emptied(self) -> None:
        world = self._world
        world.scheduler.note("redis is emptied")
        world.redis.empty()
        world.redis.hang_up()

    def _redis_away(self) -> None:
        world = self._world
        world.scheduler.note("redis is away")
        world.redis.is_up = False
        world.redis.empty()
        world.redis.hang_up()
        world.later(world.scheduler.random.random() * 6, "redis is back", world.start_redis)

    def _drain(self) -> None:
        world = self._world
        candidates = [worker for worker in world.alive_workers() if not worker.is_told_to_end]
        if candidates:
            worker = world.scheduler.random.choice(candidates)
            world.scheduler.note(f"{worker.host.name} is told to end")
            worker.drain()
            world.later(world.scheduler.random.random() * 3, "a new worker", world.add_worker)
