"""The slots of QUEUE_CONCURRENCY: how a claim takes one, in its own statement.

A slot names the claim that took it, and is free as soon as that is not active any more, by
whatever ended it: an end, a park, a takeover. So nothing is counted, and nothing leaks.
"""

from __future__ import annotations

from app.store.session import Statement

#: Whether the claim that a slot names is active still. Once it is not, it never is again.
_IS_TAKEN = """EXISTS (
            SELECT 1 FROM chaingraph_execution_claims AS c
            WHERE c.execution_id = s.execution_id AND c.node_id = '' AND c.epoch = s.epoch
                AND c.status = 'active')"""


def free_slot(limit: str) -> str:
    """One free slot of so many, for what was picked.

    Who took a slot since this statement began has changed its row: what was read of it is
    compared anew once it is locked.
    """
    return f""", free AS MATERIALIZED (
        SELECT s.id, s.execution_id, s.epoch FROM chaingraph_slots AS s
        WHERE s.id <= {limit} AND EXISTS (SELECT 1 FROM picked) AND NOT {_IS_TAKEN}
    ), slot AS MATERIALIZED (
        SELECT s.id FROM chaingraph_slots AS s JOIN free ON free.id = s.id
            AND free.epoch = s.epoch AND free.execution_id IS NOT DISTINCT FROM s.execution_id
        LIMIT 1
        FOR UPDATE OF s SKIP LOCKED
    )"""


#: What a claim does with it.
TAKE_SLOT = """, taken AS (
        UPDATE chaingraph_slots AS s SET execution_id = e.id, epoch = e.epoch
        FROM e, slot WHERE s.id = slot.id
    )"""

#: (slots): have so many, at least.
ADD_SLOTS = Statement(
    "add_slots",
    "int",
    """
    INSERT INTO chaingraph_slots (id) SELECT generate_series(1, $1) ON CONFLICT DO NOTHING
    """,
)

#: (limit): whether that many slots are taken.
SLOTS_TAKEN = Statement(
    "slots_taken",
    "int",
    f"SELECT count(*) >= $1 FROM chaingraph_slots AS s WHERE s.id <= $1 AND {_IS_TAKEN}",
)
