from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ValidationFailed
from app.values.codec import port_from_json, port_to_json
from app.values.compatibility import Comparison, config_at
from app.values.ports import MISSING, Direction, PortConfig, PortType

T = PortType


def faults(raw: Any, **how: Any) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as failed:
        port_from_json(raw, pointer="/p", **how)
    return {fault.pointer: fault.message for fault in failed.value.faults}


def test_a_config_of_an_export_is_read_with_all_it_says() -> None:
    raw = {
        "id": "object.list",
        "key": "list",
        "type": "array",
        "direction": "passthrough",
        "required": True,
        "defaultValue": [],
        "minLength": 1,
        "maxLength": 3,
        "isSchemaMutable": True,
        "isMutable": True,
        "ui": {},
        "itemConfig": {
            "type": "object",
            "schema": {
                "properties": {
                    "n": {"type": "number", "min": 0, "max": 9, "step": 0.5, "integer": False},
                    "s": {"type": "string", "pattern": "^a", "title": "S", "description": "D"},
                }
            },
        },
    }
    assert port_from_json(raw) == PortConfig(
        T.ARRAY,
        Direction.PASSTHROUGH,
        required=True,
        default=[],
        min_length=1,
        max_length=3,
        mutable=True,
        item=PortConfig(
            T.OBJECT,
            Direction.PASSTHROUGH,
            properties={
                "n": PortConfig(T.NUMBER, Direction.PASSTHROUGH, minimum=0, maximum=9, step=0.5),
                "s": PortConfig(
                    T.STRING, Direction.PASSTHROUGH, pattern="^a", title="S", description="D"
                ),
            },
        ),
    )


def test_options_are_plain_values_or_the_configs_of_an_export() -> None:
    options = ["a", 1, {"id": "b", "type": "string", "defaultValue": "b"}, {"id": "c"}]
    assert port_from_json({"type": "enum", "options": options}).options == ("a", 1, "b", "c")
    odd = [{"id": "one", "type": "number", "defaultValue": 1}, True]
    assert port_from_json({"type": "enum", "options": odd}).options == (1, "one", True)


def test_no_default_is_not_a_default_of_null() -> None:
    assert port_from_json({"type": "any"}).default is MISSING
    assert port_from_json({"type": "any", "defaultValue": None}).default is None


def test_every_fault_of_a_config_is_found() -> None:
    raw = {
        "type": "strnig",
        "direction": "up",
        "required": "yes",
        "minLength": -1,
        "maxLength": 1.5,
        "pattern": "(",
        "min": True,
        "max": 10**400,
        "step": 0,
        "integer": 1,
        "title": 3,
        "options": {"a": 1},
        "itemConfig": {"type": "array", "itemConfig": []},
        "schema": {"properties": {"a/b": {"type": None}}},
        "underlyingType": "string",
        "defaultValue": float("nan"),
        "colour": "red",
    }
    found = faults(raw)
    assert set(found) == {
        "/p/type",
        "/p/direction",
        "/p/required",
        "/p/minLength",
        "/p/maxLength",
        "/p/pattern",
        "/p/min",
        "/p/max",
        "/p/step",
        "/p/integer",
        "/p/title",
        "/p/options",
        "/p/itemConfig/itemConfig",
        "/p/schema/properties/a~1b/type",
        "/p/underlyingType",
        "/p/defaultValue",
        "/p/colour",
    }
    assert "/p/colour" not in faults(raw, lenient=True)


@pytest.mark.parametrize("raw", [{"schema": 3}, {"schema": {"properties": []}}, {"options": [{}]}])
def test_what_should_hold_configs_must_be_of_its_kind(raw: dict[str, Any]) -> None:
    assert len(faults({"type": "object", **raw})) == 1


