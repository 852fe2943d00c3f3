"""`app`, `tasks` and `web` are installed inside of `chaingraph`: how they get their names."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chaingraph
from app.config.places import ours
from packing.names import HIDDEN, INSTALLED, bring_up_to_date, make_anew, renamed

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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small checkout."""
    for folder in INSTALLED:
        (tmp_path / folder).mkdir()
    (tmp_path / "app" / "ids.py").write_text("from app.errors import Gone\n")
    (tmp_path / "app" / "errors.py").write_text("Gone = KeyError\n")
    (tmp_path / "migrations" / "env.py").write_text("from app.ids import Gone\n")
    (tmp_path / "samples" / "a.json").write_text('{"from app": 1}')
    return tmp_path


def files_in(copy: Path) -> dict[str, str]:
    paths = (path for path in copy.rglob("*") if path.is_file())
    return {path.relative_to(copy).as_posix(): path.read_text() for path in paths}


def test_a_copy_holds_what_is_installed(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    bring_up_to_date(root, copy)
    assert files_in(copy) == {
        "chaingraph/app/ids.py": "from chaingraph.app.errors import Gone\n",
        "chaingraph/app/errors.py": "Gone = KeyError\n",
        "chaingraph/app/migrations/env.py": "from chaingraph.app.ids import Gone\n",
        "chaingraph/app/samples/a.json": '{"from app": 1}',
    }


def test_a_copy_follows_what_is_changed_and_nothing_else(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    bring_up_to_date(root, copy)
    kept = (copy / "chaingraph/app/errors.py").stat()
    (root / "app" / "ids.py").unlink()
    (root / "app" / "names.py").write_text("from app import errors\n")
    sample = root / "samples" / "a.json"
    sample.write_text("{}")
    os.utime(sample, ns=(1, 1))

    bring_up_to_date(root, copy)

    found = files_in(copy)
    assert "chaingraph/app/ids.py" not in found
    assert found["chaingraph/app/names.py"] == "from chaingraph.app import errors\n"
    assert found["chaingraph/app/samples/a.json"] == "{}"
    now = (copy / "chaingraph/app/errors.py").stat()
    assert (now.st_ino, now.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)


def test_what_somebody_is_writing_is_copied_as_it_stands(root: Path, tmp_path: Path) -> None:
    (root / "app" / "ids.py").write_text("from app import (\n")
    bring_up_to_date(root, tmp_path / "copy")
    assert files_in(tmp_path / "copy")["chaingraph/app/ids.py"] == "from app import (\n"


def test_a_new_install_writes_all_of_it_again(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    bring_up_to_date(root, copy)
    errors = copy / "chaingraph/app/errors.py"
    changed_at = errors.stat().st_mtime_ns
    errors.write_text("by an older rule")
    os.utime(errors, ns=(changed_at, changed_at))
    make_anew(root, copy)
    assert errors.read_text() == "Gone = KeyError\n"
