"""What a statement works on while it is its turn, and what many of them do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.local.guards import Guards
from app.local.rows import ClaimRow, EventBatchRow, ExecutionRow, Tables

Rows = list[tuple[Any, ...]]

#: Does what one statement does: given its turn and its parameters, changes rows and gives some.
Handler = Callable[..., Rows]

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """The tables, at one moment, for one session. `locks` are held by sessions."""

    tables: Tables
    guards: Guards
    at: datetime
    session: object
    locks: dict[int, Any]
    server_started_at: datetime

    @property
    def at_ms(self) -> datetime:
        """The moment, truncated to milliseconds."""
        return self.at.replace(microsecond=self.at.microsecond // 1000 * 1000)

    def after(self, ms: float) -> datetime:
        """The moment, so many milliseconds later."""
        return self.at + timedelta(milliseconds=ms)

    def row(self, execution_id: str) -> ExecutionRow | None:
        """An execution's row."""
        return self.tables.executions.get(execution_id)

    def held(self, execution_id: str, epoch: int) -> ExecutionRow | None:
        """An execution's row, if this epoch is the present one and its status isn't final."""
        row = self.row(execution_id)
        return row if row is not None and self.guards.holds(row, epoch) else None

    def claim(self, execution_id: str, node_id: str) -> ClaimRow | None:
        """The claim of an execution, or of one of its steps."""
        return self.tables.claims.get(execution_id, {}).get(node_id)

    def claims(self) -> list[ClaimRow]:
        """All claims."""
        return [claim for claims in self.tables.claims.values() for claim in claims.values()]

    def put_claim(self, claim: ClaimRow) -> None:
        """Insert a claim, over one that is there."""
        self.tables.claims.setdefault(claim.execution_id, {})[claim.node_id] = claim

    def release_claim(self, execution_id: str) -> None:
        """Release the claim of an execution."""
        if (claim := self.claim(execution_id, "")) is not None:
            claim.status, claim.expires_at = "released", None

    def drop_steps(self, execution_id: str) -> list[str]:
        """Forget the sent steps of an execution; gives who runs them."""
        claims = self.tables.claims.get(execution_id, {})
        steps = [claims.pop(node) for node in list(claims) if node]
        return sorted({step.worker_id for step in steps if step.status == "active"})

    def tell(self, row: ExecutionRow, types: list[str], data: str, at: datetime) -> EventBatchRow:
        """Append events to an execution's log; `data` is the text of a JSON array."""
        row.last_event_index += len(types)
        first = row.last_event_index - len(types) + 1
        batch = EventBatchRow(
            execution_id=row.id, first_index=first, written_at=at, types=types, data=data
        )
        self.tables.event_batches.setdefault(row.id, []).append(batch)
        return batch


def whole_ms(duration: timedelta) -> int:
    """A duration in milliseconds, rounded as a cast to an integer rounds."""
    return round(duration / _MS)


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two times, as least() gives it: one alone if the other is none."""
    return min((each for each in (one, other) if each is not None), default=None)


def built(value: Any) -> str:
    """JSON as json_build_object writes it."""
    return json.dumps(value, separators=(", ", " : "), ensure_ascii=False)
