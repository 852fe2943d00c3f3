"""YAML as it is written, and that it is read back as what it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from app.values.yaml_text import to_yaml


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null\n"),
        ("", '""\n'),
        ("plain text", "plain text\n"),
        ("yes", "yes\n"),
        ("true", '"true"\n'),
        ("0x1f", '"0x1f"\n'),
        ("1.", '"1."\n'),
        ("- a", '"- a"\n'),
        ("a: b", '"a: b"\n'),
        ("a #b", '"a #b"\n'),
        ("a:b#c", "a:b#c\n"),
        ('say "a": b', "'say \"a\": b'\n"),
        ("it's", "it's\n"),
        ("trailing ", '"trailing "\n'),
        ("bell\a", '"bell\\a"\n'),
        ("--- x", "|-\n  --- x\n"),
        ("two\nlines", "|-\n  two\n  lines\n"),
        ({"k": "two\nlines\n"}, "k: |\n  two\n  lines\n"),
        ({"k": "a\n\n\n"}, "k: |+\n  a\n\n\n"),
        ({"k": "  a\nb"}, "k: |2-\n    a\n  b\n"),
        ({"k": "a\n  "}, 'k: "a\\n  "\n'),
        ([], "[]\n"),
        ({"a": [], "b": {}}, "a: []\nb: {}\n"),
        ([[1, 2], {"a": 1, "b": [3]}], "- - 1\n  - 2\n- a: 1\n  b:\n    - 3\n"),
        ({"a": {"b": [{"c": None}]}}, "a:\n  b:\n    - c: null\n"),
        ({"5": 1, "": 2, "a: b": 3, "x\ny": 4}, '"5": 1\n"": 2\n"a: b": 3\n"x\\ny": 4\n'),
        ([1.0, 1e21, 1e-7, -0.5], "- 1\n- 1e+21\n- 1e-7\n- -0.5\n"),
    ],
)
def test_block_style(value: Any, text: str) -> None:
    assert to_yaml(value) == text


def test_quotes_and_directives() -> None:
    assert to_yaml({"a": "b"}, quote=True) == '"a": "b"\n'
    assert to_yaml(1, directives=True) == "%YAML 1.2\n---\n1\n"


def test_a_key_too_long_for_its_line_is_announced() -> None:
    key = "k" * 1025
    assert to_yaml({key: 1}) == f"? {key}\n: 1\n"
    assert to_yaml([{key: {"a": 1}}]) == f"- ? {key}\n  :\n    a: 1\n"


def read(text: str) -> Any:
    """Read as YAML 1.1 does, which agrees on all that these values hold."""
    return yaml.safe_load(text)


#: Words that YAML 1.1 takes for booleans, and 1.2 (which is written here) does not.
_OLD_BOOLEANS = frozenset({"y", "n", "yes", "no", "on", "off"})

_texts = st.text(alphabet="ab \n\t:#-'\"{}[]!&*?|>%@`,.~é🎈\x07", max_size=12).filter(
    lambda text: text.lower() not in _OLD_BOOLEANS
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


@given(_values)
@example(" \n")
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read(to_yaml(value)) == value


@given(_values)
def test_in_quotes_too(value: Any) -> None:
    assert read(to_yaml(value, quote=True)) == value
