"""How a node waits for a signal from outside without holding a worker, a thread or a connection."""

from __future__ import annotations

import re

#: What a signal may be called.
SIGNAL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")

#: The outputs of a node that has waited: what came with the signal, and whether none came in time.
PAYLOAD = "payload"
TIMED_OUT = "timedOut"


class AwaitingSignal(Exception):
    """Raised by a node that has nothing left to do but to wait for the signal `name`.

    The node completes with the first such signal that no other node takes, or once `timeout_ms`
    have passed (None for never): one of the two. It is not run again. Its outputs are `PAYLOAD`
    and `TIMED_OUT`. The time that it waits counts towards no limit of the node.
    """

    def __init__(self, name: str, timeout_ms: int | None) -> None:
        super().__init__(f"signal {name}")
        self.name = name
        self.timeout_ms = timeout_ms
