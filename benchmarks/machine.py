"""What was measured on, and when."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil

_PAGE_BYTES = 8192
_FLUSHES = 200


def describe(directory: Path) -> list[str]:
    """Lines that say when, on what, and how slow a flush to the disk of `directory` is."""
    memory_gib = psutil.virtual_memory().total / 1024**3
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {os.cpu_count()} cores ({_processor()}), {memory_gib:.0f} GiB",
        f"Kernel: {platform.system()} {platform.release()}",
        f"Python: {platform.python_version()}",
        f"A flush of 8 KiB to this disk: {flush_ms(directory):.2f} ms (median)",
        f"Load averages before the first benchmark: {load}",
    ]


def flush_ms(directory: Path) -> float:
    """How long a write of one page takes until the disk says that it has it (ms, median)."""
    times = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(_FLUSHES):
            began = time.perf_counter()
            file.write(bytes(_PAGE_BYTES))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
