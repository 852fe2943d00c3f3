"""What to run and how much of it: from the command line, each with a variable for `make`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.stack import Shape

#: The parts, in the order of running; each is named after what it measures.
PARTS = (
    "engine",
    *("latency", "start", "commands", "chain", "throughput", "profile", "queued"),
    *("footprint", "recovery", "waiting"),
    *("relay", "pools"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """One run. `count` is executions of a batch round; the other counts are derived from it."""

    rounds: int
    count: int
    shape: Shape
    peers: bool
    scale: tuple[int, ...]
    only: tuple[str, ...]
    writes_docs: bool

    @property
    def single_count(self) -> int:
        """Executions of a round with one request each."""
        return max(50, self.count // 2)

    @property
    def peer_count(self) -> int:
        """Executions of a peer's round: it takes as long as ours of `count`, about."""
        return max(50, self.count // 5)

    def includes(self, part: str) -> bool:
        """Whether a part is to run."""
        return not self.only or part in self.only


def read_options(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Read them; exits with a usage message where they are wrong."""
    given = _parser(environ).parse_args(arguments)
    return Options(
        rounds=given.rounds,
        count=given.count,
        shape=Shape(given.workers, given.children),
        peers=given.peers,
        scale=given.scale,
        only=given.only,
        writes_docs=not given.no_docs and not given.only and not given.scale,
    )


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=_positive, default=environ.get("ROUNDS", "3"), help="ROUNDS")
    add("--count", type=_positive, default=environ.get("N", "3000"), help="W5 per round: N")
    add("--workers", type=_positive, default=environ.get("WORKERS", "2"), help="WORKERS")
    add("--children", type=_positive, default=environ.get("CHILDREN", "4"), help="CHILDREN")
    add(
        "--peers",
        action="store_true",
        default=environ.get("PEERS", "") not in {"", "0"},
        help="install DBOS and run it beside us: PEERS=1",
    )
    add("--scale", type=_counts, default=environ.get("SCALE", ""), help="workers, 1,2,4: SCALE")
    add("--only", type=_parts, default=environ.get("ONLY", ""), help=f"of {', '.join(PARTS)}: ONLY")
    add("--no-docs", action="store_true", help="leave docs/performance.md as it is")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _counts(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(",") if part)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(part for part in text.split(",") if part)
    for part in parts:
        if part not in PARTS:
            raise argparse.ArgumentTypeError(f"{part} is none of {', '.join(PARTS)}")
    return parts
