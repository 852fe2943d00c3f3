"""The catalogue of Redis keys. The braces are part of the name: a cluster's hash tag.

    key                     type    lives             meaning
    ----------------------  ------  ----------------  ----------------------------------------
    cg:{execution}:events   stream  EVENT_STREAM_TTL  the tail of the execution's events. An
                                    since the last    entry is a batch: its id is the index of
                                    publish           its first event + 2, `n` how many there
                                                      are, `e` their envelopes, one a line
    cg:{execution}:start    string  until taken, or   the start signal: the execution was told
                                    the start timeout to start
    cg:{execution}:message  string  1 s               a broker message for this execution is
                                                      on its way: no second one is needed
    cg:{execution}:commands list    60 s              pause, step, stop, signal for its owner,
                                                      oldest first
    cg:{execution}:let-go   list    5 s               an entry for each process that has let a
                                                      stopped execution go
    cg:control:{worker}     list    60 s              ids of executions that have commands:
                                                      the worker process waits here
    cg:work                 list    1 s               executions for worker processes that
                                                      linger after their last one: taking one
                                                      here saves a broker message
    cg:dropped              string  1 s               a hint found its queue full: whoever takes
                                                      a message that is for nothing looks at
                                                      the backlog
    cg:rate/…               string  two windows       how often a caller called: one key for each
                                    of a limit        caller, limit and window of it
    cg:wake:{relay}         stream  60 s              an API process's reader is to look again
                                                      at what it watches

Nothing here is the only copy of anything: PostgreSQL holds the events, `start_requested_at`
and `requested`.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.events.wire import FIRST_INDEX

#: The id of the entry that begins with the first event: ids begin at 1.
_ID_OFFSET = 1 - FIRST_INDEX

#: How long (ms) a broker message may be on its way before another is sent.
MESSAGE_TTL_MS = 1000
#: How long (s) commands and wake-ups wait for a worker. Past this PostgreSQL has told it.
COMMANDS_TTL_S = 60
#: How long (s) it is told that a process has let go: nobody waits for so long.
LET_GO_TTL_S = 5

#: How the keys of RATE_LIMIT begin.
RATES = "cg:rate"
#: Where worker processes linger.
WORK = "cg:work"
#: How long (ms) an offer lies there at most; who made it takes it back at once.
WORK_TTL_MS = 1000
#: Where it is noted that a hint was dropped.
DROPPED = "cg:dropped"
#: How long (ms): by then the sweep hints.
DROPPED_TTL_MS = 1000

#: The largest index that PostgreSQL can hold.
MAX_INDEX = 2**31 - 1

EVENT_COUNT = b"n"
EVENT_LINES = b"e"


def events(execution_id: str) -> str:
    """The stream of an execution's events."""
    return f"cg:{{{execution_id}}}:events"


def start(execution_id: str) -> str:
    """The start signal of an execution."""
    return f"cg:{{{execution_id}}}:start"


def message(execution_id: str) -> str:
    """The marker that a message for an execution is on its way."""
    return f"cg:{{{execution_id}}}:message"


def commands(execution_id: str) -> str:
    """The commands for an execution's owner."""
    return f"cg:{{{execution_id}}}:commands"


def let_go(execution_id: str) -> str:
    """Where processes say that they have let an execution go."""
    return f"cg:{{{execution_id}}}:let-go"


def control(worker_id: str) -> str:
    """Where a worker process waits for commands."""
    return f"cg:control:{{{worker_id}}}"


def wake(relay_id: str) -> str:
    """Where an API process's reader is woken."""
    return f"cg:wake:{{{relay_id}}}"


def entry_id(first_index: int) -> str:
    """The id of the entry that begins with this event."""
    return f"{first_index + _ID_OFFSET}-0"


def first_index(entry: bytes) -> int:
    """The index of the event that an entry begins with. Raises ValueError for a foreign one."""
    index = int(entry.removesuffix(b"-0")) - _ID_OFFSET
    if index > MAX_INDEX:
        raise ValueError("no index is so large")
    return index


def field(fields: Sequence[bytes], name: bytes) -> bytes:
    """A field of an entry as Redis sends it: names and values in turn. May raise ValueError."""
    return fields[fields.index(name) + 1]
