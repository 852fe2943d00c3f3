"""The same batches as W5, with pure nodes: several of them may share a checkpoint.

Budget: 1.5 times the effectful W5.
"""

from __future__ import annotations

from benchmarks.w5_batch import run

__all__ = ["BUDGET", "run"]

BUDGET = "1.5 x effectful"
