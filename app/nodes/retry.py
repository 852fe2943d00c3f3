"""How a node asks to be run again later, without holding a worker until then."""

from __future__ import annotations

from app.errors import NodeError


class RetryAfter(NodeError):
    """The attempt failed; the node asks for another after a durable timer of `delay_ms`.

    Attempts are counted across crashes (`ctx.attempt`): the node itself knows when to give up,
    and then raises another NodeError. The retry policy of the document does not count here.
    """

    def __init__(self, message: str, *, delay_ms: int) -> None:
        super().__init__(message)
        self.delay_ms = delay_ms
