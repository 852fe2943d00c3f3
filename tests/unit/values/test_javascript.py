"""Numbers and texts as JavaScript has them; the expected texts are a JavaScript engine's."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.values.javascript import (
    number_to_text,
    to_exponential,
    to_fixed,
    to_json,
    to_number,
    to_text,
    utf16_length,
    whole,
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (-1234.5, "-1234.5"),
        (10**21, "1e+21"),
        (10**400, "Infinity"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_number_as_text(number: float, text: str) -> None:
    assert number_to_text(number) == text


@pytest.mark.parametrize(
    ("number", "places", "text"),
    [
        (0.5, 0, "1"),
        (1.5, 0, "2"),
        (2.5, 0, "3"),
        (-0.5, 0, "-1"),
        (1.005, 2, "1.00"),
        (99.995, 2, "100.00"),
        (-0.001, 2, "-0.00"),
        (-0.0, 2, "0.00"),
        (1e-10, 2, "0.00"),
        (1e20, 2, "100000000000000000000.00"),
        (1e21, 2, "1e+21"),
    ],
)
def test_fixed(number: float, places: int, text: str) -> None:
    assert to_fixed(number, places) == text


@pytest.mark.parametrize(
    ("number", "places", "text"),
    [(1234.5, None, "1.2345e+3"), (0, 2, "0.00e+0"), (99.99, 1, "1.0e+2"), (-5e-324, 0, "-5e-324")],
)
def test_exponential(number: float, places: int | None, text: str) -> None:
    assert to_exponential(number, places) == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, 0),
        (True, 1),
        ("", 0),
        (" \n\ufeff7\u2029", 7),
        ("1e3", 1000),
        ("0x1F", 31),
        ("0b11", 3),
        (".5", 0.5),
        ("5.", 5),
        ("+5", 5),
        ("-Infinity", -math.inf),
        ([], 0),
        (["2"], 2),
        ([[3]], 3),
        ([None], 0),
    ],
)
def test_values_that_read_as_numbers(value: Any, number: float) -> None:
    assert to_number(value) == number


@pytest.mark.parametrize(
    "value", ["a", "1 2", "1_0", "-0x1", "1e", "٣", "inf", "infinity", "nan", {}, [1, 2], ["a"]]
)
def test_values_that_do_not(value: Any) -> None:
    assert math.isnan(to_number(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([None, 1, "x", [2, [3]], True], ",1,x,2,3,true"),
        ([], ""),
        ({}, "[object Object]"),
        ([{}], "[object Object]"),
    ],
)
def test_a_value_as_text(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_json_writes_numbers_as_javascript_does() -> None:
    assert to_json([1.0, 1e-7, 0.00001, -0.0, 1e22]) == "[1,1e-7,0.00001,0,1e+22]"


@pytest.mark.parametrize(("number", "result"), [(3.0, 3), (2.5, 2.5), (2.0**53, 2.0**53)])
def test_whole_numbers_are_ints_while_they_are_exact(number: float, result: float) -> None:
    assert whole(number) == result
    assert isinstance(whole(number), int) == (number == 3.0)


def test_lengths_are_in_utf16_units() -> None:
    assert [utf16_length(text) for text in ("", "aü", "🎈")] == [0, 2, 2]
