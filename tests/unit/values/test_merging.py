from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values.copying import copy_value
from app.values.merging import MAX_GAP, merge, set_path, transfer
from app.values.paths import MAX_POSITION, get_path

keys = st.sampled_from("abc")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=15,
)
paths = st.lists(keys | st.integers(0, 3), max_size=4).map(lambda steps: ("root", *steps))


def containers(value: Any) -> set[int]:
    """The identities of all objects and arrays in a value."""
    found, pending = set(), [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict | list):
            found.add(id(part))
            pending.extend(part.values() if isinstance(part, dict) else part)
    return found


@given(json_values)
def test_a_copy_is_equal_and_shares_nothing(value: Any) -> None:
    copied = copy_value(value)
    assert copied == value
    assert not containers(copied) & containers(value)


def test_a_copy_keeps_the_order_of_keys_at_any_depth() -> None:
    value: Any = {}
    for _ in range(5_000):
        value = {"z": 1, "a": value, "m": [2]}
    assert list(copy_value(value)) == ["z", "a", "m"]


@given(json_values, json_values)
def test_a_merge_shares_nothing_and_changes_nothing(stored: Any, incoming: Any) -> None:
    before = copy.deepcopy((stored, incoming))
    merged = merge(stored, incoming)
    assert not containers(merged) & (containers(stored) | containers(incoming))
    assert (stored, incoming) == before


@given(json_values)
def test_a_value_merged_into_itself_is_itself(value: Any) -> None:
    assert merge(value, value) == value


@pytest.mark.parametrize(
    ("stored", "incoming", "merged"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 0}}, {"a": {"x": 1, "y": 0}}),
        ({"a": [1, 2, 3]}, {"a": [9]}, {"a": [9]}),
        ([{"a": 1}], [{"b": 2}], [{"b": 2}]),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({"a": 1}, None, None),
        ({"a": 1}, [], []),
        ("old", {"a": 1}, {"a": 1}),
        (
            {"a": True, "b": 1, "c": "x"},
            {"a": False, "b": 0, "c": ""},
            {"a": False, "b": 0, "c": ""},
        ),
    ],
)
def test_objects_merge_at_every_level_and_all_else_replaces(
    stored: Any, incoming: Any, merged: Any
) -> None:
    assert merge(stored, incoming) == merged


@pytest.mark.parametrize(
    ("values", "path", "incoming", "after"),
    [
        ({}, ("a",), 0, {"a": 0}),
        ({}, ("a", "b", "c"), 1, {"a": {"b": {"c": 1}}}),
        ({"a": {"b": 1}}, ("a", "c"), 2, {"a": {"b": 1, "c": 2}}),
        ({"a": "text"}, ("a", "b"), 1, {"a": {"b": 1}}),
        ({"a": None}, ("a", 1), "x", {"a": [None, "x"]}),
        ({"a": {"k": 1}}, ("a",), {"l": 2}, {"a": {"k": 1, "l": 2}}),
        ({"a": [{"k": 1}]}, ("a", 0), {"l": 2}, {"a": [{"k": 1, "l": 2}]}),
        ({"a": [1, 2]}, ("a",), [3], {"a": [3]}),
        ({"a": 1}, ("a",), None, {"a": None}),
    ],
)
def test_a_transfer_makes_the_path_that_is_not_there(
    values: Any, path: Any, incoming: Any, after: Any
) -> None:
    transfer(values, path, incoming)
    assert values == after


@given(st.dictionaries(st.just("root"), json_values), paths, json_values)
def test_what_was_transferred_is_there_and_is_not_shared(
    values: dict[str, Any], path: Any, incoming: Any
) -> None:
    transfer(values, path, incoming)
    found = get_path(values, path)
    assert merge(found, incoming) == found
    assert not containers(values) & containers(incoming)


def test_setting_a_path_replaces_what_stands_there() -> None:
    assert set_path({"a": {"x": 1}}, ("a",), {"y": 2}) == {"a": {"y": 2}}
    assert set_path({"a": 1}, (), 5) == 5
    assert set_path(None, (1, "b"), 5) == [None, {"b": 5}]


def test_no_path_makes_a_huge_array() -> None:
    transfer({}, ("a", MAX_POSITION), 1)
    with pytest.raises(ValueError, match="position 1000 is beyond 999"):
        transfer({}, ("a", MAX_POSITION + 1), 1)


def test_a_path_in_a_document_may_leave_a_small_gap_only() -> None:
    assert len(set_path([1], (MAX_GAP + 1,), 2)) == MAX_GAP + 2
    for value, steps in (([1], (MAX_GAP + 2,)), ({}, ("a", MAX_GAP + 1, "b")), ("x", (500,))):
        with pytest.raises(ValueError, match="too far beyond the end"):
            set_path(value, steps, 2)
