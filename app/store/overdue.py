"""Entering the timeout of a node whose process can't: from another process of its worker."""

from __future__ import annotations

from app.store.records import Overdue
from app.store.sessions import Sessions
from app.store.step_statements import HAND_IN, HAND_IN_FOR, WAKE


class OverdueStore:
    """Hands results in for nodes that don't yield. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def time_out(self, node: Overdue) -> str | None:
        """Hand a timeout in, as if the node had been sent; gives who owns its execution then.

        The owner that ran it in place has lost it, and no crash is counted. Does nothing where
        another has the node by now.
        """
        at = (node.execution_id, node.node_id)
        with self._sessions.session() as session:
            if not node.claim_epoch:
                session.execute(HAND_IN_FOR, *at, node.attempt, node.worker_id, node.result)
                return None
            session.execute(HAND_IN, *at, node.claim_epoch, node.result)
            for (owner,) in session.execute(WAKE, node.execution_id):
                return owner if owner is None else str(owner)
        return None
