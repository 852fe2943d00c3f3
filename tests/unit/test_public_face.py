"""What `chaingraph` exports, and what it loads for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import chaingraph

SERVER = ("celery", "flask", "psycopg", "psycopg2", "pydantic", "redis", "sqlalchemy")


def test_the_client_and_a_module_of_nodes_load_nothing_of_the_server() -> None:
    program = (
        "import sys; from chaingraph import Client, NodeContext, Port, node;"
        f"print([each for each in {SERVER} if each in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize("name", chaingraph.__all__)
def test_everything_that_is_exported_is_there(name: str) -> None:
    assert getattr(chaingraph, name).__name__ == name


def test_what_is_not_exported_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'run_flows'"):
        _ = chaingraph.run_flows
