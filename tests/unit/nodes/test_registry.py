"""Built-in types, those of the operator's modules and of packages; clashes are named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app.errors import NodeDefinitionError, SettingsError
from app.nodes import registry
from app.nodes.registry import builtin_catalogue, load_catalogue

NODE = """
from app.nodes.sdk import node

@node("{type}", category="mine")
def it() -> None:
    pass
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    return name


def test_the_built_in_types_are_made_once_and_can_not_be_changed() -> None:
    catalogue = builtin_catalogue()
    assert catalogue is builtin_catalogue()
    assert {"TextNode", "MathNode", "BranchNode", "HttpRequestNode"} <= set(catalogue)
    with pytest.raises(TypeError):
        catalogue["TextNode"] = catalogue["MathNode"]  # type: ignore[index]


def test_every_built_in_type_says_what_it_does() -> None:
    assert all(spec.description and spec.title for spec in builtin_catalogue().values())


def test_modules_of_the_operator_register_more(modules: Path) -> None:
    name = write(modules, "more_nodes", NODE.format(type="MoreNode"))
    assert load_catalogue([name])["MoreNode"].category == "mine"
    assert "MoreNode" not in builtin_catalogue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nowhere_at_all", "taken_nodes can't be imported: ModuleNotFoundError"),
        ("raise SystemExit('no licence')", "SystemExit: no licence$"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines$"),
        ("1/0", "taken_nodes can't be imported: ZeroDivisionError"),
        ("def (", "taken_nodes can't be imported: SyntaxError"),
        ("x = 1", "taken_nodes registers no node"),
        (NODE.format(type="TextNode"), "TextNode of taken_nodes is taken by .*basic_values"),
        (NODE.replace("() -> None", "(x) -> None"), "'x' has no annotation"),
    ],
)
def test_a_module_that_can_not_be_used_is_named(modules: Path, text: str, message: str) -> None:
    name = write(modules, "taken_nodes", text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_catalogue(["benchmarks.nodes", name])
    assert caught.value.message.startswith("NODE_MODULES=benchmarks.nodes,taken_nodes: ")
    assert "\n" not in caught.value.message


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="no_such_module can't be imported"):
        load_catalogue(["no_such_module"])


@pytest.mark.parametrize("value", ["brought_nodes", "brought_nodes:it"])
def test_packages_bring_modules_or_functions(
    modules: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    write(modules, "brought_nodes", NODE.format(type="BroughtNode"))
    point = EntryPoint("brought", value, registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    assert "BroughtNode" in load_catalogue()
    assert "BroughtNode" in load_catalogue(["brought_nodes"])


def test_an_entry_point_that_is_no_node(modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(modules, "brought_nodes", "it = 1")
    point = EntryPoint("brought", "brought_nodes:it", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(NodeDefinitionError, match="brought_nodes:it is no node"):
        load_catalogue()


def test_importing_the_library_does_not_import_an_http_client() -> None:
    code = "import sys, app.nodes.registry; assert 'httpx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
