"""Who did what, noted by the statement that does it, so that one is never there without the other.

Noted are commands to executions, flows that are saved and hidden, secrets that are stored, changed,
deleted and moved to another key (app/cli/rotation.py), tokens that are made and revoked
(app/cli/token_table.py), and forks, by the ids of the new executions. Creating others is not: each
names its owner, and there are very many. Local mode keeps nothing, and notes nothing.
"""

from __future__ import annotations

from app.caller import Caller
from app.store.session import Statement

#: The types of what `noted` takes.
BY_TYPES = ", text, text"


def noted(action: str, kind: str, source: str, first: int, subject: str = "id") -> str:
    """An INSERT for a WITH clause: notes each row of `source`, whose column `subject` is its id.

    `action` is an SQL expression; $first is who did it and the parameter after that the token.
    Where nobody did it, nothing is noted.
    """
    return f"""
        INSERT INTO chaingraph_audit (owner_id, token_id, action, subject_kind, subject_id)
        SELECT ${first}, ${first + 1}, {action}, '{kind}', {subject} FROM {source}
        WHERE ${first} IS NOT NULL
    """


#: (execution, who, token): a stop, in the transaction that stops it.
NOTE_STOP = Statement(
    "note_stop",
    "text, text, text",
    noted("'stop'", "execution", "(SELECT $1 AS id) AS stopped", 2),
)


def by(caller: Caller | None) -> tuple[str | None, str | None]:
    """The parameters that say who does it: nobody where it is no caller."""
    return (None, None) if caller is None else (caller.owner_id, caller.token_id)
