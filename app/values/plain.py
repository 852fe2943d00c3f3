"""A JSON copy of whatever Python handed over, or a sentence on why there is none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from app.values.ports import Value

#: Levels of nesting; JSON writers stop soon after, and Python's own stack later.
MAX_DEPTH = 200

_READ_AS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int),
    (float, float),
    (list, list),
    (tuple, list),
)


def plain_copy(value: Any) -> Value:
    """Copy a value into dicts, lists, texts, numbers, booleans and None.

    Tuples become lists, enum members their values, dataclasses and NamedTuples objects.
    Raises ValueError with a sentence that says what JSON can't hold, and where in the value.
    """
    return _copy(value, "", 0)


def _copy(value: Any, where: str, depth: int) -> Value:
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return _finite(value, where)
    if type(value) is str:
        return _text(value, where)
    if depth >= MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return _object(value, where, depth + 1)
    if type(value) in (list, tuple):
        return [_copy(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(value)]
    return _copy(_unwrapped(value, where), where, depth + 1)


def _object(value: Mapping[Any, Any], where: str, depth: int) -> dict[str, Value]:
    return {_key(key, where): _copy(item, f"{where}.{key}", depth) for key, item in value.items()}


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{_place(where)} is {value}, and JSON holds finite numbers only")
    return value


def _text(value: str, where: str) -> str:
    # Half a surrogate pair is no text: it can't be encoded, so it can't be stored or sent.
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{_place(where)} holds half of a surrogate pair") from None
    return value


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{_place(where)} has the key {key!r}, and keys are texts")  # noqa: TRY004
    return _text(str(key), where)


def _unwrapped(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return value._asdict()
    # A subclass is read as what it extends.
    for base, read in _READ_AS:
        if isinstance(value, base):
            return read(value)
    raise ValueError(f"{_place(where)} is of type {type(value).__name__}, which JSON can't hold")


def _place(where: str) -> str:
    return where.removeprefix(".") or "it"
