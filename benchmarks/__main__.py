"""`python -m benchmarks`: measure, print, and write docs/performance.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError

from benchmarks import (
    chain_100,
    commands,
    engine,
    footprint,
    machine,
    pools,
    profile,
    queued,
    recovery,
    relay,
    report,
    scale,
    start_latency,
    throughput,
    w5_latency,
    waiting,
)
from benchmarks.api import Refused
from benchmarks.figures import Results
from benchmarks.options import PARTS, Options, read_options
from benchmarks.peers import PeerFailed
from benchmarks.recovery import NotOurs
from benchmarks.rounds import Incomplete
from benchmarks.stack import ROOT, Stack, StackFailed, run_stack, scratch

#: What a machine that is too slow or too busy, or a stack with a fault, does to a part.
WRONG = (
    *(TimeoutError, LookupError, ConnectionError, CalledProcessError),
    *(Incomplete, Refused, NotOurs, StackFailed, PeerFailed),
)

#: Parts that run without a stack, or on one of their own.
APART = {"engine", "relay", "pools"}

PAGE = ROOT / "docs" / "performance.md"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the options ask for."""
    given = sys.argv[1:] if arguments is None else arguments
    options = read_options(given)
    results = Results()
    with scratch() as directory:
        found = machine.describe(directory)
        profiled = _measure(options, directory, results)
    measured = report.render(results, profiled, found, _command(options))
    print(f"\n{measured}")
    if options.writes_docs:
        report.write(PAGE, measured)
        print(f"\nwritten: {PAGE.relative_to(ROOT)}")


def _measure(options: Options, directory: Path, results: Results) -> profile.Profile | None:
    if options.scale:
        scale.measure(options, results)
        return None
    profiles: list[profile.Profile] = []
    _run(options, results, {"engine": lambda: engine.measure(results)})
    if any(options.includes(part) for part in PARTS if part not in APART):
        with run_stack(options.shape, directory) as stack:
            throughput.warm_up(stack)
            _run(options, results, _on_the_stack(stack, options, results, profiles))
    apart = {
        "relay": lambda: relay.measure(results),
        "pools": lambda: pools.measure(options, results),
    }
    _run(options, results, apart)
    return profiles[0] if profiles else None


def _run(options: Options, results: Results, parts: Mapping[str, Callable[[], None]]) -> None:
    """Run the parts that are asked for; one that went wrong is noted, and the next one run."""
    for part, measure in parts.items():
        if not options.includes(part):
            continue
        print(f"{part} …", flush=True)
        try:
            measure()
        except WRONG as error:
            results.notes.append(f"{part} was not measured: {type(error).__name__}: {error}")
            print(f"  {results.notes[-1]}", flush=True)


def _on_the_stack(
    stack: Stack, options: Options, results: Results, profiles: list[profile.Profile]
) -> dict[str, Callable[[], None]]:
    """What runs on one stack, in order; last what leaves something behind."""
    return {
        "latency": lambda: w5_latency.measure(stack, results),
        "start": lambda: start_latency.measure(stack, results),
        "commands": lambda: commands.measure(stack, results),
        "chain": lambda: chain_100.measure(stack, results),
        "throughput": lambda: throughput.measure(stack, options, results),
        "profile": lambda: profiles.append(profile.measure(stack, options)),
        "queued": lambda: queued.measure(stack, options, results),
        "footprint": lambda: footprint.measure(stack, results),
        "recovery": lambda: recovery.measure(stack, results),
        "waiting": lambda: waiting.measure(stack, options, results),
    }


def _command(options: Options) -> str:
    """How to have the same measured again."""
    given = {
        "N": str(options.count),
        "ROUNDS": str(options.rounds),
        "PEERS": "1" if options.peers else "",
        "SCALE": ",".join(map(str, options.scale)),
        "WORKERS": str(options.shape.workers),
        "CHILDREN": str(options.shape.children),
    }
    return " ".join(["make bench", *(f"{name}={value}" for name, value in given.items() if value)])


if __name__ == "__main__":
    main()
