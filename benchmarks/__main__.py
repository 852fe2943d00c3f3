"""`python -m benchmarks`: measure, print, and write docs/performance.md."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    chain_100,
    engine,
    footprint,
    machine,
    pools,
    profile,
    queued,
    recovery,
    report,
    scale,
    start_latency,
    throughput,
    w5_latency,
    waiting,
)
from benchmarks.figures import Results
from benchmarks.options import Options, read_options
from benchmarks.stack import ROOT, Stack, run_stack, scratch

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
    if options.includes("engine"):
        _say("engine")
        engine.measure(results)
    profiled = None
    parts = _on_the_stack(options, results)
    if any(options.includes(part) for part in (*parts, "profile")):
        with run_stack(options.shape, directory) as stack:
            throughput.warm_up(stack)
            for part, measure in parts.items():
                if options.includes(part):
                    _say(part)
                    measure(stack)
            if options.includes("profile"):
                _say("profile")
                profiled = profile.measure(stack, options)
    if options.includes("pools"):
        _say("pools")
        pools.measure(options, results)
    return profiled


def _on_the_stack(options: Options, results: Results) -> dict[str, Callable[[Stack], None]]:
    """What runs on one stack, in order; last what leaves something behind."""
    return {
        "latency": lambda stack: w5_latency.measure(stack, results),
        "start": lambda stack: start_latency.measure(stack, results),
        "chain": lambda stack: chain_100.measure(stack, results),
        "throughput": lambda stack: throughput.measure(stack, options, results),
        "queued": lambda stack: queued.measure(stack, results),
        "footprint": lambda stack: footprint.measure(stack, results),
        "recovery": lambda stack: recovery.measure(stack, results),
        "waiting": lambda stack: waiting.measure(stack, options, results),
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


def _say(part: str) -> None:
    print(f"{part} …", flush=True)


if __name__ == "__main__":
    main()
