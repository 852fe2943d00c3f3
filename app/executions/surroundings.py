"""What the runs of a process share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event

from app.executions.channels import Flag
from app.executions.plans import PlanCache
from app.executions.steps import Mailbox, Step
from app.executions.writer import Pause, Publish
from app.store.protocol import RunStore

#: Sends steps (execution, nodes) to whichever worker takes them.
SendSteps = Callable[[str, Sequence[str]], object]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What runs share in a process.

    `clock` is monotonic, in seconds; `launch` runs a step in a thread of its own; `send`, if
    steps are sent as messages, sends them; `linger` waits a moment for an execution that is
    offered to whoever is awake; `is_draining` says that the process is to end: no node starts
    any more; `let_go` hears of an execution that was taken from this process, once nothing of it
    begins here any more. `mailbox` and `flag` make what threads hand each other things with.
    """

    store: RunStore
    publish: Publish
    plans: PlanCache
    launch: Callable[[Step], None]
    clock: Callable[[], float]
    pause: Pause
    lease_s: float
    max_value_bytes: int
    is_draining: Callable[[], bool]
    send: SendSteps | None = None
    linger: Callable[[], str | None] = lambda: None
    let_go: Callable[[str], object] = lambda _: None
    mailbox: Callable[[], Mailbox] = SimpleQueue
    flag: Callable[[], Flag] = Event
