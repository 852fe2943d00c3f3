"""python -m tests.simulation: many schedules, or one with everything that happened in it."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

# Nobody opens it: Celery wants to know of a broker before it tells the names of its tasks.
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:9")

from tests.simulation.memory import MemoryBackend
from tests.simulation.outcome import Outcome, digest_of
from tests.simulation.servers import postgres_store
from tests.simulation.world import MakeBackend, simulate

#: Seeds that one process is given at a time.
SHARE = 50
#: Garbage is looked for once so many more things were made than freed.
COLLECTED_AT = 20_000
#: Lines of a failing schedule that are shown.
SHOWN = 120


def main() -> int:
    """Run what is asked for; gives 1 if a schedule broke a promise."""
    asked = _arguments()
    logging.disable(logging.CRITICAL)
    if asked.seed is not None:
        with _backend(asked.store) as make:
            return _show(simulate(asked.seed, make), whole=True)
    begun = time.monotonic()
    outcomes = _run_all(range(asked.first, asked.first + asked.seeds), asked.store, asked.jobs)
    steps, broken, digests = 0, [], []
    for outcome in outcomes:
        steps += outcome.steps
        digests.append(f"seed {outcome.seed}: {outcome.steps} steps, {outcome.digest}")
        if asked.digests:
            print(digests[-1], flush=True)
        if outcome.violation is not None:
            broken.append(outcome)
            print(f"seed {outcome.seed}: {outcome.violation!r}", flush=True)
    took_s = time.monotonic() - begun
    print(f"{asked.seeds} schedules, {steps} steps, {took_s:.1f} s, {len(broken)} broken promises")
    print(f"digest of all: {digest_of(digests)}")
    if broken:
        _show(broken[0], whole=False)
    return bool(broken)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="this one alone, with its whole schedule")
    parser.add_argument("--store", choices=("memory", "postgres"), default="memory")
    parser.add_argument("--digests", action="store_true", help="a line for each schedule")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (memory)")
    return parser.parse_args()


def _run_all(seeds: Sequence[int], store: str, jobs: int) -> Iterator[Outcome]:
    if store == "postgres":
        with postgres_store() as opened:
            yield from (simulate(seed, opened.world) for seed in seeds)
        return
    shares = [seeds[at : at + SHARE] for at in range(0, len(seeds), SHARE)]
    with ProcessPoolExecutor(jobs, initializer=_begin) as pool:
        for outcomes in pool.map(_run_share, shares):
            yield from outcomes


def _begin() -> None:
    logging.disable(logging.CRITICAL)
    # Modules are never garbage, and a world is let go of as a whole.
    gc.freeze()
    gc.set_threshold(COLLECTED_AT)


def _run_share(seeds: Iterable[int]) -> list[Outcome]:
    return [_sendable(simulate(seed, MemoryBackend)) for seed in seeds]


def _sendable(outcome: Outcome) -> Outcome:
    """Schedules that went well are not sent between processes."""
    return outcome if outcome.violation is not None else outcome.without_trace()


@contextmanager
def _backend(store: str) -> Iterator[MakeBackend]:
    if store == "memory":
        yield MemoryBackend
    else:
        with postgres_store() as opened:
            yield opened.world


def _show(outcome: Outcome, *, whole: bool) -> int:
    print(f"\nseed {outcome.seed}, {outcome.executions} executions:")
    print("\n".join(outcome.trace if whole else outcome.trace[-SHOWN:]))
    if outcome.violation is None:
        print("every promise was kept")
        return 0
    traceback.print_exception(outcome.violation)
    return 1


if __name__ == "__main__":
    sys.exit(main())
