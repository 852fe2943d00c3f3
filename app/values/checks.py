"""Whether a value is JSON, and whether a port allows it."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from app.values.jsonable import MAX_PARTS, is_broken, is_json, kind_of, why_not_json
from app.values.paths import Path, format_path
from app.values.patterns import TIME_LIMIT_S, PatternError, PatternTimeout, Stopwatch
from app.values.ports import PortConfig, PortType, Value
from app.values.regexp import compile_regexp, matches

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


class PatternTime:
    """The time that all patterns of one value, or of one document, may take together.

    Only compiling and matching count, and not what is done between two patterns.
    """

    def __init__(self, limit_s: float = TIME_LIMIT_S) -> None:
        self._left_s = limit_s

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the pattern matches; raises PatternError, PatternTimeout."""
        with self._counted() as stopwatch:
            return matches(pattern, text, stopwatch)

    def check(self, pattern: str) -> None:
        """Raise PatternError if it is no pattern, PatternTimeout if there is no time left."""
        with self._counted() as stopwatch:
            stopwatch.left_s()
            compile_regexp(pattern)

    @contextmanager
    def _counted(self) -> Iterator[Stopwatch]:
        begun_at = time.monotonic()
        try:
            yield Stopwatch(self._left_s)
        finally:
            self._left_s -= time.monotonic() - begun_at


#: Why a value can't stand in a port, before it is known where.
_Complaint = tuple[str, FaultKind]

#: The way from the root to a part, innermost step first: cheap to extend, read on a fault only.
_Trail = tuple["_Trail", str | int] | None


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
    config: PortConfig, value: Value, pattern_time: PatternTime | None = None
) -> Iterator[ValueFault]:
    """Everything wrong with a value, in the order in which it is written.

    All patterns share one limit (the caller's, if several values share it): ten thousand slow
    texts must not add up.
    """
    pattern_time = pattern_time or PatternTime()
    parts = 0
    quick = True
    pending: list[tuple[PortConfig, Value, _Trail, int]] = [(config, value, None, 0)]
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
        complaint = _complaint(config, value, depth, pattern_time)
        if complaint is not None:
            yield ValueFault(_path(trail), *complaint)
            if complaint[1] is FaultKind.TYPE:
                continue
        if isinstance(value, dict):
            yield from _absent(config, value, trail)
            yield from _bad_keys(value, trail)
        if isinstance(value, dict | list):
            pending.extend(_parts(config, value, trail, depth + 1))


def _parts(
    config: PortConfig, value: Value, trail: _Trail, depth: int
) -> Iterator[tuple[PortConfig, Value, _Trail, int]]:
    """What a container holds, last first, as the stack wants it."""
    if isinstance(value, list):
        item = config.item or _ANYTHING if config.type is PortType.ARRAY else _ANYTHING
        for position in range(len(value) - 1, -1, -1):
            yield item, value[position], (trail, position), depth
        return
    properties = config.properties or {} if config.type is PortType.OBJECT else {}
    for key in reversed(value):
        if isinstance(key, str):
            yield properties.get(key, _ANYTHING), value[key], (trail, key), depth


def _absent(config: PortConfig, value: Value, trail: _Trail) -> Iterator[ValueFault]:
    for name, part in (config.properties or {}).items():
        if part.required and name not in value:
            yield ValueFault(_path((trail, name)), "is missing", FaultKind.MISSING)


def _bad_keys(value: Value, trail: _Trail) -> Iterator[ValueFault]:
    for key in value:
        if not isinstance(key, str):
            message = f"has a key that is no string ({type(key).__name__})"
            yield ValueFault(_path(trail), message, FaultKind.TYPE)
        elif not key.isascii() and is_broken(key):
            yield ValueFault(
                _path(trail), "has a key with half of a surrogate pair", FaultKind.TYPE
            )


def _complaint(
    config: PortConfig, value: Value, depth: int, pattern_time: PatternTime
) -> _Complaint | None:
    unfit = why_not_json(value, depth)
    if unfit is not None:
        return unfit, FaultKind.TYPE
    if value is None:
        return ("must not be null", FaultKind.BOUNDS) if config.required else None
    if not _has_type(config, value):
        return f"must be {_wanted(config)}, not {kind_of(value)}", FaultKind.TYPE
    outside = _outside_bounds(config, value, pattern_time)
    return None if outside is None else (outside, FaultKind.BOUNDS)


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


def _outside_bounds(config: PortConfig, value: Value, pattern_time: PatternTime) -> str | None:
    match config.type:
        case PortType.STRING:
            return _outside_length(config, value, "characters") or _unmatched(
                config.pattern, value, pattern_time
            )
        case PortType.NUMBER:
            return _outside_range(config, value)
        case PortType.ARRAY:
            return _outside_length(config, value, "items")
        case PortType.ENUM:
            return _no_option(config, value)
        case _:
            return None


def _outside_length(config: PortConfig, value: Value, unit: str) -> str | None:
    if config.min_length is not None and len(value) < config.min_length:
        return f"must have at least {config.min_length} {unit}, not {len(value)}"
    if config.max_length is not None and len(value) > config.max_length:
        return f"must have at most {config.max_length} {unit}, not {len(value)}"
    return None


def _unmatched(pattern: str | None, text: str, pattern_time: PatternTime) -> str | None:
    if pattern is None:
        return None
    try:
        matched = pattern_time.matches(pattern, text)
        return None if matched else f"must match the pattern {pattern}"
    except (PatternError, PatternTimeout) as error:
        return f"can't be checked against the pattern {pattern}: {error}"


def _outside_range(config: PortConfig, value: float) -> str | None:
    if config.minimum is not None and value < config.minimum:
        return f"must be at least {config.minimum:g}"
    if config.maximum is not None and value > config.maximum:
        return f"must be at most {config.maximum:g}"
    if config.integer and value != math.floor(value):
        return "must be a whole number"
    if config.step is not None and not _on_step(value, config.minimum or 0, config.step):
        return f"must go in steps of {config.step:g} from {config.minimum or 0:g}"
    return None


def _on_step(value: float, start: float, step: float) -> bool:
    # Doubles don't hit 0.1 + 0.1 + 0.1 exactly, so a billionth of a step is forgiven.
    steps = (float(value) - start) / step
    return not math.isfinite(steps) or abs(steps - round(steps)) <= 1e-9 * max(1.0, abs(steps))


def _no_option(config: PortConfig, value: Value) -> str | None:
    if not config.options or any(same_scalar(option, value) for option in config.options):
        return None
    shown = ", ".join(str(option) for option in config.options[:10])
    more = f" … ({len(config.options)} in all)" if len(config.options) > 10 else ""
    return f"must be one of {shown}{more}"


def same_scalar(left: Value, right: Value) -> bool:
    """Whether two plain values are one and the same in JSON."""
    # In Python 1 == True; in JSON they are different values.
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _path(trail: _Trail) -> Path:
    steps: list[str | int] = []
    while trail is not None:
        trail, step = trail
        steps.append(step)
    return tuple(reversed(steps))
