"""Texts are read as JSON, or as YAML 1.2, into what JSON can hold."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.values.documents import DocumentError, read_document

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (" \n", None),
        ('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("a: 1\nb:\n  - x\n  - y\n", {"a": 1, "b": ["x", "y"]}),
        ("[yes, no, on, off, y]", ["yes", "no", "on", "off", "y"]),
        ("[true, False, null, ~]", [True, False, None, None]),
        ("[010, 0o17, 0x1F, 0b11, -5, +5]", [10, 15, 31, 3, -5, 5]),
        ("[1e3, .5, 1., 1_000]", [1000, 0.5, 1, "1_000"]),
        ("[2024-01-02, 12:30, 1.2.3]", ["2024-01-02", "12:30", "1.2.3"]),
        ("['1', \"true\", !!str 5]", ["1", "true", "5"]),
        ("1: a\ntrue: b\n1.0: c\n", {"1": "a", "true": "b", "1.0": "c"}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        (
            "a: &x {b: 1, c: 1}\nd:\n  c: 2\n  <<: *x\n",
            {"a": {"b": 1, "c": 1}, "d": {"c": 2, "b": 1}},
        ),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ('{"a": 1,}', {"a": 1}),
        ("plain text", "plain text"),
    ],
)
def test_a_document_is_read(text: str, value: Any) -> None:
    assert read_document(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "mapping values are not allowed"),
        ("key: [a, b", "expected ',' or ']', line 2"),
        ("a: 1\na: 2", "the key 'a' stands there twice, line 2"),
        ("- *x", "has no anchor"),
        ("a: &x [*x]", "has no anchor"),
        ("? [a]\n: b", "a key is no scalar"),
        ("a: .inf", "no number that JSON can hold"),
        ("a: 1e999", "too large"),
        ("--- 1\n--- 2\n", "more than one document"),
        ("!!python/object:os.system x", "isn't known"),
        ("!!int x", "isn't what its tag says"),
        ("<<: 5", "merges something"),
        ("[" * 100_000, "nested deeper"),
        (BOMB, "more than 1000000 parts"),
    ],
)
def test_what_cannot_be_read_is_an_error(text: str, message: str) -> None:
    started = time.process_time()
    with pytest.raises(DocumentError, match=message):
        read_document(text)
    assert time.process_time() - started < 10


def test_json_alone_is_strict() -> None:
    with pytest.raises(DocumentError):
        read_document("a: 1", "json")
    with pytest.raises(DocumentError):
        read_document("[NaN]", "json")
