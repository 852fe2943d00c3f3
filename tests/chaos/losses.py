"""What can be lost while everything runs, in two strands: workers, and what they stand on.

Each strand draws by itself what it loses next, and when; so a worker may die while PostgreSQL is
away. A method is a kind of loss; its name is what the report calls it.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psutil
from redis import Redis, RedisError

from tests.chaos.fleet import Berth, Fleet
from tests.proxy import Proxy
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Managed, Stack
from tests.system.traces import ask
from tests.waiting import wait_until

#: How long (s) something is frozen: longer than a lease.
FROZEN_S = (2.0, 3.5)
#: How long (s) cables are cut, slow or half-open, and servers away.
AWAY_S = (0.2, 3.0)
#: How late (ms) what comes over a slow cable is.
LATE_MS = (20, 200)
#: A worker is lost so long (s) after the time before; something that all stand on.
WORKERS_EVERY_S, SERVERS_EVERY_S = (0.3, 2.0), (1.0, 8.0)
#: How often a strike waits until all workers are of use.
PATIENCE = 0.75
READY_WITHIN_S = 240.0

QUEUES = ("cg:celery:default", "cg:celery:gpu")
#: How many old messages are kept, to be sent again.
OLD_MESSAGES = 200


def pause(seconds: float) -> None:
    """Let some time pass, whatever is told to end meanwhile."""
    threading.Event().wait(seconds)


@dataclass
class Tally:
    """What was lost."""

    losses: Counter[str] = field(default_factory=Counter)
    #: Processes killed with SIGKILL, by what they were.
    kills: Counter[str] = field(default_factory=Counter)
    #: Messages dropped, doubled and sent again.
    messages: Counter[str] = field(default_factory=Counter)
    #: When some process was frozen, from and to, in seconds since the epoch.
    frozen: list[tuple[float, float]] = field(default_factory=list)


class Strand:
    """Loses one thing after the other, in a thread of its own, until it is told to end."""

    name: str
    every_s: tuple[float, float]

    def __init__(self, seed: int, tally: Tally, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._dice = random.Random(f"{seed}/{self.name}")
        self._tally = tally
        self._is_over = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self._future: Future[None] | None = None

    def losses(self) -> Sequence[Callable[[], None]]:
        """All that can be lost here."""
        raise NotImplementedError

    def begin(self) -> None:
        """Begin to lose things."""
        self._future = self._pool.submit(self._run)

    @property
    def is_broken(self) -> bool:
        """Whether a loss failed, so that there will be no more."""
        return self._future is not None and self._future.done()

    def end(self) -> None:
        """Lose nothing more; raises what a loss failed with."""
        self._is_over.set()
        self._pool.shutdown()
        if self._future is not None:
            self._future.result()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._is_over.wait(self._dice.uniform(*self.every_s)):
            loss = self._dice.choice(self.losses())
            at = time.monotonic() - begun
            loss()
            name = loss.__name__.replace("_", " ")
            self._tally.losses[name] += 1
            self._tell(f"{at:7.1f} s  {name}")

    def _stay_away(self, between_s: tuple[float, float] = AWAY_S) -> None:
        """Let some time pass."""
        self._is_over.wait(self._dice.uniform(*between_s))

    def _thaw_later(self, frozen: Managed | ScratchPostgres | ScratchValkey) -> None:
        begun = time.time()
        frozen.freeze()
        pause(self._dice.uniform(*FROZEN_S))
        frozen.thaw()
        self._tally.frozen.append((begun, time.time()))


class OfWorkers(Strand):
    """Kills, freezes, drains and cuts off workers."""

    name = "workers"
    every_s = WORKERS_EVERY_S

    def __init__(
        self, seed: int, tally: Tally, tell: Callable[[str], object], fleet: Fleet
    ) -> None:
        super().__init__(seed, tally, tell)
        self._fleet = fleet

    def losses(self) -> Sequence[Callable[[], None]]:
        return [
            self.a_child_killed,
            self.a_child_killed,
            self.a_worker_killed,
            self.a_parent_killed,
            self.all_workers_killed,
            self.a_worker_frozen,
            self.a_child_frozen,
            self.a_worker_drained,
            self.a_worker_drained_and_killed,
            self.a_worker_cut_off,
            self.a_worker_behind_a_slow_cable,
            self.a_worker_behind_a_half_open_cable,
        ]

    def a_child_killed(self) -> None:
        children = self._berth().children()
        if children:
            with suppress(psutil.NoSuchProcess):
                self._dice.choice(children).kill()
                self._tally.kills["child"] += 1

    def a_worker_killed(self) -> None:
        self._kill_all(self._berth())

    def a_parent_killed(self) -> None:
        """The leader alone: its children see that it is gone."""
        worker = self._worker()
        if worker.is_running:
            worker.kill()
            self._tally.kills["parent"] += 1

    def all_workers_killed(self) -> None:
        for berth in self._fleet.berths:
            self._kill_all(berth)

    def a_worker_frozen(self) -> None:
        """Frozen past its lease, then going on: a zombie."""
        with suppress(psutil.NoSuchProcess):
            self._thaw_later(self._worker())

    def a_child_frozen(self) -> None:
        children = self._berth().children()
        if not children:
            return
        begun = time.time()
        with suppress(psutil.NoSuchProcess):
            child = self._dice.choice(children)
            child.suspend()
            pause(self._dice.uniform(*FROZEN_S))
            child.resume()
        self._tally.frozen.append((begun, time.time()))

    def a_worker_drained(self) -> None:
        self._worker().signal(signal.SIGTERM)

    def a_worker_drained_and_killed(self) -> None:
        berth = self._berth()
        if berth.worker is not None:
            berth.worker.signal(signal.SIGTERM)
        self._stay_away((0.0, 1.0))
        self._kill_all(berth)

    def a_worker_cut_off(self) -> None:
        self._with_cable(Proxy.cut)

    def a_worker_behind_a_slow_cable(self) -> None:
        self._with_cable(lambda cable: cable.delay(self._dice.uniform(*LATE_MS)))

    def a_worker_behind_a_half_open_cable(self) -> None:
        """What it sends arrives, and no answer comes back."""
        self._with_cable(Proxy.hold_replies)

    def _with_cable(self, spoil: Callable[[Proxy], None]) -> None:
        cables = self._berth().cables
        chosen = self._dice.choice((cables[:1], cables[1:], cables))
        for cable in chosen:
            spoil(cable)
        self._stay_away()
        for cable in chosen:
            cable.cut()
            cable.mend()

    def _kill_all(self, berth: Berth) -> None:
        if berth.worker is None or not berth.is_taken:
            return
        with suppress(psutil.NoSuchProcess):
            count = len(berth.worker.group())
            berth.worker.kill_all()
            self._tally.kills["whole worker"] += count

    def _berth(self) -> Berth:
        if self._dice.random() < PATIENCE:
            self._fleet.await_manned()
        return self._fleet.any(self._dice)

    def _worker(self) -> Managed:
        worker = self._berth().worker
        assert worker is not None
        return worker


class OfServers(Strand):
    """Loses PostgreSQL, Redis, messages, the API, and the cables that lead to them."""

    name = "servers"
    every_s = SERVERS_EVERY_S

    def __init__(
        self,
        seed: int,
        tally: Tally,
        tell: Callable[[str], object],
        *,
        stack: Stack,
        postgres: ScratchPostgres,
        valkey: ScratchValkey,
        cables: Sequence[Proxy],
    ) -> None:
        super().__init__(seed, tally, tell)
        self._stack = stack
        self._postgres = postgres
        self._valkey = valkey
        self._cables = cables
        self._old_messages: list[tuple[str, bytes]] = []
        self.web = stack.processes[0]

    def losses(self) -> Sequence[Callable[[], None]]:
        return [
            self.messages_dropped,
            self.messages_doubled,
            self.old_messages_sent_again,
            self.redis_emptied,
            self.redis_killed,
            self.redis_frozen,
            self.postgres_killed,
            self.postgres_stopped_at_once,
            self.postgres_restarted,
            self.postgres_frozen,
            self.all_connections_ended,
            self.the_api_killed,
            self.a_child_of_the_api_killed,
            self.the_api_restarted,
            self.the_api_frozen,
            self.the_api_cut_off,
            self.the_api_behind_a_slow_cable,
            self.the_api_behind_a_half_open_cable,
        ]

    # -- messages

    def messages_dropped(self) -> None:
        """For a while, half of what is found in the queues is gone."""

        def drop(redis: Redis, queue: str, message: bytes) -> None:
            if self._dice.random() < 0.5:
                self._tally.messages["dropped"] += int(redis.lrem(queue, 1, message))

        self._meddle(drop)

    def messages_doubled(self) -> None:
        """For a while, what is found in the queues is there three times."""

        def double(redis: Redis, queue: str, message: bytes) -> None:
            redis.rpush(queue, message, message)
            self._tally.messages["doubled"] += 1

        self._meddle(double)

    def old_messages_sent_again(self) -> None:
        with self._redis() as redis, suppress(RedisError):
            for queue, message in self._old_messages:
                redis.lpush(queue, message)
                self._tally.messages["sent again"] += 1

    def _meddle(self, treat: Callable[[Redis, str, bytes], object]) -> None:
        until = time.monotonic() + self._dice.uniform(*AWAY_S)
        treated: set[bytes] = set()
        with self._redis() as redis, suppress(RedisError):
            while time.monotonic() < until:
                for queue in QUEUES:
                    for message in redis.lrange(queue, 0, -1):
                        if message not in treated:
                            treated.add(message)
                            self._old_messages.append((queue, message))
                            treat(redis, queue, message)
                self._is_over.wait(0.01)
        del self._old_messages[:-OLD_MESSAGES]

    def _redis(self) -> Redis:
        return Redis.from_url(self._valkey.url, protocol=2)

    # -- servers

    def redis_emptied(self) -> None:
        with self._redis() as redis, suppress(RedisError):
            redis.flushall()

    def redis_killed(self) -> None:
        """It comes back empty."""
        self._valkey.kill()
        self._tally.kills["redis"] += 1
        self._stay_away()
        self._valkey.start()

    def redis_frozen(self) -> None:
        self._thaw_later(self._valkey)

    def postgres_killed(self) -> None:
        self._tally.kills["postgres"] += 1
        self._lose_postgres(signal.SIGKILL)

    def postgres_stopped_at_once(self) -> None:
        """An immediate shutdown: it comes back through crash recovery."""
        self._lose_postgres(signal.SIGQUIT)

    def postgres_restarted(self) -> None:
        self._lose_postgres(signal.SIGINT)

    def postgres_frozen(self) -> None:
        self._thaw_later(self._postgres)
        self._await_api()

    def all_connections_ended(self) -> None:
        """Every connection to PostgreSQL breaks at once; with them all dead-process locks."""
        ask(
            self._postgres.url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def _lose_postgres(self, number: int) -> None:
        self._postgres.stop(number)
        self._stay_away()
        self._postgres.start()
        self._await_api()

    # -- the API

    def the_api_killed(self) -> None:
        self._tally.kills["api"] += len(self.web.group())
        self.web.kill_all()
        self.web = self._stack.start_web()

    def a_child_of_the_api_killed(self) -> None:
        children = self.web.children()
        if children:
            with suppress(psutil.NoSuchProcess):
                self._dice.choice(children).kill()
                self._tally.kills["api"] += 1
        self._await_api()

    def the_api_restarted(self) -> None:
        self.web.terminate()
        self.web = self._stack.start_web()

    def the_api_frozen(self) -> None:
        self._thaw_later(self.web)

    def the_api_cut_off(self) -> None:
        self._with_cable(Proxy.cut)

    def the_api_behind_a_slow_cable(self) -> None:
        self._with_cable(lambda cable: cable.delay(self._dice.uniform(*LATE_MS)))

    def the_api_behind_a_half_open_cable(self) -> None:
        self._with_cable(Proxy.hold_replies)

    def _with_cable(self, spoil: Callable[[Proxy], None]) -> None:
        cable = self._dice.choice(self._cables)
        spoil(cable)
        self._stay_away()
        cable.cut()
        cable.mend()
        self._await_api()

    def _await_api(self) -> None:
        wait_until(self._is_ready, "the API is ready again", READY_WITHIN_S)

    def _is_ready(self) -> bool:
        try:
            return self._stack.http.get("/health/ready").is_success
        except httpx.TransportError:
            return False
