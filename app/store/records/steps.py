"""Node steps with a claim of their own, and attempts that another process must give up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.store.records.ownership import Fence


@dataclass(frozen=True, slots=True)
class SentStep:
    """A node step that was sent: its claim's status, and its result once it was handed in."""

    node_id: str
    attempt: int
    status: str
    result: str | None


@dataclass(frozen=True, slots=True)
class ClaimedStep:
    """A sent step that this process owns from now on, with what its inputs are made of."""

    fence: Fence
    attempt: int
    flow_id: str
    flow_version: int
    owner_id: str
    root_execution_id: str
    parent_execution_id: str | None
    options: str
    inputs: str | None
    integration: str | None
    external_events: str | None = None


class Overdue(NamedTuple):
    """An attempt whose process can't give it up itself: whose it is, and what is to come of it.

    `claim_epoch` is that of a sent step's own claim, 0 where the execution's owner runs the
    node; `worker_id` names the process; `result` is JSON, as a sent step hands it in.
    """

    execution_id: str
    node_id: str
    attempt: int
    claim_epoch: int
    worker_id: str
    result: str
