"""What was measured on, and when."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.figures import quantiles

_PAGE_BYTES = 8192
#: Some disks stall for a moment once in a thousand flushes: fewer would not show it.
_FLUSHES = 2000
#: Between two flushes (s), as between the commits of a database with little to do.
_PAUSE_S = 0.002


def describe(directory: Path) -> list[str]:
    """Lines that say when, on what, and how slow a flush to the disk of `directory` is."""
    memory_gib = psutil.virtual_memory().total / 1024**3
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {os.cpu_count()} cores ({_processor()}), {memory_gib:.0f} GiB",
        f"Kernel: {platform.system()} {platform.release()}",
        f"Python: {platform.python_version()}",
        f"A flush of 8 KiB to this disk: {_flushes(directory)}",
        f"Load averages before the first benchmark: {load}",
    ]


def _flushes(directory: Path) -> str:
    times = flush_times_ms(directory)
    return f"{quantiles(times)}, max {max(times):.0f} ms"


def flush_times_ms(directory: Path) -> list[float]:
    """How long (ms) each write of one page takes until the disk says that it has it."""
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(_FLUSHES):
            began = time.perf_counter()
            file.write(bytes(_PAGE_BYTES))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(_PAUSE_S)
    return times


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
