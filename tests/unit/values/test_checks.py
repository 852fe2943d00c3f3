from __future__ import annotations

import math
import time
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values import checks, jsonable
from app.values.checks import FaultKind, check_json, check_value, value_faults
from app.values.ports import PortConfig, PortType

STRING = PortConfig(PortType.STRING)
NUMBER = PortConfig(PortType.NUMBER)
ANY = PortConfig(PortType.ANY)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_takes_whatever_is_json(value: Any) -> None:
    assert check_json(value) is None


@pytest.mark.parametrize(
    ("port_type", "good", "bad"),
    [
        ("string", ["", "a\0b"], [0, True, [], {}]),
        ("number", [0, -0.5, 2**80], ["1", True, False, []]),
        ("boolean", [True, False], [0, 1, "true", ""]),
        ("array", [[], [1, "a", None]], [{}, "ab", 0]),
        ("object", [{}, {"a": [1]}], [[], "{}", 0]),
        ("enum", ["a", 3, False], [[], {}]),
        ("stream", [{"type": "stream", "buffer": [], "isClosed": True}], [[], {"buffer": 1}]),
        ("secret", ["id", {"ref": 1}], [3, []]),
        ("any", [0, "", [], {}, False], []),
    ],
)
def test_each_type_takes_its_own_and_null(port_type: str, good: list[Any], bad: list[Any]) -> None:
    config = PortConfig(PortType(port_type))
    for value in [*good, None]:
        assert check_value(config, value) is None, value
    for value in bad:
        assert (check_value(config, value) or "").startswith("it must be "), value


def test_a_required_port_takes_no_null() -> None:
    assert check_value(PortConfig(PortType.STRING, required=True), None) == "it must not be null"


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (math.nan, "it is nan, which JSON can't hold"),
        (-math.inf, "it is -inf, which JSON can't hold"),
        ([1, {"a": math.inf}], "[1].a is inf, which JSON can't hold"),
        (b"x", "it is of type bytes, which JSON can't hold"),
        ((1, 2), "it is of type tuple, which JSON can't hold"),
        ({1: 2}, "it has a key that is no string (int)"),
        ({"a": {None: 2}}, "a has a key that is no string (NoneType)"),
        ({"a": {1, 2}}, "a is of type set, which JSON can't hold"),
        ("\ud800", "it holds half of a surrogate pair, which can't be stored"),
        ({"\udfff": 1}, "it has a key with half of a surrogate pair"),
        (10**400, "it is too large a number: JSON's numbers are doubles, up to 1.8e308"),
        ([-(10**5_000)], "[0] is too large a number: JSON's numbers are doubles, up to 1.8e308"),
    ],
)
def test_what_json_cannot_hold_is_named(value: Any, sentence: str) -> None:
    assert check_json(value) == sentence
    assert check_value(PortConfig(PortType.ARRAY), [value]) is not None


def test_large_whole_numbers_and_members_of_text_enums_are_json() -> None:
    assert check_value(NUMBER, 10**308) is None
    assert check_json(Colour.RED) is None


@pytest.mark.parametrize(
    ("config", "good", "bad", "sentence"),
    [
        (PortConfig(PortType.STRING, min_length=2), "ab", "a", "at least 2 characters, not 1"),
        (PortConfig(PortType.STRING, max_length=2), "ab", "abc", "at most 2 characters, not 3"),
        (PortConfig(PortType.STRING, pattern="^a+$"), "aa", "ab", "must match the pattern ^a+$"),
        (PortConfig(PortType.ARRAY, min_length=1), [0], [], "at least 1 items, not 0"),
        (PortConfig(PortType.ARRAY, max_length=1), [0], [0, 1], "at most 1 items, not 2"),
        (PortConfig(PortType.NUMBER, minimum=0), 0, -0.1, "must be at least 0"),
        (PortConfig(PortType.NUMBER, maximum=1.5), 1.5, 2, "must be at most 1.5"),
        (PortConfig(PortType.NUMBER, integer=True), 3.0, 3.5, "must be a whole number"),
        (PortConfig(PortType.NUMBER, step=0.1), 0.3, 0.35, "must go in steps of 0.1 from 0"),
        (PortConfig(PortType.NUMBER, step=2, minimum=1), 3, 4, "must go in steps of 2 from 1"),
        (PortConfig(PortType.ENUM, options=("a", 1)), 1, "b", "must be one of a, 1"),
        (PortConfig(PortType.ENUM, options=(1,)), 1.0, True, "must be one of 1"),
    ],
)
def test_bounds_are_enforced(config: PortConfig, good: Any, bad: Any, sentence: str) -> None:
    assert check_value(config, good) is None
    fault = next(value_faults(config, bad))
    assert sentence in fault.sentence()
    assert fault.kind is FaultKind.BOUNDS


