"""Servers of an earlier run that still work on the data: ended before the next ones start.

Only whoever holds the data directory's lock may call this. A server is known by its process id
and by the directory it is in, or by the password that it asks for; never by a name.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from app.embedded.locate import EmbeddedServerError
from app.embedded.valkey import EmbeddedValkey, recall_identity

ENDS_WITHIN_S = 10.0
POLL_S = 0.05


def end_left_postgres(data: Path) -> bool:
    """End a postmaster that still runs over `data`; return whether there was one.

    A pid file that names somebody else's process is removed: PostgreSQL would take that
    process, which got the number after a restart of the machine, for a server.
    Raises EmbeddedServerError when it doesn't end within ENDS_WITHIN_S.
    """
    import psutil

    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
        is_ours = Path(process.cwd()) == data
    except (OSError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    if not is_ours:
        pid_file.unlink()
        return False
    process.send_signal(signal.SIGINT)
    try:
        process.wait(ENDS_WITHIN_S)
    except psutil.TimeoutExpired as error:
        raise EmbeddedServerError(
            f"PostgreSQL of an earlier run (process {process.pid}) does not end"
        ) from error
    return True


def end_left_valkey(directory: Path, program: Path) -> bool:
    """End a Valkey that still serves `directory`; return whether there was one."""
    identity = recall_identity(directory)
    if identity is None:
        return False
    server = EmbeddedValkey(program, directory, identity)
    if not server.is_ready():
        return False
    server.shut_down()
    deadline = time.monotonic() + ENDS_WITHIN_S
    while server.is_ready():
        if time.monotonic() > deadline:
            raise EmbeddedServerError("Valkey of an earlier run does not end")
        time.sleep(POLL_S)
    return True
