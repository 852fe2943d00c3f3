"""Processes that don't start say in one line which setting is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.config import child_environ
from app.embedded.ports import free_port
from tests.system.stack import UNSET

ENDS_WITHIN_S = 150
NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}

WEB = ("gunicorn", "-c", "python:web.gunicorn_conf", "web:create_app()")
WORKER = ("celery", "-A", "tasks", "worker", "-c", "1")
DOCTOR = ("app", "doctor")
DEV = ("app", "dev")


def refusal(command: tuple[str, ...], **given: str) -> str:
    """What a program says that does not start."""
    environ = child_environ(**{**UNSET, **NOWHERE, "PORT": str(free_port()), **given})
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        env=environ,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert ended.returncode not in {0, None}
    return ended.stdout + ended.stderr


#: Its parameter can't have this default.
WRONG_NODE = """
from typing import Annotated
from chaingraph import Port, node

@node("ShoutNode", category="text")
def shout(times: Annotated[int, Port(max=3)] = 4) -> None: ...
"""


@pytest.mark.parametrize("command", [WEB, WORKER, DOCTOR], ids=["web", "worker", "command line"])
def test_a_node_that_is_written_wrongly_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    module = tmp_path / "my_nodes.py"
    module.write_text(WRONG_NODE)
    said = refusal(command, NODE_MODULES="my_nodes", PYTHONPATH=str(tmp_path))
    assert (
        f"NODE_MODULES=my_nodes: {module}:5, shout: its parameter 'times' has a default that it"
        " does not allow: it must be at most 3"
    ) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_a_wrong_value_is_all_that_is_said(command: tuple[str, ...]) -> None:
    said = refusal(command, WORKER_POOL="gevent")
    assert said == "WORKER_POOL=gevent is not allowed: prefork or threads\n"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("no_such_nodes", "can't be imported: ModuleNotFoundError: No module named"),
        ("crash", "ended with 7"),
    ],
)
def test_a_module_that_is_missing_is_all_that_is_said_and_nothing_is_started(
    tmp_path: Path, module: str, reason: str
) -> None:
    (tmp_path / "crash.py").write_text("import os\nos._exit(7)\n")
    data = tmp_path / "data"
    said = refusal(DEV, NODE_MODULES=module, PYTHONPATH=str(tmp_path), DATA_DIR=str(data))
    [line] = said.splitlines()
    assert line.startswith(f"chaingraph: NODE_MODULES={module}: ")
    assert reason in line
    assert not data.exists()
