"""Whether what is said of a port fits together: bounds of its type, in their order, readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.values.patterns import PatternError
from app.values.ports import PortConfig, PortType
from app.values.regexp import compile_regexp

_NUMBERS = frozenset({PortType.NUMBER})
_SIZED = frozenset({PortType.STRING, PortType.ARRAY})

#: What bounds which types; what is said of any other is a mistake.
_BOUNDED: Mapping[str, frozenset[PortType]] = {
    "minimum": _NUMBERS,
    "maximum": _NUMBERS,
    "step": _NUMBERS,
    "integer": _NUMBERS,
    "min_length": _SIZED,
    "max_length": _SIZED,
    "pattern": frozenset({PortType.STRING}),
    "options": frozenset({PortType.ENUM}),
    "item": frozenset({PortType.ARRAY, PortType.STREAM}),
    "properties": frozenset({PortType.OBJECT}),
}

#: The words of `Port(...)`, where they differ from those of a config.
_SAID: Mapping[str, str] = {"minimum": "min", "maximum": "max"}


def config_fault(config: PortConfig) -> str | None:
    """Why a port's config can't be meant, as a clause such as "has min 3 above max 2", or None."""
    return next(_faults(config), None)


def _faults(config: PortConfig) -> Iterator[str]:
    for name, types in _BOUNDED.items():
        if getattr(config, name) not in (None, False, ()) and config.type not in types:
            yield f"is of type {config.type}, which has no {_SAID.get(name, name)}"
    yield from _crossed("min", config.minimum, "max", config.maximum)
    yield from _crossed("min_length", config.min_length, "max_length", config.max_length)
    if config.step is not None and config.step <= 0:
        yield f"has step {config.step:g}, and a step is above 0"
    if config.min_length is not None and config.min_length < 0:
        yield f"has min_length {config.min_length}, and a length is 0 or more"
    if config.pattern is not None:
        yield from _unreadable(config.pattern)
    for part in (config.item, *(config.properties or {}).values()):
        if part is not None:
            yield from (f"has a part that {fault}" for fault in _faults(part))


def _crossed(low_name: str, low: float | None, high_name: str, high: float | None) -> Iterator[str]:
    if low is not None and high is not None and low > high:
        yield f"has {low_name} {low:g} above {high_name} {high:g}"


def _unreadable(pattern: str) -> Iterator[str]:
    try:
        compile_regexp(pattern)
    except PatternError as error:
        yield f"has the pattern {pattern}, which can't be read: {error}"
