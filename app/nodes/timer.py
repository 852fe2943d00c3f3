"""How a node waits for a time without holding a worker, a thread or a connection."""

from __future__ import annotations


class Sleeping(Exception):
    """Raised by a node that has nothing left to do but to let `delay_ms` pass.

    The node waits on a durable timer, and completes once that has fired; it is not run again.
    Its only output is `port`: how long it waited, in milliseconds. The time that a timer takes
    counts towards no limit of the node.
    """

    def __init__(self, delay_ms: int, port: str) -> None:
        super().__init__(f"{delay_ms} ms")
        self.delay_ms = delay_ms
        self.port = port