def test_configs_inside_each_other_without_end_are_refused() -> None:
    raw: dict[str, Any] = {"type": "any"}
    for _ in range(10_000):
        raw = {"type": "array", "itemConfig": raw}
    assert list(faults(raw).values()) == ["is nested deeper than 50 levels"]


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
configs = st.recursive(
    st.builds(
        PortConfig,
        st.sampled_from(PortType),
        st.sampled_from(Direction),
        required=st.booleans(),
        default=st.just(MISSING) | scalars,
        title=st.text(max_size=3),
        min_length=st.none() | st.integers(0, 9),
        minimum=st.none() | st.integers(-9, 9),
        integer=st.booleans(),
        options=st.just(()) | st.just(("a", 1)),
        mutable=st.booleans(),
    ),
    lambda inner: st.builds(
        PortConfig,
        st.sampled_from(PortType),
        item=st.none() | inner,
        properties=st.none() | st.dictionaries(st.text(max_size=2), inner, max_size=2),
        underlying=st.none() | inner,
    ),
    max_leaves=5,
)


@given(configs)
def test_a_config_survives_writing_and_reading(config: PortConfig) -> None:
    assert port_from_json(port_to_json(config)) == config


@given(configs, configs)
def test_asking_whether_a_port_may_feed_another_never_raises(
    source: PortConfig, target: PortConfig
) -> None:
    assert isinstance(Comparison().can_feed(source, target), bool)


def of(port_type: PortType, **more: Any) -> PortConfig:
    return PortConfig(port_type, **more)


NUMBER, STRING, ANY = of(T.NUMBER), of(T.STRING), of(T.ANY)
PERSON = of(T.OBJECT, properties={"name": STRING, "age": NUMBER})


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (NUMBER, NUMBER, True),
        (NUMBER, STRING, False),
        (of(T.BOOLEAN), of(T.BOOLEAN), True),
        (of(T.ENUM, options=("a",)), of(T.ENUM, options=("b",)), True),
        (of(T.ENUM), STRING, False),
        (NUMBER, ANY, True),
        (NUMBER, of(T.ANY, underlying=STRING), True),
        (ANY, ANY, True),
        (ANY, NUMBER, False),
        (of(T.ANY, underlying=NUMBER), NUMBER, True),
        (of(T.ANY, underlying=STRING), NUMBER, False),
        (of(T.ANY, underlying=ANY), NUMBER, False),
        (PERSON, of(T.OBJECT), True),
        (PERSON, of(T.OBJECT, properties={"age": NUMBER}), True),
        (PERSON, of(T.OBJECT, properties={"age": STRING}), False),
        (PERSON, of(T.OBJECT, properties={"size": NUMBER}), False),
        (of(T.OBJECT), PERSON, False),
        (of(T.ARRAY, item=NUMBER), of(T.ARRAY, item=NUMBER), True),
        (of(T.ARRAY, item=NUMBER), of(T.ARRAY, item=STRING), False),
        (of(T.ARRAY, item=NUMBER), of(T.ARRAY), True),
        (of(T.ARRAY), of(T.ARRAY, item=NUMBER), False),
        (of(T.STREAM, item=STRING), of(T.STREAM, item=ANY), True),
        (of(T.STREAM, item=STRING), of(T.ARRAY, item=STRING), False),
    ],
)
def test_which_type_may_feed_which(source: PortConfig, target: PortConfig, fits: bool) -> None:
    assert Comparison().can_feed(source, target) is fits


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        (PERSON, ("p",), PERSON),
        (PERSON, ("p", "name"), STRING),
        (PERSON, ("p", "size"), None),
        (PERSON, ("p", 0), None),
        (of(T.OBJECT), ("p", "x", "y", 3), ANY),
        (of(T.ARRAY, item=PERSON), ("p", 2, "age"), NUMBER),
        (of(T.ARRAY), ("p", 2), ANY),
        (of(T.ARRAY), ("p", "x"), None),
        (ANY, ("p", "x"), ANY),
        (of(T.ANY, underlying=PERSON), ("p", "name"), STRING),
        (of(T.ANY, underlying=PERSON), ("p", "size"), None),
        (STRING, ("p", "x"), None),
    ],
)
def test_what_stands_inside_a_port(
    root: PortConfig, path: tuple[str | int, ...], expected: PortConfig | None
) -> None:
    assert config_at(root, path) == expected
