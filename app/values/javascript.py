"""Numbers and texts as JavaScript reads and writes them: ChainGraph's flows count on it."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Context, Decimal
from json.encoder import encode_basestring

from app.values.ports import Value

#: From here on JavaScript writes a number with an exponent, and below this too.
_LARGE, _SMALL = 21, -7

#: What String.prototype.trim takes away, and str.strip() does not quite.
WHITESPACE = "\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)

#: Whole numbers up to here are exact in a double, and come out as int.
MAX_SAFE_INTEGER = 2**53 - 1

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_RADIX = re.compile(r"0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")

#: Doubles have at most 767 significant digits; with 1100 no step here rounds.
_EXACT = Context(prec=1100, rounding=ROUND_HALF_UP)


def whole(number: float | Decimal) -> int | float:
    """Give a whole number as int, so that JSON says 3 and not 3.0; others as float."""
    value = float(number)
    if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value


def number_to_text(number: float) -> str:
    """Write a number as String(number) does: 1e+21, 1e-7, 0.000001, 3."""
    if isinstance(number, int) and abs(number) < 10**_LARGE:
        return str(number)
    number = _double(number)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"
    if number == 0:
        return "0"
    sign, digits, exponent = _shortest(number)
    if _SMALL < exponent < _LARGE:
        return sign + _positional(digits, exponent)
    return sign + _scientific(digits, exponent)


def to_fixed(number: float, places: int) -> str:
    """Write a number as Number.prototype.toFixed does: halves away from zero, no exponent."""
    if abs(number) >= 10**_LARGE:
        return number_to_text(number)
    rounded = Decimal(number).quantize(Decimal(1).scaleb(-places), context=_EXACT)
    text = f"{rounded:f}"
    return text.removeprefix("-") if number == 0 else text


def to_exponential(number: float, places: int | None = None) -> str:
    """Write a number as toExponential does; without `places` in as many digits as it needs."""
    if number == 0:
        return _scientific("0" * ((places or 0) + 1), 0)
    sign, digits, exponent = _shortest(_double(number))
    if places is not None:
        exact = Decimal(number)
        rounded = Context(prec=places + 1, rounding=ROUND_HALF_UP).plus(exact)
        digits = "".join(map(str, rounded.as_tuple().digits)).ljust(places + 1, "0")
        exponent = rounded.adjusted()
    return sign + _scientific(digits, exponent)


def to_number(value: Value) -> float:
    """Read a value as Number(value) does; NaN where it is no number."""
    if value is None:
        return 0.0
    if isinstance(value, bool | int | float):
        return _double(value)
    if isinstance(value, dict):
        return math.nan
    return _text_to_number(to_text(value))


def to_text(value: Value) -> str:
    """Write a value as String(value) does: [1, null] is '1,', {} is '[object Object]'."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_to_text(value)
    if isinstance(value, list):
        return ",".join("" if item is None else to_text(item) for item in value)
    return "[object Object]"


def to_json(value: Value, indent: int = 0) -> str:
    """Write a value as JSON.stringify does: numbers as JavaScript writes them."""
    out: list[str] = []
    _write(value, indent, "\n", out)
    return "".join(out)


def utf16_length(text: str) -> int:
    """Count a text's UTF-16 units, which is what `length` means in JavaScript."""
    return len(utf16_key(text)) // 2


def utf16_key(text: str) -> bytes:
    """Give a key under which texts sort as in JavaScript, by UTF-16 units."""
    return text.encode("utf-16-be", "surrogatepass")


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _shortest(number: float) -> tuple[str, str, int]:
    """Sign, shortest digits that read back as the number, and the power of ten of the first."""
    parts = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, parts.digits))
    assert isinstance(parts.exponent, int), "a finite number has an exponent"
    return "-" if parts.sign else "", digits, parts.exponent + len(digits) - 1


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    if len(digits) <= exponent + 1:
        return digits.ljust(exponent + 1, "0")
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{exponent:+d}"


def _text_to_number(text: str) -> float:
    text = text.strip(WHITESPACE)
    if not text:
        return 0.0
    if text in {"Infinity", "+Infinity", "-Infinity"}:
        return float(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _RADIX.fullmatch(text):
        return _double(int(text, 0))
    return math.nan


def _write(value: Value, indent: int, margin: str, out: list[str]) -> None:
    """Append the JSON of a value; `margin` is the line break with the indent of its level."""
    if isinstance(value, str):
        out.append(encode_basestring(value))
    elif isinstance(value, dict | list) and value:
        inner = margin + " " * indent if indent else ""
        is_object = isinstance(value, dict)
        out.append("{" if is_object else "[")
        if isinstance(value, dict):
            _write_fields(value, indent, inner, out)
        else:
            _write_items(value, indent, inner, out)
        out += (margin if indent else "", "}" if is_object else "]")
    elif isinstance(value, dict | list):
        out.append("{}" if isinstance(value, dict) else "[]")
    else:
        out.append(to_text(value))


def _write_fields(fields: dict[str, Value], indent: int, inner: str, out: list[str]) -> None:
    colon = ": " if indent else ":"
    separator = inner
    for key, item in fields.items():
        out += (separator, encode_basestring(key), colon)
        _write(item, indent, inner, out)
        separator = "," + inner


def _write_items(items: list[Value], indent: int, inner: str, out: list[str]) -> None:
    separator = inner
    for item in items:
        out.append(separator)
        _write(item, indent, inner, out)
        separator = "," + inner
