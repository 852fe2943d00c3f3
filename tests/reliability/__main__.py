"""python -m tests.reliability: what is promised, shown on a real stack, one promise at a time.

Prints figures as a table; ends with 1 if a promise was broken. That something took long is none.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping

import pytest

from tests.reliability import backlog, kills, postgres_away, redis_lost, timers
from tests.reliability.place import Outcome, Place, place

#: How many of the promises that were broken are shown, of each kind.
SHOWN = 20

PARTS: Mapping[str, tuple[str, Callable[[Place], Outcome]]] = {
    "redis": (redis_lost.PROMISE, redis_lost.measure),
    "postgres": (postgres_away.PROMISE, postgres_away.measure),
    "kills": (kills.PROMISE, kills.measure),
    "backlog": (backlog.PROMISE, backlog.measure),
    "timers": (timers.PROMISE, timers.measure),
}


def main() -> int:
    """Run what is asked for; gives 1 if a promise was broken."""
    asked = _arguments()
    rows: list[str] = []
    broken = 0
    for name in asked.only or PARTS:
        promise, measure = PARTS[name]
        print(f"{name}: {promise} …", flush=True)
        load, began = os.getloadavg()[0], time.monotonic()
        outcome = _measured(measure, asked.scale)
        took_s = time.monotonic() - began
        for sentence in outcome.broken[:SHOWN]:
            print(f"  BROKEN: {sentence}", flush=True)
        broken += len(outcome.broken)
        verdict = f"**{len(outcome.broken)} broken**" if outcome.broken else "held"
        shown = "<br>".join(outcome.figures)
        rows.append(f"| {promise} | `--only {name}` | {verdict} | {shown} | {load:.1f} |")
        print(f"  {verdict} after {took_s:.0f} s\n  " + "\n  ".join(outcome.figures), flush=True)
    print("\n| promise | part | | figures | load before |\n|---|---|---|---|---|")
    print("\n".join(rows))
    return bool(broken)


def _measured(measure: Callable[[Place], Outcome], scale: float) -> Outcome:
    try:
        with place(scale) as here:
            return measure(here)
    except (pytest.fail.Exception, AssertionError) as error:
        return Outcome(broken=[str(error)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be repeated")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="0.1: a tenth of the executions, kills, timers"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
