"""One round: so many executions of a flow sent, waited for, and timed by PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.stack import Stack, wait_until

#: Seconds that a round may take: the slowest machine that anybody would measure on.
DONE_WITHIN_S = 600.0


class Incomplete(Exception):
    """Not every execution completed."""


@dataclass(frozen=True, slots=True)
class Round:
    """So many executions in so many seconds, from the first request to the last completion."""

    count: int
    seconds: float

    @property
    def rate(self) -> float:
        """Executions per second."""
        return self.count / self.seconds


def run_round(stack: Stack, flow_id: str, count: int, send: Callable[[], float]) -> Round:
    """Send and wait. `send` gives when its first request went out (s since 1970)."""
    began = send()
    wait_until(lambda: not stack.database.is_busy(), "everything completed", DONE_WITHIN_S)
    # PostgreSQL keeps milliseconds, and rows are created after the request.
    done = stack.database.done(flow_id, began - 0.001)
    if (done.created, done.completed) != (count, count):
        raise Incomplete(f"{done.completed} of {done.created} completed, {count} were sent")
    return Round(count, done.ended - began)
