"""What `chaingraph` exports, and what it loads for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import chaingraph
from app.config import child_environ
from app.embedded.ports import free_port

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


#: Finds nothing that the base install doesn't bring, as if only that were installed.
BASE_ALONE = """
import importlib.abc, importlib.metadata, re, sys

def brought(name, found):
    if name not in found:
        found.add(name)
        for wanted in importlib.metadata.requires(name) or ():
            if "extra ==" not in wanted and is_there(wanted):
                brought(plain(wanted), found)
    return found

def plain(text):
    return re.split(r"[^A-Za-z0-9._-]", text)[0].lower().replace("_", "-").replace(".", "-")

def is_there(wanted):
    try:
        return bool(importlib.metadata.distribution(plain(wanted)))
    except importlib.metadata.PackageNotFoundError:
        return False

BROUGHT = brought("chaingraph-celery", set())
OF = importlib.metadata.packages_distributions()

class BaseAlone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        owners = {plain(each) for each in OF.get(name.partition(".")[0], ())}
        if owners and not owners & BROUGHT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, BaseAlone())
"""


def base_alone(program: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BASE_ALONE + program],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=child_environ(CHAINGRAPH_URL=f"http://127.0.0.1:{free_port()}"),
    )


def test_the_server_is_not_to_be_had_in_the_base_install() -> None:
    # Typer brings pydantic.
    wanted = [name for name in SERVER if name != "pydantic"]
    program = (
        f"for name in {wanted}:\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError as error: print(error.name)\n"
    )
    assert base_alone(program).stdout.split() == wanted


def test_the_base_install_is_enough_for_clients_and_nodes() -> None:
    program = (
        "from chaingraph import AsyncClient, Client, ClientError, NodeContext, Port, node\n"
        "for made in (Client, AsyncClient): made()\n"
        "try: Client().health.live()\n"
        "except ClientError as error: print(type(error).__name__)\n"
    )
    ended = base_alone(program)
    assert (ended.stdout, ended.stderr) == ("ServerUnreachable\n", "")


def test_the_base_install_is_enough_for_the_command_line() -> None:
    ended = base_alone(
        "sys.argv = ['chaingraph', 'executions', 'list']\nfrom app.cli import main\nmain()"
    )
    assert ended.returncode == 3
    assert "can't be reached" in ended.stderr


@pytest.mark.parametrize("command", ["dev", "run greeting.json --local", "doctor"])
def test_a_command_that_needs_the_server_says_so_in_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "greeting.json").write_text('{"metadata": {"name": "x"}, "nodes": [], "edges": []}')
    argv = ["chaingraph", *command.split()]
    ended = base_alone(f"sys.argv = {argv}\nfrom chaingraph.__main__ import main\nmain()", tmp_path)
    [line] = ended.stderr.splitlines()
    assert line.startswith("chaingraph: No module named ")
    assert line.endswith(": install chaingraph-celery with its extra `server`")
    assert ended.returncode == 2


def test_what_is_imported_of_the_server_says_what_it_needs() -> None:
    ended = base_alone("from chaingraph import run_flow")
    assert "run_flow needs the server: install" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", chaingraph.__all__)
def test_everything_that_is_exported_is_there(name: str) -> None:
    assert getattr(chaingraph, name).__name__ == name


def test_what_is_not_exported_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'run_flows'"):
        _ = chaingraph.run_flows
