"""What others rely on finding at the root of a checkout, and in the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name",
    [
        *("app", "tasks", "web", "migrations", "tests", "chaingraph"),
        *("celeryconfig.py", "requirements.txt", "Procfile"),
    ],
)
def test_the_root_has(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_settings_at_the_root_are_those_that_are_used() -> None:
    # The broker's place is read from the environment when either is imported.
    script = (
        "import celeryconfig, tasks;"
        "assert celeryconfig.broker_url == tasks.app.conf.broker_url;"
        "assert celeryconfig.task_serializer == tasks.app.conf.task_serializer == 'json'"
    )
    environ = {**os.environ, "REDIS_URL": "redis://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=environ)
