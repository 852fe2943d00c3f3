"""Nodes that read texts, schemas and the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.library.server_time import describe_time
from app.nodes.registry import builtin_catalogue
from app.values.ports import PortConfig, PortType
from tests.unit.nodes.context import FakeContext, run

TEXT = PortConfig(PortType.STRING)
NUMBER = PortConfig(PortType.NUMBER)
ORDER = PortConfig(
    PortType.OBJECT,
    properties={
        "id": PortConfig(PortType.STRING, required=True),
        "lines": PortConfig(
            PortType.ARRAY,
            item=PortConfig(PortType.OBJECT, properties={"sku": TEXT, "qty": NUMBER}),
        ),
    },
)
ANY = PortConfig(PortType.ANY)


def deserialized(text: str, schema: PortConfig = ANY, /, **inputs: Any) -> Any:
    spec = builtin_catalogue()["JsonYamlDeserializerNode"]
    context = FakeContext(schemas={"outputSchema": schema})
    return run(spec, context, inputString=text, **inputs)["deserializedObject"]


def typed(schema: PortConfig) -> PortConfig:
    return PortConfig(PortType.ANY, underlying=schema)


def test_a_text_is_cut_to_the_schema_at_every_level() -> None:
    text = '{"id": "7", "extra": 1, "lines": [{"sku": "B", "qty": 2, "note": ""}]}'
    assert deserialized(text, typed(ORDER)) == {"id": "7", "lines": [{"sku": "B", "qty": 2}]}


def test_without_a_schema_all_is_kept() -> None:
    assert deserialized("a: [1, {b: 2}]") == {"a": [1, {"b": 2}]}
    assert deserialized("a: 1", outputSchema={}) == {"a": 1}


def test_an_example_is_a_schema() -> None:
    assert deserialized("{a: 5, b: 6}", outputSchema={"a": 1}) == {"a": 5}
    with pytest.raises(NodeError, match="a: it must be a number, not a string"):
        deserialized("{a: x}", outputSchema={"a": 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "7"}', "lines is missing"),
        ('{"id": null, "lines": []}', "id: it must not be null"),
        ('{"id": "7", "lines": 5}', "lines: it must be an array, not a number"),
        ('{"id": "7", "lines": [{"sku": 1, "qty": 1}]}', r"lines\[0\]\.sku: it must be a string"),
        ("[1]", "the value: it must be an object, not an array"),
        ("{", "inputString can't be read"),
    ],
)
def test_what_does_not_fit_is_an_error(text: str, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        deserialized(text, typed(ORDER))


def test_missing_fields_may_be_ignored() -> None:
    assert deserialized("{id: a}", typed(ORDER), ignoreMissingFields=True) == {"id": "a"}


def test_an_empty_text_is_null() -> None:
    assert deserialized("", typed(ORDER)) is None


def test_the_depth_may_be_limited() -> None:
    assert deserialized("[[1]]", maxDepth=2) == [[1]]
    with pytest.raises(NodeError, match="more than 2 levels"):
        deserialized("[[[1]]]", maxDepth=2)


def test_the_schema_of_a_connected_port_is_told() -> None:
    spec = builtin_catalogue()["GetPortSchemaNode"]
    told = run(spec, FakeContext(schemas={"input": typed(ORDER)}), input={})["portSchema"]
    assert told["type"] == "object"
    assert told["config"]["schema"]["properties"]["id"]["required"] is True


def test_without_a_declared_type_the_values_is_told() -> None:
    spec = builtin_catalogue()["GetPortSchemaNode"]
    told = run(spec, FakeContext(schemas={"input": ANY}), input=[{"a": 1}, {"a": 2}])["portSchema"]
    assert told["type"] == "array"
    item = told["config"]["itemConfig"]
    assert item["schema"]["properties"]["a"]["type"] == "number"


def test_the_values_type_is_told_for_every_type() -> None:
    spec = builtin_catalogue()["GetPortSchemaNode"]
    value = {"text": "", "flag": True, "nothing": None, "mixed": [1, "a"]}
    told = run(spec, FakeContext(schemas={"input": ANY}), input=value)["portSchema"]
    properties = told["config"]["schema"]["properties"]
    assert {name: config["type"] for name, config in properties.items()} == {
        "text": "string",
        "flag": "boolean",
        "nothing": "any",
        "mixed": "array",
    }
    assert properties["mixed"]["itemConfig"]["type"] == "any"


def test_a_text_that_is_neither_json_nor_yaml_is_an_error() -> None:
    with pytest.raises(NodeError, match="input is neither JSON nor YAML"):
        run(builtin_catalogue()["SchemaInferNode"], input="a: b: c")


def test_an_enum_takes_allowed_texts_only() -> None:
    spec = builtin_catalogue()["StringToEnumNode"]
    assert run(spec, inputString="", allowedValues=["a"])["outputEnum"] is None
    with pytest.raises(NodeError, match=r'Invalid value: "z"\. Allowed values are: a, b$'):
        run(spec, inputString="z", allowedValues=["a", "b"])


MOMENT = datetime(2026, 3, 1, 21, 5, 7, 120_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "zone", "expected"),
    [
        ("YYYY-MM-DD HH:mm:ss", "UTC", "2026-03-01 21:05:07"),
        ("YYYY-MM-DD HH:mm:ss", "Asia/Tokyo", "2026-03-02 06:05:07"),
        ("dddd, D MMMM YY, h:mm A", "America/New_York", "Sunday, 1 March 26, 4:05 PM"),
        ("ddd d MMM M/D H:m:s.SSS a", "UTC", "Sun 0 Mar 3/1 21:5:7.120 pm"),
        ("Z ZZ", "Asia/Kolkata", "+05:30 +0530"),
        ("X x", "UTC", "1772399107 1772399107120"),
        ("[Year] YYYY", "UTC", "Year 2026"),
    ],
)
def test_a_custom_format_is_filled_in(form: str, zone: str, expected: str) -> None:
    assert describe_time(MOMENT, "Custom", form, zone).formatted_time == expected


@pytest.mark.parametrize(
    ("form", "zone", "expected"),
    [
        ("ISO", "UTC", "2026-03-01T21:05:07.120Z"),
        ("ISO", "Europe/Berlin", "2026-03-01T22:05:07.120+01:00"),
        ("Locale", "UTC", "3/1/2026, 9:05:07 PM"),
    ],
)
def test_the_other_formats(form: Any, zone: str, expected: str) -> None:
    assert describe_time(MOMENT, form, "", zone).formatted_time == expected


def test_a_moment_is_counted_in_seconds_and_milliseconds() -> None:
    told = describe_time(MOMENT, "ISO", "", "UTC")
    assert (told.timestamp_seconds, told.timestamp_milliseconds) == (1772399107, 1772399107120)


def test_the_clock_is_read() -> None:
    before = datetime.now(UTC).timestamp() * 1_000 - 1
    told = run(builtin_catalogue()["ServerTimeNode"], timezone="Europe/Berlin")
    assert before <= told["timestampMilliseconds"] <= datetime.now(UTC).timestamp() * 1_000


def test_an_unknown_time_zone_is_an_error() -> None:
    with pytest.raises(NodeError, match="port 'timezone'"):
        run(builtin_catalogue()["ServerTimeNode"], timezone="Mars/Olympus")


def test_a_custom_format_that_would_take_long_is_an_error() -> None:
    with pytest.raises(NodeError, match="customFormat has 100000 characters; at most 1000"):
        run(builtin_catalogue()["ServerTimeNode"], timeFormat="Custom", customFormat="[" * 100_000)
