"""What can be lost, while everything runs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from redis import Redis

from tests.proxy import Proxy
from tests.system.crew import Crew
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Managed, Stack
from tests.system.traces import ask
from tests.waiting import wait_until

#: How long (s) a worker is frozen: longer than its lease.
FROZEN_S = 2.0
#: How long (s) cables are cut, slow or half-open, and servers away, at most.
AWAY_S = 3.0
#: How late (ms) what comes over a slow cable is.
LATE_MS = (20, 200)


def pause(seconds: float) -> None:
    """Let some time pass."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until, "some time has passed", seconds + 30)


class Misfortune:
    """What workers can lose, each by a method; `deaths` counts what may double an effect."""

    def __init__(
        self, stack: Stack, crew: Crew, valkey: ScratchValkey, dice: random.Random
    ) -> None:
        self._stack = stack
        self._crew = crew
        self._valkey = valkey
        self._dice = dice
        self.deaths = 0

    def losses(self) -> Sequence[Callable[[], None]]:
        """All that can be lost here."""
        return [
            self.a_child,
            self.a_worker,
            self.a_frozen_worker,
            self.the_messages,
            self.redis,
            self.the_connections,
        ]

    def strike(self) -> str:
        """Lose something; gives what."""
        loss = self._dice.choice(self.losses())
        loss()
        return loss.__name__

    def a_child(self) -> None:
        self.deaths += 1
        self._dice.choice(self._any_worker().children()).kill()

    def a_worker(self) -> None:
        self.deaths += 1
        self._any_worker().kill_all()

    def a_frozen_worker(self) -> None:
        """Frozen past its lease, then going on: a zombie."""
        self.deaths += 1
        worker = self._any_worker()
        worker.freeze()
        pause(FROZEN_S)
        worker.thaw()

    def the_messages(self) -> None:
        with Redis.from_url(self._valkey.url, protocol=2) as redis:
            redis.flushall()

    def redis(self) -> None:
        self._valkey.kill()
        self._valkey.start()

    def the_connections(self) -> None:
        """Every connection to PostgreSQL breaks at once; with them all dead-process locks."""
        self.deaths += 1
        ask(
            self._stack.database_url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def _any_worker(self) -> Managed:
        wait_until(self._is_manned, "two workers are of use", 60)
        return self._dice.choice(self._crew.workers)

    def _is_manned(self) -> bool:
        # A worker whose child is killed before all have started ends by itself.
        self._crew.muster(2, wait=False)
        known = {each["workerId"] for each in self._stack.workers()}
        return all(worker.name in known and worker.children() for worker in self._crew.workers)


class Calamity(Misfortune):
    """Also the API, both servers for a while, and the cables to them."""

    def __init__(
        self,
        stack: Stack,
        crew: Crew,
        valkey: ScratchValkey,
        dice: random.Random,
        *,
        postgres: ScratchPostgres,
        web: Managed,
        cables: Sequence[Proxy],
    ) -> None:
        super().__init__(stack, crew, valkey, dice)
        self._postgres = postgres
        self._web = web
        self._cables = cables

    def losses(self) -> Sequence[Callable[[], None]]:
        return [
            *super().losses(),
            self.the_api,
            self.the_api_in_order,
            self.postgres_for_a_while,
            self.redis_for_a_while,
            self.a_cut_cable,
            self.a_slow_cable,
            self.a_half_open_cable,
        ]

    def the_api(self) -> None:
        self._web.kill_all()
        self._web = self._stack.start_web()

    def the_api_in_order(self) -> None:
        self._web.terminate()
        self._web = self._stack.start_web()

    def postgres_for_a_while(self) -> None:
        self.deaths += 1
        self._postgres.kill()
        self._stay_away()
        self._postgres.start()
        self._await_api()

    def redis_for_a_while(self) -> None:
        self._valkey.kill()
        self._stay_away()
        self._valkey.start()

    def a_cut_cable(self) -> None:
        self._with_cable(Proxy.cut)

    def a_slow_cable(self) -> None:
        self._with_cable(lambda cable: cable.delay(self._dice.uniform(*LATE_MS)))

    def a_half_open_cable(self) -> None:
        """What is sent arrives, and no answer comes back."""
        self._with_cable(Proxy.hold_replies)

    def _with_cable(self, spoil: Callable[[Proxy], None]) -> None:
        self.deaths += 1
        cable = self._dice.choice(self._cables)
        spoil(cable)
        self._stay_away()
        cable.cut()
        cable.mend()
        self._await_api()

    def _stay_away(self) -> None:
        pause(self._dice.uniform(0.2, AWAY_S))

    def _await_api(self) -> None:
        wait_until(
            lambda: self._stack.http.get("/health/ready").is_success, "the API is ready again", 60
        )
