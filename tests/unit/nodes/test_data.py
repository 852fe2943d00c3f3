"""Numbers and texts as JavaScript writes, counts and finds them."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.registry import builtin_catalogue
from tests.unit.nodes.context import run

NODES = builtin_catalogue()


@pytest.mark.parametrize(
    ("number", "places", "exponential", "text"),
    [
        (3, -1, False, "3"),
        (3.0, -1, False, "3"),
        (1e21, -1, False, "1e+21"),
        (1e-7, -1, False, "1e-7"),
        (0.000001, -1, False, "0.000001"),
        (123456789012345680000, -1, False, "123456789012345680000"),
        (-0.75, -1, False, "-0.75"),
        (1234.5, 2, False, "1234.50"),
        (2.5, 0, False, "3"),
        (-2.5, 0, False, "-3"),
        (1.005, 2, False, "1.00"),
        (0, 2, False, "0.00"),
        (1e21, 2, False, "1e+21"),
        (1234.5, -1, True, "1.2345e+3"),
        (1234.5, 2, True, "1.23e+3"),
        (0, 1, True, "0.0e+0"),
        (-0.001, -1, True, "-1e-3"),
        (9.99, 1, True, "1.0e+1"),
    ],
)
def test_number_to_string(number: float, places: int, exponential: bool, text: str) -> None:
    spec = NODES["NumberToStringNode"]
    outputs = run(spec, number=number, decimalPlaces=places, exponential=exponential)
    assert outputs == {"text": text}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"number": None}, "port 'number' is null"),
        ({"decimalPlaces": None}, "port 'decimalPlaces'"),
        ({"decimalPlaces": 101}, "decimalPlaces is 101"),
    ],
)
def test_numbers_that_can_not_be_written(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(NodeError, match=message):
        run(NODES["NumberToStringNode"], **inputs)


@pytest.mark.parametrize(("text", "length"), [("", 0), ("abc", 3), ("ü", 1), ("🎈 up", 5)])
def test_string_length(text: str, length: int) -> None:
    assert run(NODES["StringLengthNode"], text=text) == {"length": length}


@pytest.mark.parametrize(
    ("source", "search", "result"),
    [
        ("I AM LOUD", "loud", True),
        ("quiet", "LOUD", False),
        ("", "", True),
        ("a", "", True),
        ("", "a", False),
        ("GRÜSSE", "grüsse", True),
    ],
)
def test_text_search(source: str, search: str, result: bool) -> None:
    outputs = run(NODES["TextSearchNode"], sourceText=source, searchText=search)
    assert outputs == {"result": result}
