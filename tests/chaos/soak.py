"""python -m tests.chaos.soak: chaos for long, in both pools and dispatch modes, seed after seed.

Each seed runs in a process of its own; to start, to heal and to judge takes a minute or two more.
Then come the tests that are marked `soak`. Prints one table of all, in Markdown; ends with 1 if a
promise was broken, or a test failed, and says where the logs are.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.chaos.report import Report, lines, table

#: Pools and dispatch modes, in the order in which they have their turn.
WAYS = (
    ("prefork", "inline"),
    ("threads", "message"),
    ("prefork", "message"),
    ("threads", "inline"),
)
#: How long (s) one seed has at most.
LONGEST_S = 300.0
#: What one seed needs beside that (s), at most: to start, to heal, to judge.
REST_S = 1200.0
#: What pytest ends with when nothing is marked.
NO_TESTS = 5


def main() -> int:
    """Run what is asked for; gives 1 if something went wrong."""
    asked = _arguments()
    seconds = asked.minutes * 60
    turns = max(len(WAYS), math.ceil(seconds / LONGEST_S))
    reports: list[Report] = []
    without_verdict: list[str] = []
    directory = Path(tempfile.mkdtemp(prefix="chaingraph-soak-"))
    for seed, (pool, dispatch) in zip(
        range(asked.seed, asked.seed + turns), itertools.cycle(WAYS), strict=False
    ):
        told = _chaos(directory, seed, seconds / turns, pool, dispatch)
        if told is None:
            without_verdict.append(f"seed {seed}, {pool}, {dispatch}: no verdict")
        else:
            reports.append(told)
    have_passed = _marked_tests()
    for told in reports:
        print(f"\nseed {told.seed}, {told.pool}, {told.dispatch}")
        print("\n".join(lines(told)))
    print("\n" + "\n".join([*table(reports), *without_verdict]))
    is_well = have_passed and not without_verdict and not any(each.violations for each in reports)
    if is_well:
        shutil.rmtree(directory)
    else:
        print(f"\nlogs: {directory}")
    return not is_well


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long things are lost in all")
    parser.add_argument("--seed", type=int, default=1, help="the first of the seeds")
    return parser.parse_args()


def _chaos(directory: Path, seed: int, seconds: float, pool: str, dispatch: str) -> Report | None:
    """One seed; nothing if it could not come to a verdict."""
    told = directory / f"{seed}.json"
    arguments = {
        "--seed": str(seed),
        "--seconds": str(seconds),
        "--pool": pool,
        "--dispatch": dispatch,
        "--json": str(told),
    }
    command = [sys.executable, "-m", "tests.chaos", *itertools.chain(*arguments.items())]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, check=False, timeout=seconds + REST_S)
    return Report(**json.loads(told.read_text())) if told.exists() else None


def _marked_tests() -> bool:
    done = subprocess.run([sys.executable, "-m", "pytest", "-m", "soak"], check=False)
    return done.returncode in {0, NO_TESTS}


if __name__ == "__main__":
    sys.exit(main())
