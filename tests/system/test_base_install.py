"""The base install in an environment of its own: client, command line, and no server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.config import child_environ
from app.embedded.ports import free_port
from tests.system.sources import INSTALL_WITHIN_S, copy_sources

#: What would be there if the server were.
SERVER = "celery flask psycopg2 redis sqlalchemy"


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The programs of an environment that holds the base install and nothing else."""
    sources = copy_sources(tmp_path / "sources")
    there = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(there)], check=True)
    pip = [str(there / "bin" / "python"), "-m", "pip", "install", "--quiet", str(sources)]
    subprocess.run(pip, check=True, timeout=INSTALL_WITHIN_S)
    return there / "bin"


@pytest.mark.soak
@pytest.mark.timeout(INSTALL_WITHIN_S)
def test_the_base_install_has_the_client_and_no_server(scripts: Path, tmp_path: Path) -> None:
    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(scripts / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=child_environ(CHAINGRAPH_URL=f"http://127.0.0.1:{free_port()}", PYTHONPATH=""),
        )

    found = (
        "import importlib.util as u; from chaingraph import AsyncClient, Client, node;"
        f" print([each for each in '{SERVER}'.split() if u.find_spec(each)])"
    )
    assert run("python", "-c", found).stdout == "[]\n"
    assert run("chaingraph", "--version").returncode == 0
    listed = run("chaingraph", "executions", "list")
    assert (listed.returncode, listed.stdout) == (3, "")
    assert "can't be reached" in listed.stderr
