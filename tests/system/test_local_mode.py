"""`EXECUTION_MODE=local` as a user meets it: one process, no servers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.config import child_environ
from app.embedded.ports import free_port

ENDS_WITHIN_S = 150
SAMPLES = Path(__file__).parents[2] / "samples"
NOWHERE = {
    "DATABASE_URL": "postgresql://127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
    "BROKER_URL": "",
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return child_environ(
        **NOWHERE,
        EXECUTION_MODE="local",
        PORT=str(free_port()),
        DEV_ECHO_PORT=str(free_port()),
        DATA_DIR=str(tmp_path / "data"),
    )


def refusal(environ: dict[str, str], *command: str) -> str:
    """What a program says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        env=environ,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


@pytest.fixture
def dev(environ: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with (tmp_path / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "dev", "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environ,
            start_new_session=True,
        )
    yield process
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=ENDS_WITHIN_S)


def test_one_process_serves_and_runs(
    dev: subprocess.Popen[str], environ: dict[str, str], tmp_path: Path
) -> None:
    assert dev.stdout is not None
    line = dev.stdout.readline()
    assert line, (tmp_path / "stderr").read_text()
    assert set(json.loads(line)) == {"api", "logs", "try"}

    ended = subprocess.run(
        [sys.executable, "-m", "app", "run", str(SAMPLES / "greeting.json")],
        capture_output=True,
        text=True,
        env=environ,
        timeout=ENDS_WITHIN_S,
        check=True,
    )

    assert ended.stdout == "greeting = Hello Ada!\n"
    programs = [" ".join(each.cmdline()) for each in psutil.Process(dev.pid).children()]
    assert [each for each in programs if "celery" in each or "postgres" in each] == []


def run_locally(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", "run", *arguments, "--local"],
        capture_output=True,
        text=True,
        env=environ,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


def test_a_flow_runs_without_a_server(environ: dict[str, str]) -> None:
    ran = run_locally(environ, str(SAMPLES / "greeting.json"), "--input", "who.text=Grace")
    assert (ran.returncode, ran.stdout) == (0, "greeting = Hello Grace!\n"), ran.stderr


def test_a_second_process_is_refused(environ: dict[str, str]) -> None:
    gunicorn = ("gunicorn", "-c", "python:web.gunicorn_conf", "-w", "2", "web:create_app()")
    assert "EXECUTION_MODE=local is one process" in refusal(environ, *gunicorn)


def test_a_worker_is_refused(environ: dict[str, str]) -> None:
    # What every Celery command reads first.
    said = refusal(environ, "tasks.celeryconfig")
    assert "EXECUTION_MODE=local has neither broker nor workers" in said
