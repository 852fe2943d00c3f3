"""A node that kills the process it runs in, for NODE_MODULES."""

from __future__ import annotations

import os
import signal
from typing import Annotated

from app.nodes.sdk import Port, node


@node("KillItsProcessNode", category="test")
def kill_its_process(text: str = "") -> Annotated[str, Port("never")]:
    """Kill this process with SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    return text
