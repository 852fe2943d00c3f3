"""How a test waits: it looks again and again until a deadline, and never just sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest


def wait_until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Poll until it holds; fail with `what` when it doesn't within the time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {what}")
        time.sleep(0.01)
