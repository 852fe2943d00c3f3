"""Decimal arithmetic, logic, and numbers by chance."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.registry import builtin_catalogue
from tests.unit.nodes.context import run

NODES = builtin_catalogue()


def calculate(a: Any, operation: str | None, b: Any) -> Any:
    return run(NODES["MathNode"], a=a, b=b, operation=operation)["result"]


@pytest.mark.parametrize(
    ("a", "operation", "b", "result"),
    [
        (0.1, "add", 0.2, 0.3),
        (0.3, "subtract", 0.1, 0.2),
        (1.1, "multiply", 3, 3.3),
        (1, "divide", 3, 1 / 3),
        (6, "divide", 3, 2),
        (-7, "modulo", 3, -1),
        (7, "modulo", -3, 1),
        (0.3, "modulo", 0.1, 0),
        (1e300, "modulo", 7, 10**300 % 7),
        (2, "power", 10, 1024),
        (0, "power", 0, 1),
        (4, "power", 0.5, 2),
        (-2, "power", 3, -8),
        (2, "power", -1, 0.5),
        (0.5, "power", 1e300, 0),
        (1, "min", 2, 1),
        (1, "max", 2, 2),
        (1, "average", 2, 1.5),
        (3, "absolute_difference", 5, 2),
        (7, "percentage", 5, 140),
        (8, "log_base", 2, 3),
        (1000, "log_base", 10, 3),
        (0.25, "log_base", 0.5, 2),
        (None, "add", 2, 2),
        (10**20, "add", 1, 1e20),
    ],
)
def test_calculations(a: Any, operation: str, b: Any, result: float) -> None:
    assert calculate(a, operation, b) == result


def test_a_whole_result_is_an_int_and_the_inputs_are_handed_on() -> None:
    outputs = run(NODES["MathNode"], a=1.5, b=1.5, operation="add")
    assert outputs == {"a": 1.5, "b": 1.5, "operation": "add", "result": 3}
    assert isinstance(outputs["result"], int)


@pytest.mark.parametrize(
    ("a", "operation", "b", "message"),
    [
        (1, None, 2, "Unknown operation: undefined"),
        (1, "root", 2, "port 'operation'"),
        (1, "divide", 0, "Division by zero"),
        (1, "modulo", 0, "Modulo by zero"),
        (1, "percentage", 0, "percentage with zero"),
        (-1, "power", 0.5, "non-integer power"),
        (0, "power", -1, "not a finite number"),
        (0, "log_base", 2, "non-positive"),
        (-8, "log_base", 2, "non-positive"),
        (8, "log_base", 0, "base"),
        (8, "log_base", -2, "base"),
        (8, "log_base", 1, "base"),
        (1e200, "multiply", 1e200, "not a finite number"),
        (10, "power", 1000, "not a finite number"),
    ],
)
def test_what_can_not_be_calculated(a: Any, operation: str | None, b: Any, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        calculate(a, operation, b)


@pytest.mark.parametrize(("a", "b"), [(1.0000000001, 1e18), (1e300, 1e300), (0.999999, 1e15)])
def test_no_power_takes_long(a: float, b: float) -> None:
    started = time.process_time()
    try:
        calculate(a, "power", b)
    except NodeError as error:
        assert "finite" in error.message  # noqa: PT017 - either way will do, if it is quick
    assert time.process_time() - started < 5


@pytest.mark.parametrize("x", [True, False, None])
@pytest.mark.parametrize("y", [True, False, None])
def test_logic(x: bool | None, y: bool | None) -> None:
    assert run(NODES["AndNode"], inputX=x, inputY=y) == {"result": bool(x) and bool(y)}
    assert run(NODES["OrNode"], inputX=x, inputY=y) == {"result": bool(x) or bool(y)}
    assert run(NODES["NotNode"], input=x) == {"result": not x}


def draw(**inputs: float) -> set[Any]:
    return {run(NODES["RandomNode"], **inputs)["result"] for _ in range(200)}


def test_random_numbers_are_on_the_steps_both_ends_included() -> None:
    assert draw(rangeFrom=0, rangeTo=0.3, step=0.1) == {0, 0.1, 0.2, 0.3}
    assert draw(rangeFrom=-1, rangeTo=1.5, step=1) == {-1, 0, 1}
    assert draw(rangeFrom=5, rangeTo=5) == {5}


@pytest.mark.parametrize("step", [0, -2])
def test_a_step_that_is_not_above_zero_counts_as_one(step: float) -> None:
    assert draw(rangeFrom=1, rangeTo=3, step=step) == {1, 2, 3}


def test_a_range_that_is_upside_down() -> None:
    with pytest.raises(NodeError, match=r"rangeFrom \(2\) is above rangeTo \(1\)"):
        draw(rangeFrom=2, rangeTo=1)


def test_chance_is_an_effect() -> None:
    assert NODES["RandomNode"].effects
    assert not NODES["MathNode"].effects
