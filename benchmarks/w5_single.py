"""W5 through `POST /executions` with autostart, one request each, by many clients at once.

Budget: 3 times DBOS with two workers in the same run; 350/s.
"""

from __future__ import annotations

from benchmarks.load import post_all
from benchmarks.rounds import Round, run_round
from benchmarks.stack import Stack

BUDGET = "350/s; 3 x DBOS"

CLIENTS = 16


def run(stack: Stack, flow_id: str, count: int) -> Round:
    """One round."""
    bodies = [{"flowId": flow_id, "autostart": True}] * count

    def send() -> float:
        return post_all(stack.api.port, "/executions", bodies, CLIENTS).began

    return run_round(stack, flow_id, count, send)
