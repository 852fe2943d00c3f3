"""python -m tests.chaos: a real stack under load, and whatever can be lost is lost, for a while.

Prints what it did and what it found; ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.chaos.load import Load, flows
from tests.chaos.losses import Calamity
from tests.chaos.verdict import faults
from tests.proxy import Proxy, proxy_to_postgres
from tests.system.crew import Crew
from tests.system.ledger import Ledger, run_ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.traces import ask

#: Something is lost so long (s) after the time before.
EVERY_S = (0.5, 3.0)
#: Healed, everything ends within so long (s).
HEALS_WITHIN_S = 90.0
#: How long (s) an effect takes.
EFFECT_S = 0.2
SHOWN = 20

SETTINGS = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "300",
    "WORKER_CLAIM_TIMEOUT_MS": "1500",
    # More than can happen here.
    "RECOVERY_MAX_FAILURE_COUNT": "1000",
}
ENVIRON = {"HTTP_NODE_ALLOW": LOOPBACK, "NODE_MODULES": "tests.system.deadly_nodes"}


@dataclass
class Place:
    """Servers, the cables to them, a stack on them, and where effects go."""

    stack: Stack
    ledger: Ledger
    postgres: ScratchPostgres
    valkey: ScratchValkey
    cables: list[Proxy]


@contextmanager
def place() -> Iterator[Place]:
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
        to_postgres, database_url = proxy_to_postgres(postgres.url)
        ending.callback(to_postgres.close)
        port = urlsplit(valkey.url).port
        assert port is not None
        to_redis = Proxy((LOOPBACK, port))
        ending.callback(to_redis.close)
        redis_url = valkey.url.replace(f":{port}/", f":{to_redis.port}/")
        ledger = ending.enter_context(run_ledger())
        ledger.effect_s = EFFECT_S
        stack = ending.enter_context(
            run_stack(database_url, redis_url, directory, guardian, workers=0, environ=ENVIRON)
        )
        yield Place(stack, ledger, postgres, valkey, [to_postgres, to_redis])


def main() -> int:
    """Run what is asked for; gives 1 if a promise was broken."""
    asked = _arguments()
    print(f"SEED={asked.seed} SECONDS={asked.seconds} STEP_DISPATCH={asked.dispatch}", flush=True)
    dice = random.Random(asked.seed)
    with place() as here:
        crew = Crew(here.stack, STEP_DISPATCH=asked.dispatch, **SETTINGS)
        crew.muster(2)
        load = Load(
            here.stack.url,
            [here.stack.store(each) for each in flows(here.ledger).values()],
            asked.seed,
        )
        load.begin()
        lost = _lose(here, crew, dice, asked.seconds)
        load.stop()
        is_over = _heal(here, crew, load)
        found = list(faults(here.stack, here.postgres.url, load, here.ledger))
        if not is_over:
            found.append(f"a client waits for its answer {HEALS_WITHIN_S} s after all was healed")
        _tell(here, load, lost, found)
    return bool(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long things are lost")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--dispatch", choices=("inline", "message"), default="inline")
    return parser.parse_args()


def _lose(here: Place, crew: Crew, dice: random.Random, seconds: float) -> Counter[str]:
    web = here.stack.processes[0]
    calamity = Calamity(
        here.stack, crew, here.valkey, dice, postgres=here.postgres, web=web, cables=here.cables
    )
    lost: Counter[str] = Counter()
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(dice.uniform(*EVERY_S))
        what = calamity.strike()
        lost[what] += 1
        print(f"{time.monotonic() - begun:7.1f} s  lost: {what}", flush=True)
    return lost


def _heal(here: Place, crew: Crew, load: Load) -> bool:
    for cable in here.cables:
        cable.mend()
    crew.muster(2)
    is_over = load.join(HEALS_WITHIN_S)
    load.give_up()
    return is_over


def _tell(here: Place, load: Load, lost: Counter[str], found: list[str]) -> None:
    by_status = ask(
        here.postgres.url,
        "SELECT status, count(*) FROM chaingraph_executions GROUP BY 1 ORDER BY 1",
    )
    recoveries = ask(
        here.postgres.url,
        "SELECT recovery_reason, count(*) FROM chaingraph_execution_recovery GROUP BY 1 ORDER BY 1",
    )
    effects = [each for id_ in load.created for each in here.ledger.counts(id_).values()]
    print(f"lost: {dict(lost)}")
    print(f"executions: {dict(by_status)}; taken from the dead: {dict(recoveries)}")
    print(f"effects: {len(effects)}, of them more than once: {sum(n > 1 for n in effects)}")
    print(f"watched: {len(load.watched)}; clients: {dict(load.counts)}")
    for each in found[:SHOWN]:
        print(f"BROKEN: {each}")
    print(f"{len(found)} broken promises")


if __name__ == "__main__":
    sys.exit(main())
