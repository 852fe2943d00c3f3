"""Who sends signals in a world, and the promises about them: to one node each, in order, none lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.books import Books, SignalRow, Violation

#: The name that the nodes of simulated flows wait for.
NAME = "go"


@dataclass
class Sendings:
    """What clients sent to one execution, and what they were told."""

    #: Of each payload: the node that the answer named, and the time (s) of the answer.
    answers: dict[int, tuple[str | None, float]] = field(default_factory=dict)


class SignalPromises:
    """Holds what nodes took against what was sent and answered."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.sent: dict[str, Sendings] = {}

    def answered(self, execution_id: str, payload: int, node_id: str | None, now: float) -> None:
        """A client has the answer 202."""
        sendings = self.sent.setdefault(execution_id, Sendings())
        sendings.answers[payload] = node_id, now

    def no_node_is_left_waiting(self, execution_id: str) -> None:
        """At rest, and nothing was ever lost: no signal lies with a node that sleeps."""
        checkpoints = self._books.checkpoints(execution_id)
        for row in self._books.signals(execution_id):
            if row.node_id and checkpoints.get(row.node_id, ("", 0))[0] == "waiting":
                raise Violation(f"{execution_id}: sleeps, and {row.node_id} was given {row}")

    def at_end(
        self, execution_id: str, outputs: dict[str, Any], began: dict[str, float], limits_s: Any
    ) -> None:
        """All is over. `outputs` of nodes that completed, `began` when each node did (s).

        `limits_s` gives the timeout of a node (s), None for none.
        """
        rows = self._books.signals(execution_id)
        nodes = [row.node_id for row in rows if row.node_id is not None]
        if len(nodes) != len(set(nodes)):
            raise Violation(f"{execution_id}: a wait ended twice: {rows}")
        _check_outputs(execution_id, rows, outputs)
        _check_order(execution_id, rows)
        sendings = self.sent.get(execution_id, Sendings())
        self._check_answers(execution_id, rows, sendings)
        for row in rows:
            if row.timed_out and row.node_id is not None:
                until = began[row.node_id] + limits_s(row.node_id)
                _check_passed_over(execution_id, row, rows, sendings, until)

    def _check_answers(
        self, execution_id: str, rows: Iterable[SignalRow], sendings: Sendings
    ) -> None:
        by_payload: dict[int, list[SignalRow]] = {}
        for row in rows:
            if row.payload is not None:
                by_payload.setdefault(row.payload, []).append(row)
        for payload, (node_id, _) in sendings.answers.items():
            found = by_payload.get(payload, [])
            if len(found) != 1:
                raise Violation(f"{execution_id}: signal {payload} is there {len(found)} times")
            if node_id is not None and found[0].node_id != node_id:
                raise Violation(f"{execution_id}: {payload} was to go to {node_id}: {found[0]}")


def _check_outputs(execution_id: str, rows: Iterable[SignalRow], outputs: dict[str, Any]) -> None:
    ended = {row.node_id: row for row in rows if row.node_id is not None}
    for node_id, given in outputs.items():
        row = ended.get(node_id)
        if row is None or given != {"payload": row.payload, "timedOut": row.timed_out}:
            raise Violation(f"{execution_id}: {node_id} gives {given}, and took {row}")


def _check_order(execution_id: str, rows: Iterable[SignalRow]) -> None:
    """Of two signals the older was taken first, or at once."""
    before: SignalRow | None = None
    for row in rows:
        if row.timed_out:
            continue
        if before is not None and row.taken_at is not None:
            is_passed_over = before.taken_at is None or before.taken_at > row.taken_at
            if is_passed_over:
                raise Violation(f"{execution_id}: {row} was taken before {before}")
        before = row


def _check_passed_over(
    execution_id: str,
    ended: SignalRow,
    rows: Iterable[SignalRow],
    sendings: Sendings,
    until: float,
) -> None:
    """A wait that its time ended left no signal lying that had come in time."""
    for row in rows:
        if row.payload is None or row.id > ended.id:
            continue
        _, answered_at = sendings.answers.get(row.payload, (None, until))
        was_kept = row.taken_at is None or row.taken_at > ended.taken_at
        if was_kept and answered_at < until:
            raise Violation(f"{execution_id}: {ended.node_id} timed out, and {row} was kept")
