"""W5 through `POST /executions/batch`: how many executions per second, all told.

Budget: 5 times DBOS with two workers in the same run; 600/s.
"""

from __future__ import annotations

import time

from benchmarks.rounds import Round, run_round
from benchmarks.stack import Stack

BUDGET = "600/s; 5 x DBOS"

#: Executions per request.
BATCH = 250


def run(stack: Stack, flow_id: str, count: int) -> Round:
    """One round."""

    def send() -> float:
        began = time.time()
        for first in range(0, count, BATCH):
            item = {"flowId": flow_id, "autostart": True}
            stack.api.post("/executions/batch", {"items": [item] * min(BATCH, count - first)})
        return began

    return run_round(stack, flow_id, count, send)
