"""In-process stand-ins: a store, streams and a worker of one process, for local mode and tests.

`run_in_process` does without any of them: no store, no broker, no clock, no threads.
"""

from __future__ import annotations

from app.local.inprocess import LocalResult, NodeResult, Order, run_in_process

__all__ = ["LocalResult", "NodeResult", "Order", "run_in_process"]
