"""Retention: what ended long ago is deleted, tree by tree, a little at each sweep, and with it
what was noted so long ago of who did what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.store.records import Deleted, Place

#: A sweep deletes for so long (s): recoveries must not wait for it.
MOST_S = 0.1
#: Executions that one statement looks at, or purges.
EXECUTIONS = 100
#: Descendants of deleted roots that one statement deletes.
DESCENDANTS = 500
#: Rows of each table that one statement purges, and rows of the audit.
ROWS = 2000
#: What belongs to a deleted execution stays for so long (ms): for who read its row just before.
READERS_MS = 60_000
#: When all is done, old ones are looked for again so much later (s).
REST_S = 30.0


class RetentionStore(Protocol):
    """What retention does to the store. Every method may raise StoreUnavailable."""

    def delete_roots(self, days: int, after: Place | None, limit: int) -> Deleted:
        """Delete roots whose trees ended so many days ago, of the next executions by age."""
        ...

    def delete_descendants(self, roots: int, limit: int) -> int:
        """Delete so many descendants of deleted roots; gives of how many."""
        ...

    def purge(self, older_than_ms: int, executions: int, rows: int) -> int:
        """Delete what belonged to deleted executions; gives of how many."""
        ...

    def forget_audit(self, days: int, rows: int) -> int:
        """Delete what was noted so many days ago; gives how many rows those were."""
        ...


class Retention:
    """One process's part in it. For one thread. `clock` is monotonic, in seconds.

    `days` is RETENTION_DAYS; 0 keeps everything. `between` is called before each deletion, for what
    must not wait until all are done.
    """

    def __init__(
        self,
        store: RetentionStore,
        days: int,
        clock: Callable[[], float],
        between: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._days = days
        self._clock = clock
        self._between = between
        self._after: Place | None = None
        self._is_round_over = False
        self._next_at = 0.0
        self._audit_at = 0.0

    def turn(self) -> None:
        """Delete a little, if there is anything to delete. Raises StoreUnavailable."""
        until = self._clock() + MOST_S
        self._forget_audit()
        while self._next_at <= self._clock() < until:
            self._between()
            if not (self._purge() or self._delete_descendants() or self._delete_roots()):
                self._next_at = self._clock() + REST_S

    def _purge(self) -> bool:
        return self._store.purge(READERS_MS, EXECUTIONS, ROWS) > 0

    def _delete_descendants(self) -> bool:
        return self._store.delete_descendants(EXECUTIONS, DESCENDANTS) > 0

    def _forget_audit(self) -> None:
        if not self._days or self._clock() < self._audit_at:
            return
        if not self._store.forget_audit(self._days, ROWS):
            self._audit_at = self._clock() + REST_S

    def _delete_roots(self) -> bool:
        """Delete of the next executions; False at the end of the round."""
        if not self._days or self._is_round_over:
            self._is_round_over = False
            return False
        deleted = self._store.delete_roots(self._days, self._after, EXECUTIONS)
        self._after = deleted.last
        # The descendants of those that went last don't wait for the next round.
        self._is_round_over = deleted.last is None and deleted.gone > 0
        return deleted.last is not None or self._is_round_over
