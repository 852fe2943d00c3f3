"""In-process stand-ins: a flow runs here without store, broker, clock or threads."""

from __future__ import annotations

from app.local.inprocess import LocalResult, NodeResult, Order, run_in_process

__all__ = ["LocalResult", "NodeResult", "Order", "run_in_process"]
