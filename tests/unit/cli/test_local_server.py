"""What is said of a local API that does not start."""

from __future__ import annotations

import pytest

from app.cli.local_server import reason_in

TRACEBACK = """\
2026-11-22T02:30:11.528516Z [error    ] Exception in worker process [gunicorn.error]
Traceback (most recent call last):
  File "registry.py", line 110, in _imported
    return import_module(name)

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "arbiter.py", line 752, in spawn_worker
app.errors.NodeDefinitionError: the module nope can't be imported
the module nope can't be imported: ModuleNotFoundError: No module named 'nope'
2026-11-22T02:30:12.513470Z [error    ] Shutting down: Master [gunicorn.error]
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            TRACEBACK,
            "the module nope can't be imported: ModuleNotFoundError: No module named 'nope'",
        ),
        ("PORT=x is not allowed: 1 to 65535\n", "PORT=x is not allowed: 1 to 65535"),
        ("2026-11-22T02:30:12Z [error] gone\n", "2026-11-22T02:30:12Z [error] gone"),
    ],
)
def test_the_reason_is_what_is_neither_log_nor_traceback(said: str, reason: str) -> None:
    assert reason_in(said) == reason
