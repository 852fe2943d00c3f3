"""The API in a process of its own that is all there is, for as long as one command runs."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

from app.cli.extras import require_server
from app.cli.programs import Programs
from app.config import NOT_LOCAL, child_environ, load_settings
from app.embedded.ports import LOOPBACK, free_port
from app.errors import ChainGraphError
from app.supervisor import Program
from app.supervisor.guardian import Guardian

#: How long (s) it may take to serve, and to end.
STARTS_WITHIN_S = 120.0
ENDS_WITHIN_S = 10.0
#: How long (s) between two looks whether it serves.
LOOK_EVERY_S = 0.05

#: Lines of the log begin with a time, those of a traceback with blanks or its headings.
_IS_SAID = re.compile(r"(?!\d{4}-\d\d|\s|Traceback|During handling|The above|$)")


class NotStarted(ChainGraphError):
    """The local API did not start."""


@contextmanager
def local_server() -> Iterator[str]:
    """Serve the API in local mode on a port of its own; gives its URL. Raises NotStarted."""
    require_server()
    # For this command alone: it asks for no token, and takes calls of this machine only.
    given = {"EXECUTION_MODE": "local", "HOST": LOOPBACK, "PORT": str(free_port())}
    given |= NOT_LOCAL
    environ = child_environ(**given, LOG_LEVEL="warning")
    settings = load_settings(environ)
    web = Programs(settings, environ).web()
    guardian = Guardian()
    try:
        with tempfile.TemporaryDirectory(prefix="chaingraph-") as directory:
            said = Path(directory) / "said"
            process = _start(web, said)
            # Also where this command is killed nothing stays behind.
            guardian.watch(process.pid, SIGTERM, rank=0)
            try:
                _await(web, process, said)
                yield f"http://{LOOPBACK}:{settings.port}"
            finally:
                _end(process)
                guardian.forget(process.pid)
    finally:
        guardian.close()


def _start(web: Program, said: Path) -> subprocess.Popen[bytes]:
    with said.open("wb") as out:
        return subprocess.Popen(
            web.command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(web.environ),
            start_new_session=True,
        )


def _await(web: Program, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while web.is_ready and not web.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotStarted(f"the local API did not start: {reason_in(said.read_text())}")
        time.sleep(LOOK_EVERY_S)


def reason_in(said: str) -> str:
    """The last thing said that is neither a line of the log nor of a traceback."""
    lines = [line for line in said.splitlines() if _IS_SAID.match(line)]
    return lines[-1] if lines else said.strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
