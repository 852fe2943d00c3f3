"""Logic and arithmetic. Arithmetic is decimal: 0.1 + 0.2 is 0.3."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from math import isfinite
from typing import Annotated, Literal

from app.errors import NodeError
from app.nodes.sdk import Port, node
from app.values.javascript import whole

CATEGORY = "math"

#: Digits of an intermediate result: enough that rounding to a double hides the last of them.
PRECISION = 50

#: A remainder needs every digit of the quotient: doubles span some 640 powers of ten.
REMAINDER_PRECISION = 700

Operation = Literal[
    "add",
    "subtract",
    "multiply",
    "divide",
    "modulo",
    "power",
    "min",
    "max",
    "average",
    "absolute_difference",
    "percentage",
    "log_base",
]

_PASS = Port(direction="passthrough")
_RESULT = Port("result", default=False)


def _context(precision: int) -> Context:
    # Nothing traps: what isn't finite is reported once, where the result is turned back.
    return Context(prec=precision, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])


_DECIMAL = _context(PRECISION)
_REMAINDER = _context(REMAINDER_PRECISION)


@node("AndNode", category=CATEGORY, effects=False, in_place=True, tags=("logic",))
def and_node(
    input_x: Annotated[bool | None, Port("inputX")] = False,
    input_y: Annotated[bool | None, Port("inputY")] = False,
) -> Annotated[bool, _RESULT]:
    """True if both inputs are true."""
    return bool(input_x and input_y)


@node("OrNode", category=CATEGORY, effects=False, in_place=True, tags=("logic",))
def or_node(
    input_x: Annotated[bool | None, Port("inputX")] = False,
    input_y: Annotated[bool | None, Port("inputY")] = False,
) -> Annotated[bool, _RESULT]:
    """True if one input is true, or both are."""
    return bool(input_x or input_y)


@node("NotNode", category=CATEGORY, effects=False, in_place=True, tags=("logic",))
def not_node(input: bool | None = False) -> Annotated[bool, _RESULT]:  # noqa: A002
    """True if the input is false."""
    return not input


@node("RandomNode", category=CATEGORY, tags=("random", "number"))
def random_number(
    range_from: Annotated[float, Port("rangeFrom")] = 0,
    range_to: Annotated[float, Port("rangeTo")] = 100,
    step: float = 1,
) -> Annotated[float, Port("result", default=0)]:
    """A random number of a range.

    Ports: `rangeFrom` the lowest number, `rangeTo` the highest that may come out, `step` the
    distance between two numbers (0 or less counts as 1), `result` rangeFrom and so many steps.
    """
    low, high, distance = _decimal(range_from), _decimal(range_to), _decimal(step)
    if low > high:
        raise NodeError(f"rangeFrom ({range_from}) is above rangeTo ({range_to})")
    if distance <= 0:
        distance = Decimal(1)
    steps = int(_REMAINDER.divide_int(_REMAINDER.subtract(high, low), distance))
    drawn = _DECIMAL.multiply(Decimal(random.randint(0, steps)), distance)
    return whole(_DECIMAL.add(low, drawn))


@node("MathNode", category=CATEGORY, effects=False, tags=("number", "calculate"))
def math_node(
    a: Annotated[float | None, _PASS] = 0,
    b: Annotated[float | None, _PASS] = 0,
    operation: Annotated[Operation | None, _PASS] = None,
) -> Annotated[float, Port("result", default=0)]:
    """Calculates with two numbers, in decimal.

    Ports: `a` the first number, `b` the second, `operation` what to do with them (percentage
    is a of b in percent, log_base the logarithm of a to base b), `result` what came out.
    """
    if operation is None:
        raise NodeError("Unknown operation: undefined")
    result = float(_OPERATIONS[operation](_decimal(a), _decimal(b)))
    if not isfinite(result):
        raise NodeError(f"the result of {operation} on {a} and {b} is not a finite number")
    return whole(result)


def _decimal(number: float | None) -> Decimal:
    """As its shortest digits, not as the binary fraction behind them; not finite counts as 0."""
    if number is None or not isfinite(number):
        return Decimal(0)
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))


# The words of the errors below are the original's: flows read them from `__errorMessage`.


def _divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise NodeError("Division by zero is not allowed")
    return _DECIMAL.divide(a, b)


def _modulo(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise NodeError("Modulo by zero is not allowed")
    return _REMAINDER.remainder(a, b)


def _power(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        return Decimal(1)
    if a < 0 and b != b.to_integral_value():
        raise NodeError("Cannot raise negative number to non-integer power")
    return _DECIMAL.power(a, b)


def _percentage(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise NodeError("Cannot calculate percentage with zero denominator")
    return _DECIMAL.divide(_DECIMAL.multiply(a, Decimal(100)), b)


def _log_base(a: Decimal, b: Decimal) -> Decimal:
    if a <= 0:
        raise NodeError("Cannot take logarithm of non-positive number")
    if b <= 0 or b == 1:
        raise NodeError("Log base must be positive and not equal to 1")
    return _DECIMAL.divide(_DECIMAL.ln(a), _DECIMAL.ln(b))


_OPERATIONS: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "add": _DECIMAL.add,
    "subtract": _DECIMAL.subtract,
    "multiply": _DECIMAL.multiply,
    "divide": _divide,
    "modulo": _modulo,
    "power": _power,
    "min": min,
    "max": max,
    "average": lambda a, b: _DECIMAL.divide(_DECIMAL.add(a, b), Decimal(2)),
    "absolute_difference": lambda a, b: abs(_DECIMAL.subtract(a, b)),
    "percentage": _percentage,
    "log_base": _log_base,
}
