"""What others rely on finding at the root of a checkout, and in the wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.app import SETTINGS

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


def test_celery_reads_the_settings_at_the_root() -> None:
    assert SETTINGS == "celeryconfig"
