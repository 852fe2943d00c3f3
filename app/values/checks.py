"""Whether a value is JSON, and whether a port allows it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.values.bounds import Bounds, PatternTime
from app.values.jsonable import MAX_PARTS, is_broken, is_json, kind_of, why_not_json
from app.values.paths import Path, format_path
from app.values.ports import PortConfig, PortType, Value
from app.values.secrets import reference_fault

_ANYTHING = PortConfig(PortType.ANY)

#: What Python makes of each type; a boolean counts as a number here, and is sorted out apart.
_PYTHON_TYPES: Mapping[PortType, tuple[type, ...]] = {
    PortType.STRING: (str,),
    PortType.NUMBER: (int, float),
    PortType.BOOLEAN: (bool,),
    PortType.ARRAY: (list,),
    PortType.OBJECT: (dict,),
    PortType.ENUM: (str, int, float, bool),
    PortType.STREAM: (dict,),
    PortType.SECRET: (str, dict),
    PortType.ANY: (object,),
}


class FaultKind(enum.Enum):
    """What sort of rule a value breaks; some sorts are excused in some places."""

    TYPE = "type"
    BOUNDS = "bounds"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ValueFault:
    """One thing wrong with a value: where in it, and a clause such as `must be a number`."""

    path: Path
    message: str
    kind: FaultKind

    def sentence(self) -> str:
        """The clause with its place in the value: `[2].name must be a number`."""
        return f"{format_path(self.path) or 'it'} {self.message}"


#: Why a value can't stand in a port, before it is known where.
_Complaint = tuple[str, FaultKind]

#: The way from the root to a part, innermost step first: cheap to extend, read on a fault only.
Trail = tuple["Trail", str | int] | None


def check_value(config: PortConfig, value: Value) -> str | None:
    """Give the first thing wrong with a value as a sentence, or None if the port allows it.

    The sentence speaks of the value as "it": "it must be at most 10", "[2].name must be …".
    """
    fault = next(value_faults(config, value), None)
    return None if fault is None else fault.sentence()


def check_json(value: Value) -> str | None:
    """Give the first thing in a value that JSON can't hold as a sentence, or None."""
    return check_value(_ANYTHING, value)


def value_faults(
    config: PortConfig, value: Value, bounds: Bounds | None = None
) -> Iterator[ValueFault]:
    """Everything wrong with a value, in the order in which it is written.

    All patterns share one limit (that of the caller's `bounds`, if several values share them): ten
    thousand slow texts must not add up. Of what an object lacks, only the first is named.
    """
    bounds = bounds or Bounds(PatternTime())
    parts = 0
    quick = True
    pending: list[tuple[PortConfig, Value, Trail, int]] = [(config, value, None, 0)]
    while pending:
        config, value, trail, depth = pending.pop()
        parts += 1
        if parts > MAX_PARTS:
            yield ValueFault((), f"has more than {MAX_PARTS} parts", FaultKind.TYPE)
            return
        if quick and config.type is PortType.ANY and isinstance(value, dict | list):
            # Nothing but JSON is asked of it: one quick look, and only if that finds something
            # is it gone through again, slowly, to say where.
            quick = is_json(value, depth)
            if quick:
                continue
        complaint = _complaint(config, value, depth, bounds)
        if complaint is not None:
            yield ValueFault(path_of(trail), *complaint)
            if complaint[1] is FaultKind.TYPE:
                continue
        if isinstance(value, dict):
            absent = bounds.absent(config, value)
            if absent is not None:
                yield ValueFault(path_of((trail, absent)), "is missing", FaultKind.MISSING)
            yield from _bad_keys(value, trail)
        if isinstance(value, dict | list):
            pending.extend(_parts(config, value, trail, depth + 1))


def _parts(
    config: PortConfig, value: Value, trail: Trail, depth: int
) -> Iterator[tuple[PortConfig, Value, Trail, int]]:
    """What a container holds, last first, as the stack wants it."""
    if isinstance(value, list):
        item = config.item or _ANYTHING if config.type is PortType.ARRAY else _ANYTHING
        for position in range(len(value) - 1, -1, -1):
            yield item, value[position], (trail, position), depth
        return
    properties = _properties(config)
    for key in reversed(value):
        if isinstance(key, str):
            yield properties.get(key, _ANYTHING), value[key], (trail, key), depth


def _properties(config: PortConfig) -> Mapping[str, PortConfig]:
    match config.type:
        case PortType.OBJECT:
            return config.properties or {}
        case PortType.STREAM if config.item is not None:
            return {"buffer": PortConfig(PortType.ARRAY, item=config.item)}
        case _:
            return {}


def _bad_keys(value: Value, trail: Trail) -> Iterator[ValueFault]:
    for key in value:
        if not isinstance(key, str):
            message = f"has a key that is no string ({type(key).__name__})"
            yield ValueFault(path_of(trail), message, FaultKind.TYPE)
        elif not key.isascii() and is_broken(key):
            yield ValueFault(
                path_of(trail), "has a key with half of a surrogate pair", FaultKind.TYPE
            )


def _complaint(config: PortConfig, value: Value, depth: int, bounds: Bounds) -> _Complaint | None:
    unfit = why_not_json(value, depth)
    if unfit is not None:
        return unfit, FaultKind.TYPE
    if value is None:
        return ("must not be null", FaultKind.BOUNDS) if config.required else None
    if config.type is PortType.SECRET or config.sealed:
        unfit = reference_fault(config, value)
        if unfit is not None:
            return unfit, FaultKind.TYPE
    if not _has_type(config, value):
        return f"must be {_wanted(config)}, not {kind_of(value)}", FaultKind.TYPE
    outside = bounds.broken_by(config, value)
    return None if outside is None else (outside, FaultKind.BOUNDS)


def is_of_other_type(config: PortConfig, value: Value) -> bool:
    """Whether a value is of another type than the port's, whatever it holds; null is of any."""
    return value is not None and not _has_type(config, value)


def _has_type(config: PortConfig, value: Value) -> bool:
    if config.type is PortType.NUMBER and isinstance(value, bool):
        return False
    if config.type is PortType.STREAM:
        return isinstance(value, dict) and isinstance(value.get("buffer"), list)
    return isinstance(value, _PYTHON_TYPES[config.type])


def _wanted(config: PortConfig) -> str:
    match config.type:
        case PortType.ENUM:
            return "one of its options"
        case PortType.STREAM:
            return "a stream ({type, buffer, isClosed})"
        case PortType.SECRET:
            return "a reference to a secret"
        case PortType.ARRAY | PortType.OBJECT:
            return f"an {config.type}"
        case _:
            return f"a {config.type}"


def path_of(trail: Trail) -> Path:
    """The steps of a trail from the root on."""
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return tuple(reversed(steps))
