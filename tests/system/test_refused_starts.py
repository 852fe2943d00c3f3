"""Processes that don't start say in one line which setting is wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.config import child_environ
from app.embedded.ports import free_port
from tests.system.stack import UNSET

ENDS_WITHIN_S = 60
NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}

WEB = ("gunicorn", "-c", "python:web.gunicorn_conf", "web:create_app()")
WORKER = ("celery", "-A", "tasks", "worker", "-c", "1")


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
    return ended.stderr


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_a_node_module_that_can_not_be_loaded_is_named(command: tuple[str, ...]) -> None:
    said = refusal(command, NODE_MODULES="nowhere")
    assert "NODE_MODULES=nowhere: the module nowhere can't be imported: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", [WEB, WORKER], ids=["web", "worker"])
def test_a_wrong_value_is_all_that_is_said(command: tuple[str, ...]) -> None:
    said = refusal(command, WORKER_POOL="gevent")
    assert said == "WORKER_POOL=gevent is not allowed: prefork or threads\n"
