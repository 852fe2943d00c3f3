"""Values as JSON and YAML, and the node that logs."""

from __future__ import annotations

from typing import Any

import pytest

from app.nodes.registry import builtin_catalogue
from tests.unit.nodes.context import FakeContext, run

NODES = builtin_catalogue()


@pytest.mark.parametrize(
    ("data", "pretty", "json"),
    [
        (None, False, "null"),
        (1.0, False, "1"),
        (1e21, False, "1e+21"),
        ("ü\n\u0001", False, '"ü\\n\\u0001"'),
        ([], True, "[]"),
        ({"a": [1, {"b": []}]}, False, '{"a":[1,{"b":[]}]}'),
        ({"a": [1, {}]}, True, '{\n  "a": [\n    1,\n    {}\n  ]\n}'),
    ],
)
def test_json(data: Any, pretty: bool, json: str) -> None:
    assert run(NODES["JSONSerializerNode"], data=data, pretty=pretty) == {"json": json}


def test_nothing_is_null() -> None:
    assert run(NODES["JSONSerializerNode"]) == {"json": "null"}
    assert run(NODES["YAMLSerializerNode"]) == {"yaml": "null\n"}


@pytest.mark.parametrize(
    ("data", "options", "yaml"),
    [
        ({"a": [1, "x"], "n": {"t": True}}, {}, "a:\n  - 1\n  - x\nn:\n  t: true\n"),
        (["yes", "5"], {}, '- yes\n- "5"\n'),
        (["a"], {"quotingStrings": True}, '- "a"\n'),
        (["a"], {"includeDirectives": True}, "%YAML 1.2\n---\n- a\n"),
    ],
)
def test_yaml(data: Any, options: dict[str, bool], yaml: str) -> None:
    assert run(NODES["YAMLSerializerNode"], data=data, **options) == {"yaml": yaml}


def test_the_log_node_logs() -> None:
    context = FakeContext()
    assert run(NODES["DebugLogNode"], context, message="here") == {}
    assert context.logs == [("info", "here")]
