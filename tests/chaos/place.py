"""Where it happens: servers of its own, cables to them, an API, workers, and where effects go."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.chaos.fleet import Berth, Fleet
from tests.chaos.flows import QUEUE
from tests.proxy import Proxy, proxy_to_postgres
from tests.system.ledger import Ledger, run_ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack

#: How long (s) an effect takes.
EFFECT_S = 0.2
#: Workers, and executions that each runs at once.
BERTHS, SLOTS = 2, 3

SETTINGS = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "300",
    "WORKER_CLAIM_TIMEOUT_MS": "1500",
    # More than can happen here.
    "RECOVERY_MAX_FAILURE_COUNT": "1000",
    "START_SIGNAL_TIMEOUT_MS": "86400000",
    "HTTP_NODE_ALLOW": LOOPBACK,
    "NODE_MODULES": "tests.system.deadly_nodes",
}


@dataclass(frozen=True)
class Plan:
    """What a time of chaos is to be: the seed draws what isn't said."""

    seed: int
    seconds: float
    pool: str
    dispatch: str
    #: QUEUE_CONCURRENCY; 0 for none.
    limit: int
    #: Executions that clients have under way at once, at most.
    alive: int = 40


def draw_plan(
    seed: int, seconds: float, *, pool: str | None = None, dispatch: str | None = None
) -> Plan:
    """The plan of a seed; one in three has fewer slots in the cluster than its workers have."""
    dice = random.Random(f"{seed}/plan")
    drawn = dice.choice(("prefork", "threads")), dice.choice(("inline", "message"))
    limit = dice.choice((0, 0, BERTHS * SLOTS - 2))
    return Plan(seed, seconds, pool or drawn[0], dispatch or drawn[1], limit)


@dataclass
class Place:
    """All of it."""

    stack: Stack
    fleet: Fleet
    ledger: Ledger
    postgres: ScratchPostgres
    valkey: ScratchValkey
    #: The API's own.
    cables: list[Proxy]


class _Cabling:
    """Lays cables to two servers: each caller has proxies and URLs of its own."""

    def __init__(self, postgres_url: str, redis_url: str, ending: ExitStack) -> None:
        self._postgres_url = postgres_url
        self._redis_url = redis_url
        self._ending = ending

    def lay(self) -> tuple[tuple[Proxy, Proxy], dict[str, str]]:
        to_postgres, database_url = proxy_to_postgres(self._postgres_url)
        self._ending.callback(to_postgres.close)
        port = urlsplit(self._redis_url).port
        assert port is not None
        to_redis = Proxy((LOOPBACK, port))
        self._ending.callback(to_redis.close)
        redis_url = self._redis_url.replace(f":{port}/", f":{to_redis.port}/")
        return (to_postgres, to_redis), {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


@contextmanager
def place(plan: Plan) -> Iterator[Place]:
    """Start it all, and end it all."""
    directory = Path(tempfile.mkdtemp(prefix="chaingraph-chaos-"))
    directory.chmod(0o711)
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, directory, ignore_errors=True)
        guardian = Guardian()
        ending.callback(guardian.close)
        postgres = ScratchPostgres(directory / "postgres", guardian)
        ending.callback(postgres.remove)
        postgres.start()
        postgres.create_schema()
        valkey = ScratchValkey(directory / "valkey", guardian)
        ending.callback(valkey.kill)
        valkey.start()
        ledger = ending.enter_context(run_ledger())
        ledger.effect_s = EFFECT_S
        cabling = _Cabling(postgres.url, valkey.url, ending)
        cables, urls = cabling.lay()
        environ = {
            **SETTINGS,
            "STEP_DISPATCH": plan.dispatch,
            "QUEUE_CONCURRENCY": str(plan.limit),
        }
        stack = ending.enter_context(
            run_stack(
                urls["DATABASE_URL"],
                urls["REDIS_URL"],
                directory,
                guardian,
                workers=0,
                environ=environ,
            )
        )
        berths = [Berth(*cabling.lay(), queues=f"default,{QUEUE}") for _ in range(BERTHS)]
        fleet = Fleet(stack, berths, pool=plan.pool, slots=SLOTS)
        yield Place(stack, fleet, ledger, postgres, valkey, list(cables))
