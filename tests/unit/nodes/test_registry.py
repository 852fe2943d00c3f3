"""Built-in types, those of the operator's modules and of packages; clashes are named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from app.errors import SettingsError
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
        (
            "\nimport nowhere_at_all",
            r"taken_nodes can't be imported: ModuleNotFoundError: .*taken_nodes\.py:2, <module>\)$",
        ),
        (
            "def f():\n    return {}['a']\nf()",
            r"taken_nodes can't be imported: KeyError: 'a' \(at .*taken_nodes\.py:2, f\)$",
        ),
        ("raise SystemExit('no licence')", r"SystemExit: no licence \(at .*taken_nodes\.py:1, "),
        ("raise ValueError('two\\nlines')", r"ValueError: two lines \(at .*taken_nodes\.py:1, "),
        ("\n\ndef (", r"can't be imported: SyntaxError: .* \(at .*taken_nodes\.py:3\)$"),
        ("x = 1", r"taken_nodes\.py registers no node: decorate one with @node$"),
        (
            NODE.format(type="TextNode"),
            r"taken_nodes\.py:4, it: the node type TextNode is taken by .*basic_values\.py:\d+, text",
        ),
        (
            NODE.format(type="OneNode") + NODE.format(type="OneNode").replace("it()", "again()"),
            r"taken_nodes\.py:10, again: the node type OneNode is taken by .*nodes\.py:4, it$",
        ),
        (
            NODE.format(type="BenchTickNode"),
            r"taken_nodes\.py:4, it: the node type BenchTickNode is taken by .*nodes\.py:\d+, tick$",
        ),
        (NODE.replace("() -> None", "(x) -> None"), r"taken_nodes\.py:4, it: .*'x' has no annotat"),
        (
            "from app.nodes.sdk import node\n\n@node\ndef it() -> None: ...",
            r"taken_nodes\.py:3, it: it has no type: write @node",
        ),
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


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("it = 1", "brought_nodes:it", r": it of .*brought_nodes\.py is no node$"),
        ("it = 1", "brought_nodes", r": .*brought_nodes\.py registers no node: "),
        ("1/0", "brought_nodes:it", r"the module brought_nodes can't be imported: ZeroDivision"),
        (
            NODE.format(type="TextNode"),
            "brought_nodes",
            r": .*brought_nodes\.py:4, it: the node type TextNode is taken by .*, text_node$",
        ),
    ],
)
def test_an_entry_point_that_can_not_be_used_is_named(
    modules: Path, monkeypatch: pytest.MonkeyPatch, text: str, value: str, message: str
) -> None:
    write(modules, "brought_nodes", text)
    point = EntryPoint("brought", value, registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(SettingsError, match=message) as caught:
        load_catalogue()
    named = f"the entry point brought = {value} in chaingraph.nodes: "
    assert caught.value.message.startswith(named)


def test_a_package_brings_the_nodes_of_the_modules_that_it_imports(modules: Path) -> None:
    package = modules / "brought_package"
    package.mkdir()
    write(package, "__init__", "from brought_package import one, two")
    write(package, "one", NODE.format(type="PartOneNode"))
    write(package, "two", NODE.format(type="PartTwoNode"))
    assert {"PartOneNode", "PartTwoNode"} <= load_catalogue(["brought_package"]).keys()


def test_importing_the_library_does_not_import_an_http_client() -> None:
    code = "import sys, app.nodes.registry; assert 'httpx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
