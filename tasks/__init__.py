"""The Celery app and its tasks: hints that come as messages, and what they call."""

from __future__ import annotations

from tasks.app import app
from tasks.keeper import Keeper
from tasks.steps import advance, await_start, run_node

__all__ = ["Keeper", "advance", "app", "await_start", "run_node"]