def test_many_options_are_not_all_listed() -> None:
    config = PortConfig(PortType.ENUM, options=tuple(range(30)))
    assert check_value(config, 99) == "it must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 … (30 in all)"


def test_a_step_that_no_double_can_count_does_not_raise() -> None:
    assert check_value(PortConfig(PortType.NUMBER, step=5e-324), 1e308) is None


def test_everything_wrong_is_found_in_the_order_of_writing() -> None:
    person = PortConfig(
        PortType.OBJECT,
        properties={"name": STRING, "age": PortConfig(PortType.NUMBER, required=True)},
    )
    people = PortConfig(PortType.ARRAY, item=person)
    value = [{"name": 3, "age": "x", "more": math.nan}, 7, {"name": "Ada"}]
    assert [fault.sentence() for fault in value_faults(people, value)] == [
        "[0].name must be a string, not a number",
        "[0].age must be a number, not a string",
        "[0].more is nan, which JSON can't hold",
        "[1] must be an object, not a number",
        "[2].age is missing",
    ]


def test_what_an_object_must_have_is_looked_for_quickly() -> None:
    properties = {f"p{i}": PortConfig(PortType.ANY, required=i == 0) for i in range(5_000)}
    item = PortConfig(PortType.OBJECT, properties=properties)
    enum = PortConfig(PortType.ENUM, options=tuple(range(5_000)))
    begun_at = time.process_time()
    assert check_value(PortConfig(PortType.ARRAY, item=item), [{"p0": 1}] * 5_000) is None
    assert check_value(PortConfig(PortType.ARRAY, item=enum), [4_999] * 5_000) is None
    assert time.process_time() - begun_at < 5


def test_any_does_not_ask_for_properties() -> None:
    part = PortConfig(PortType.STRING, required=True)
    assert check_value(PortConfig(PortType.ANY, properties={"a": part}), {}) is None


def test_a_value_may_have_200_levels_and_no_more() -> None:
    def nested(levels: int) -> Any:
        value: Any = []
        for _ in range(levels - 1):
            value = {"a": value} if len(str(value)) % 2 else [value]
        return value

    assert check_json(nested(200)) is None
    assert "nested deeper than 200 levels" in str(check_json(nested(201)))
    endless: list[Any] = []
    endless.append(endless)
    assert "nested deeper" in str(check_json(endless))


def test_shared_parts_do_not_keep_a_check_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_PARTS", 2_000)
    monkeypatch.setattr(jsonable, "MAX_PARTS", 2_000)
    shared: Any = ["lol"]
    for _ in range(60):
        shared = [shared, shared]
    assert check_json(shared) == "it has more than 2000 parts"
    array = PortConfig(PortType.ARRAY)
    for _ in range(50):
        array = PortConfig(PortType.ARRAY, item=array)
    assert check_value(array, shared) == "it has more than 2000 parts"


def test_slow_patterns_in_one_value_share_their_time() -> None:
    config = PortConfig(PortType.ARRAY, item=PortConfig(PortType.STRING, pattern="(x+x+)+y"))
    begun_at = time.process_time()
    found = list(value_faults(config, ["x" * 3_000] * 50))
    assert len(found) == 50
    assert all("takes too long" in fault.message for fault in found)
    assert time.process_time() - begun_at < 10


configs = st.builds(
    PortConfig,
    st.sampled_from(PortType),
    required=st.booleans(),
    min_length=st.none() | st.integers(0, 3),
    minimum=st.none() | st.floats(-3, 3),
    step=st.none() | st.floats(0.01, 3),
    integer=st.booleans(),
    item=st.none() | st.just(NUMBER),
    properties=st.none() | st.just({"a": STRING}),
    options=st.just(()) | st.just(("a", 1)),
)


@given(configs, json_values | st.binary() | st.floats() | st.sets(st.integers()))
def test_a_check_never_raises(config: PortConfig, value: Any) -> None:
    sentence = check_value(config, value)
    assert sentence is None or sentence
