"""Flows in files: each fault is shown on the line where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.flow_file import FlowFileError, line_at, parse_value, read_flow_file
from app.client import Fault

TEXT = """{
  "metadata": {"name": "x"},
  "nodes": [
    {"id": "a"},
    {
      "id": "b",
      "values": {"a/b": [1,
        2], "m~n": "] }", "": 0}
    }
  ],
  "metadata": {
    "name": "the last one counts"
  }
}
"""


def written(path: Path, text: str | bytes) -> Path:
    file = path / "flow.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/nodes", 3),
        ("/nodes/0", 4),
        ("/nodes/0/id", 4),
        ("/nodes/1", 5),
        ("/nodes/1/id", 6),
        ("/nodes/1/values/a~1b/0", 7),
        ("/nodes/1/values/a~1b/1", 8),
        ("/nodes/1/values/m~0n", 8),
        ("/nodes/1/values/", 8),
        ("/metadata", 11),
        ("/metadata/name", 12),
    ],
)
def test_a_pointer_has_a_line(pointer: str, line: int) -> None:
    assert line_at(TEXT, pointer) == line


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("/edges", 1),
        ("/nodes/2", 3),
        ("/nodes/x", 3),
        ("/nodes/1/type", 5),
        ("/nodes/0/id/more", 4),
        ("/metadata/tags/0", 11),
    ],
)
def test_what_is_missing_is_shown_where_it_should_be(pointer: str, line: int) -> None:
    assert line_at(TEXT, pointer) == line


def test_a_fault_is_written_as_compilers_do(tmp_path: Path) -> None:
    file = read_flow_file(written(tmp_path, TEXT))
    assert file.placed(Fault("/nodes/1/id", "wrong")) == f"{file.path}:6: /nodes/1/id: wrong"
    assert file.placed(Fault("", "wrong")) == f"{file.path}:1: wrong"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(json_values, st.integers(0, 3))
def test_every_leaf_is_found_on_its_own_line(value: object, indent: int) -> None:
    text = json.dumps(value, indent=indent)
    for pointer, leaf in leaves(value, ""):
        line = text.split("\n")[line_at(text, pointer) - 1]
        assert json.dumps(leaf) in line


def leaves(value: object, pointer: str) -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        steps = [(key.replace("~", "~0").replace("/", "~1"), each) for key, each in value.items()]
    elif isinstance(value, list) and value:
        steps = [(str(place), each) for place, each in enumerate(value)]
    else:
        return [(pointer, value)]
    return [leaf for step, each in steps for leaf in leaves(each, f"{pointer}/{step}")]


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('{\n "a": 1,\n "b" 2}', "3:6", "Expecting ':' delimiter"),
        ("", "1:1", "Expecting value"),
        ('{"a": "NaN",\n "b": NaN}', "2", "NaN is no number"),
        ('{"a": [1,\n -Infinity]}', "2", "-Infinity is no number"),
        ('{"a": "1e999",\n\n "b": 1e999}', "3", "1e999 is no number"),
        ("[]", "1", "a flow is an object"),
        (b'{\n"a": "\xff"}', "2", "is not UTF-8 (byte 8)"),
    ],
)
def test_a_file_that_is_no_json_says_where(
    tmp_path: Path, text: str | bytes, place: str, reason: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FlowFileError) as caught:
        read_flow_file(path)
    assert caught.value.message.startswith(f"{path}:{place}: ")
    assert reason in caught.value.message


def test_a_file_that_can_t_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(FlowFileError, match=r"none\.json: can't be read: No such file"):
        read_flow_file(tmp_path / "none.json")
    with pytest.raises(FlowFileError, match="can't be read: Is a directory"):
        read_flow_file(tmp_path)


def test_nesting_without_end_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(FlowFileError, match="is nested too deeply"):
        read_flow_file(written(tmp_path, "[" * 200_000))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert read_flow_file(written(tmp_path, b"\xef\xbb\xbf{}")).document == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ('"3"', "3"),
        ("[1, 2]", [1, 2]),
        ("true", True),
        ("null", None),
        ("Ada", "Ada"),
        ("", ""),
        ("NaN", "NaN"),
        ("1e999", "1e999"),
        ("{broken", "{broken"),
    ],
)
def test_a_value_is_json_if_it_parses_else_text(text: str, value: object) -> None:
    assert parse_value(text) == value
