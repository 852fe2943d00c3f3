"""The node that waits for a signal from outside."""

from __future__ import annotations

import math
from typing import Annotated, Any, NamedTuple

from app.errors import NodeError
from app.nodes.library.flow import CATEGORY, LONGEST_SLEEP_MS
from app.nodes.sdk import Port, node
from app.nodes.signal import SIGNAL_NAME, AwaitingSignal


class Signal(NamedTuple):
    """What came with a signal, and whether none came in time."""

    payload: Any
    timed_out: Annotated[bool, Port("timedOut")]


@node(
    "WaitForSignalNode",
    category=CATEGORY,
    title="Wait for Signal",
    in_place=True,
    tags=("signal", "wait", "approval", "event"),
)
def wait_for_signal(
    name: Annotated[str, Port(required=True)],
    timeout_ms: Annotated[float, Port("timeoutMs", min=0)] = 0,
) -> Signal:
    """Waits for a signal that is sent to the execution. It holds no worker meanwhile.

    Ports: `name` of the signal, `timeoutMs` how long to wait, in milliseconds (0: for ever),
    `payload` what was sent with it, `timedOut` whether none came in time.
    """
    if not SIGNAL_NAME.fullmatch(name):
        raise NodeError(
            f"'{name[:200]}' can't be a signal's name: 1 to 128 letters, digits, '_', '.' and '-'"
        )
    if timeout_ms > LONGEST_SLEEP_MS:
        raise NodeError(f"timeoutMs is {timeout_ms:g}; at most {LONGEST_SLEEP_MS} are allowed")
    raise AwaitingSignal(name, math.ceil(timeout_ms) if timeout_ms else None)
