"""Whether a value has the objects and arrays that a port config speaks of."""

from __future__ import annotations

from typing import Any

import pytest

from app.values.ports import PortConfig, PortType
from app.values.structure import structure_fault

TEXT = PortConfig(PortType.STRING)
ANY = PortConfig(PortType.ANY, underlying=PortConfig(PortType.OBJECT))
POINT = PortConfig(PortType.OBJECT, properties={"at": PortConfig(PortType.OBJECT), "name": TEXT})
POINTS = PortConfig(PortType.ARRAY, item=POINT)


@pytest.mark.parametrize(
    ("config", "value", "fault"),
    [
        (POINTS, [{"at": {}}, {"at": 1}], "[1].at must be an object, not a number"),
        (POINTS, [{"at": {}}, "x"], "[1] must be an object, not a string"),
        (POINTS, {}, "it must be an array, not an object"),
        (POINT, {"name": {}, "at": []}, "at must be an object, not an array"),
    ],
)
def test_an_object_or_array_must_be_one(config: PortConfig, value: Any, fault: str) -> None:
    assert structure_fault(config, value) == fault


@pytest.mark.parametrize(
    ("config", "value"),
    [
        (POINTS, None),
        (POINTS, [None, {"at": None}]),
        (POINT, {"name": 7, "more": []}),
        (ANY, "text"),
        (PortConfig(PortType.ARRAY), [1, {}, []]),
        (PortConfig(PortType.ARRAY, item=TEXT), [1, True]),
    ],
)
def test_nothing_else_is_asked(config: PortConfig, value: Any) -> None:
    assert structure_fault(config, value) is None


def test_depth_is_no_limit() -> None:
    config = PortConfig(PortType.ARRAY)
    value: list[Any] = []
    for _ in range(3_000):
        config = PortConfig(PortType.ARRAY, item=config)
        value = [value]

    assert structure_fault(config, value) is None
