from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values.paths import MAX_POSITION, format_path, get_path, parse_path
from app.values.ports import MISSING

names = st.text(st.characters(exclude_characters=".[]"), min_size=1)
steps = names | st.integers(0, MAX_POSITION)


@given(names, st.lists(steps))
def test_a_path_survives_writing_and_reading(root: str, rest: list[Any]) -> None:
    path = (root, *rest)
    assert parse_path(format_path(path)) == path


@given(st.text())
def test_whatever_reads_as_a_path_can_be_written_and_read_again(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", "a[", "a[x]", "a[-1]", "a]", "a[1000]", "a[٣]", "[" * 900]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a path"):
        parse_path(text)


def test_walking_a_path_ends_where_the_value_has_no_such_place() -> None:
    value = {"a": [{"b": None}], "c": "text"}
    assert get_path(value, ("a", 0, "b")) is None
    for path in [("a", 1), ("a", "0"), ("c", 0), ("c", "x"), ("x",), ("a", 0, "b", "c")]:
        assert get_path(value, path) is MISSING
