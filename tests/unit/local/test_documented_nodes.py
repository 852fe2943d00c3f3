"""The nodes that the documents show are what they say: their code runs, and their tests pass."""

from __future__ import annotations

import hmac
import re
from pathlib import Path
from typing import Annotated, Any

from chaingraph import NodeContext, Port, RetryPolicy, node, run_node

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
WRITING = ROOT / "docs" / "writing-nodes.md"


def code_of(document: Path, section: str) -> str:
    """All the Python under a heading, one below the other."""
    text = document.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def run_code(text: str, **given: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "documented", **given}
    exec(compile(text, "documented.py", "exec", dont_inherit=True), names)
    return names


def test_the_readme_s_tests_pass() -> None:
    names = run_code(code_of(README, "A node of your own"))
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_a_node_with_its_test_is_ten_lines() -> None:
    first = code_of(README, "A node of your own").split("from chaingraph import run_flow")[0]
    assert sum(bool(line.strip()) for line in first.splitlines()) <= 10


def test_the_class_of_the_documents_has_the_ports_of_its_names() -> None:
    given = {"Annotated": Annotated, "Any": Any, "Port": Port, "node": node}
    join = run_code(code_of(WRITING, "Classes"), **given)["Join"]
    assert run_node(join, names=["a", "b"], a="x", b="y") == {"joined": "x y"}


def test_what_the_documents_tell_a_node_is_taken() -> None:
    told = code_of(WRITING, "What it is told") + "def page() -> None: ...\n"
    names = run_code(told, node=node, RetryPolicy=RetryPolicy)
    assert run_node(names["page"]) == {}


def test_the_node_with_a_secret_signs_and_keeps_it() -> None:
    given = {"Annotated": Annotated, "Any": Any, "NodeContext": NodeContext, "Port": Port}
    sign = run_code(code_of(WRITING, "Secrets"), node=node, hmac=hmac, **given)["sign"]
    expected = hmac.new(b"key of mine", b"hi", "sha256").hexdigest()
    assert run_node(sign, key="key of mine", text="hi") == {"signature": expected}
