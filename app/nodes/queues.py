"""The queues that nodes name: what a name may be. Workers consume them, `-Q name,name`."""

from __future__ import annotations

import re

#: The queue of executions, and of nodes that name no other.
DEFAULT_QUEUE = "default"

#: What the rule for names says to whoever broke it.
QUEUE_RULE = "must be 1 to 100 letters, digits, '_', '.' or '-', and begin with a letter or digit"

#: A name stands on a command line between commas, and in the keys of the broker.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: Keys under which the broker's client keeps other things than messages.
_TAKEN = frozenset({"unacked", "unacked_index", "unacked_mutex"})


def names_a_queue(name: object) -> bool:
    """Whether a queue may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and name not in _TAKEN
