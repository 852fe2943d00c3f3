"""`app`, `tasks` and `web` are installed inside of `chaingraph`: how they get their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaingraph
from app.config.places import ours
from packing import HIDDEN, INSTALLED, renamed

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for folder in INSTALLED for path in (ROOT / folder).rglob("*.py") if path.is_file()
)

#: What looks like a module's name, and perhaps something of it.
NAME = re.compile(rf"(?:python:)?((?:{'|'.join(HIDDEN)})(?:\.\w+)*)(?::.*)?")


@pytest.mark.parametrize(
    ("written", "installed"),
    [
        ("from app import ids\n", "from chaingraph.app import ids\n"),
        (
            "    from  web.loop import (\n  app)\n",
            "    from  chaingraph.web.loop import (\n  app)\n",
        ),
        ("import os; from tasks import app\n", "import os; from chaingraph.tasks import app\n"),
        ("a = 'é'; from app.ids import new\n", "a = 'é'; from chaingraph.app.ids import new\n"),
        ("'''from app import x'''\n", "'''from app import x'''\n"),
        ("from application import app\n", "from application import app\n"),
        ("from .app import web\n", "from .app import web\n"),
        ("from celery import app\r\nimport web3\r\n", "from celery import app\r\nimport web3\r\n"),
        ("from chaingraph.app import ids\n", "from chaingraph.app import ids\n"),
    ],
)
def test_only_the_names_in_imports_change(written: str, installed: str) -> None:
    indented = written.startswith(" ")
    before = "if True:\n" if indented else ""
    assert renamed((before + written).encode()).decode() == before + installed


@pytest.mark.parametrize("written", ["import app.ids", "import os, web", "import tasks as t"])
def test_an_import_that_binds_the_name_itself_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: `import \w+(\.ids)?`: write `from … import …`"):
        renamed(written.encode())


def test_an_import_over_several_lines_before_its_name_is_refused() -> None:
    with pytest.raises(ValueError, match="in one line"):
        renamed(b"from \\\n  app import ids\n")


def test_every_module_of_ours_can_be_renamed() -> None:
    for path in SOURCES:
        written = path.read_bytes()
        installed = renamed(written)
        assert len(installed.splitlines()) == len(written.splitlines()), path
        assert not {*imported_from(installed)} & {*HIDDEN}, path


def imported_from(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0]


def named_in_strings(path: Path) -> Iterator[str]:
    """The modules of ours that a source names in strings, but for what is handed to `ours`."""
    tree = ast.parse(path.read_bytes())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    handed = {id(it) for call in calls if is_ours(call.func) for it in call.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in handed:
            found = NAME.fullmatch(str(node.value))
            if found and "." in found[0] and is_module(found[1]):
                yield found[0]


def is_ours(func: ast.expr) -> bool:
    return isinstance(func, ast.Name) and func.id == "ours"


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


#: They have to do with the names themselves: `ours` is in one, the other hands it a whole table.
EXEMPT = {
    "app/config/places.py": {"app.config.places"},
    "chaingraph/__init__.py": {
        "app.client",
        "app.local.node_trial",
        "app.local.trial",
        "web.programming",
    },
}


def test_a_module_that_is_named_in_a_string_is_named_by_ours() -> None:
    named = {path.relative_to(ROOT).as_posix(): {*named_in_strings(path)} for path in SOURCES}
    assert {path: names for path, names in named.items() if names} == EXEMPT


def test_in_a_checkout_a_package_has_its_own_name() -> None:
    assert ours("web.loop") == "web.loop"
    assert chaingraph.node.__module__ == "app.nodes.sdk"
