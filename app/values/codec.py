"""Port configs as JSON: what a document or an export holds, what the catalogue shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.errors import Fault, ValidationFailed
from app.values.bounds import PatternTime, as_option
from app.values.checks import check_json
from app.values.jsonable import kind_of
from app.values.patterns import PatternError, PatternTimeout
from app.values.ports import MISSING, Direction, Missing, PortConfig, PortType, Value

#: Configs inside each other (items, properties, underlying types): Python's stack walks them.
MAX_NESTING = 50

#: Characters of a key that a pointer shows.
MAX_STEP = 200

#: Faults of one config that are named; it may have hundreds of thousands.
MAX_FAULTS = 1_000

#: Keys that an editor keeps in a config and that have no meaning when a flow runs.
_EDITOR_KEYS = frozenset(
    {
        "id",
        "key",
        "name",
        "order",
        "nodeId",
        "parentId",
        "ui",
        "connections",
        "metadata",
        "isMutable",
    }
)


def port_from_json(
    raw: Value,
    *,
    pointer: str = "",
    lenient: bool = False,
    direction: Direction | None = None,
    pattern_time: PatternTime | None = None,
) -> PortConfig:
    """Read a config as exports and documents write it.

    `direction` stands where the config names none (default: input). `lenient` ignores keys that
    are not known, as an export may have them. Raises ValidationFailed with every fault, each at
    a place below the JSON pointer `pointer`.
    """
    reader = _Reader(lenient=lenient, pattern_time=pattern_time or PatternTime())
    config = reader.config(raw, pointer, direction or Direction.INPUT, 0)
    if reader.unnamed:
        message = f"there are {reader.unnamed} more faults like these"
        reader.faults.append(Fault(pointer, message))
    if reader.faults:
        raise ValidationFailed(reader.faults, "The port config is not valid.")
    return config


def port_to_json(config: PortConfig) -> dict[str, Value]:
    """Write a config with the keys that `port_from_json` reads; what says nothing is left out."""
    said: dict[str, Value] = {"type": str(config.type), "direction": str(config.direction)}
    for key, attribute, silent in _WRITTEN:
        value = getattr(config, attribute)
        if value != silent and not isinstance(value, Missing):
            said[key] = value
    if not isinstance(config.default, Missing):
        said["defaultValue"] = config.default
    if config.options:
        said["options"] = list(config.options)
    if config.item is not None:
        said["itemConfig"] = port_to_json(config.item)
    if config.properties is not None:
        properties = {name: port_to_json(part) for name, part in config.properties.items()}
        said["schema"] = {"properties": properties}
    if config.underlying is not None:
        said["underlyingType"] = port_to_json(config.underlying)
    return said


#: Key, attribute, and the value that goes without saying.
_WRITTEN: tuple[tuple[str, str, Value], ...] = (
    ("required", "required", False),
    ("title", "title", ""),
    ("description", "description", ""),
    ("minLength", "min_length", None),
    ("maxLength", "max_length", None),
    ("pattern", "pattern", None),
    ("min", "minimum", None),
    ("max", "maximum", None),
    ("step", "step", None),
    ("integer", "integer", False),
    ("isSchemaMutable", "mutable", False),
)


class _Reader:
    """Reads one config and what is nested in it; keeps the faults that it meets.

    `unnamed` are those beyond MAX_FAULTS.
    """

    def __init__(self, *, lenient: bool, pattern_time: PatternTime) -> None:
        self.lenient = lenient
        self.pattern_time = pattern_time
        self.faults: list[Fault] = []
        self.unnamed = 0

    def config(self, raw: Value, pointer: str, direction: Direction, depth: int) -> PortConfig:
        """Read a config; one that is no good gives an `any` port and a fault."""
        if depth > MAX_NESTING:
            return self._no(pointer, f"is nested deeper than {MAX_NESTING} levels")
        if not isinstance(raw, dict):
            return self._no(pointer, f"a port config must be an object, not {kind_of(raw)}")
        port_type = self._type(raw, pointer)
        direction = self._direction(raw, pointer, direction)
        config = PortConfig(port_type, direction, **self._plain(raw, pointer))
        config = replace(config, **self._nested(raw, pointer, direction, depth + 1))
        self._refuse_unknown(raw, pointer)
        return config

    def _no(self, pointer: str, message: str) -> PortConfig:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(pointer, message))
        else:
            self.unnamed += 1
        return PortConfig(PortType.ANY)

    def _type(self, raw: dict[str, Value], pointer: str) -> PortType:
        try:
            return PortType(str(raw.get("type")))
        except ValueError:
            message = f"must be one of {', '.join(PortType)}"
            return self._no(f"{pointer}/type", message).type

    def _direction(self, raw: dict[str, Value], pointer: str, inherited: Direction) -> Direction:
        if raw.get("direction") is None:
            return inherited
        try:
            return Direction(raw["direction"])
        except ValueError:
            self._no(f"{pointer}/direction", f"must be one of {', '.join(Direction)}")
            return inherited

    def _plain(self, raw: dict[str, Value], pointer: str) -> dict[str, Any]:
        """The settings that hold no other config."""
        found: dict[str, Any] = {}
        for key, (attribute, read) in _PLAIN.items():
            if raw.get(key) is None:
                continue
            try:
                found[attribute] = read(raw[key])
            except ValueError as error:
                self._no(f"{pointer}/{key}", str(error))
        self._check_pattern(found.get("pattern"), f"{pointer}/pattern")
        # A default of null is a default: `null` is a value.
        if "defaultValue" in raw:
            found["default"] = self._default(raw["defaultValue"], f"{pointer}/defaultValue")
        return found

    def _check_pattern(self, pattern: str | None, pointer: str) -> None:
        if pattern is None:
            return
        try:
            self.pattern_time.check(pattern)
        except (PatternError, PatternTimeout) as error:
            self._no(pointer, str(error))

    def _default(self, value: Value, pointer: str) -> Value | Missing:
        unfit = check_json(value)
        if unfit is None:
            return value
        self._no(pointer, unfit)
        return MISSING

    def _nested(
        self, raw: dict[str, Value], pointer: str, direction: Direction, depth: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, attribute in (("itemConfig", "item"), ("underlyingType", "underlying")):
            if raw.get(key) is not None:
                inner = f"{pointer}/{key}"
                found[attribute] = self.config(raw[key], inner, direction, depth)
        if raw.get("schema") is not None:
            found["properties"] = self._properties(
                raw["schema"], f"{pointer}/schema", direction, depth
            )
        return found

    def _properties(
        self, schema: Value, pointer: str, direction: Direction, depth: int
    ) -> Mapping[str, PortConfig]:
        properties = schema.get("properties", {}) if isinstance(schema, dict) else None
        if not isinstance(properties, dict):
            self._no(pointer, "must be an object with `properties`, an object of port configs")
            return {}
        return {
            name: self.config(part, f"{pointer}/properties/{escape(name)}", direction, depth)
            for name, part in properties.items()
        }

    def _refuse_unknown(self, raw: dict[str, Value], pointer: str) -> None:
        if self.lenient:
            return
        for key in raw:
            if key not in _KNOWN_KEYS:
                self._no(f"{pointer}/{escape(key)}", "is not a setting of a port")


def escape(step: str) -> str:
    """A key as a step of a JSON pointer (RFC 6901), of a long one the beginning.

    A key of megabytes must not stand in the pointer of every fault below it.
    """
    if len(step) > MAX_STEP:
        step = f"{step[:MAX_STEP]}…"
    if "~" not in step and "/" not in step:
        return step
    return step.replace("~", "~0").replace("/", "~1")


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {kind_of(value)}")  # noqa: TRY004
    return value


def _flag(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be a boolean, not {kind_of(value)}")  # noqa: TRY004
    return value


def _number(value: Value) -> float:
    unfit = check_json(value)
    if unfit is not None:
        raise ValueError(unfit)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a number, not {kind_of(value)}")  # noqa: TRY004
    return value


def _positive(value: Value) -> float:
    if _number(value) <= 0:
        raise ValueError("must be more than 0")
    return float(value)


def _length(value: Value) -> int:
    number = _number(value)
    if number < 0 or number != math.floor(number):
        raise ValueError("must be a whole number of at least 0")
    return int(number)


def _options(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be an array, not {kind_of(value)}")  # noqa: TRY004
    options: dict[Value, Value] = {}
    for option in value:
        for choice in _choices(option):
            unfit = check_json(choice)
            if unfit is not None:
                raise ValueError(f"an option {unfit.removeprefix('it ')}")
            options.setdefault(as_option(choice), choice)
    return tuple(options.values())


def _choices(option: Value) -> list[Value]:
    """What an option stands for: an export's is a config, known by its default and its id."""
    if isinstance(option, dict):
        found = [option[key] for key in ("defaultValue", "id") if option.get(key) is not None]
    else:
        found = [option]
    if not found or any(isinstance(choice, dict | list) for choice in found):
        raise ValueError("an option must be a plain value, or an object with an id")
    return found


_PLAIN: Mapping[str, tuple[str, Callable[[Value], Any]]] = {
    "required": ("required", _flag),
    "title": ("title", _text),
    "description": ("description", _text),
    "minLength": ("min_length", _length),
    "maxLength": ("max_length", _length),
    "pattern": ("pattern", _text),
    "min": ("minimum", _number),
    "max": ("maximum", _number),
    "step": ("step", _positive),
    "integer": ("integer", _flag),
    "options": ("options", _options),
    "isSchemaMutable": ("mutable", _flag),
}
_KNOWN_KEYS = (
    _EDITOR_KEYS
    | _PLAIN.keys()
    | {
        "type",
        "direction",
        "defaultValue",
        "itemConfig",
        "schema",
        "underlyingType",
    }
)
