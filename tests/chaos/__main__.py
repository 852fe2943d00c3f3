"""python -m tests.chaos: a real stack under load, and whatever can be lost is lost, for a while.

Prints what it did and what it found; ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from pathlib import Path

from tests.chaos.place import draw_plan
from tests.chaos.report import lines
from tests.chaos.session import run


def main() -> int:
    """Run what is asked for; gives 1 if a promise was broken."""
    asked = _arguments()
    # What was started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    plan = draw_plan(asked.seed, asked.seconds, pool=asked.pool, dispatch=asked.dispatch)
    print(plan, flush=True)
    keep = asked.json and asked.json.with_suffix("")
    told = run(plan, lambda text: print(text, flush=True), keep)
    for line in lines(told):
        print(line)
    if asked.json:
        asked.json.write_text(json.dumps(told.as_json(), indent=1))
    return bool(told.violations)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long things are lost")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--pool", choices=("prefork", "threads"), help="else drawn")
    parser.add_argument("--dispatch", choices=("inline", "message"), help="else drawn")
    parser.add_argument("--json", type=Path, help="a file for the same; logs beside it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
