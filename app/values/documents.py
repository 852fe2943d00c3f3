"""Reads texts that hold a value: JSON, and YAML 1.2 as far as JSON can hold it.

YAML is read from the parser's events rather than by a loader of PyYAML's: those know YAML 1.1
only (`no` is false there), recurse, and unfold aliases without end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from app.values.plain import MAX_DEPTH
from app.values.ports import Value

#: Values in a document, counted with everything that aliases repeat.
MAX_PARTS = 1_000_000

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"[-+]?0(?:o[0-7]+|x[0-9a-fA-F]+|b[01]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


class DocumentError(ValueError):
    """The text can't be read; the message says why, and where."""


def read_document(text: str, form: str = "auto") -> Value:
    """Read a text as `json` or `yaml`; `auto` takes what isn't JSON as YAML.

    An empty text is null. Raises DocumentError.
    """
    if not text.strip():
        return None
    if form == "json":
        return read_json(text)
    if form == "auto":
        try:
            return read_json(text)
        except DocumentError:
            # Most texts that aren't JSON are YAML; its reader says what is wrong with the others.
            return read_yaml(text)
    return read_yaml(text)


def read_json(text: str) -> Value:
    """Read JSON (RFC 8259); raises DocumentError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DocumentError(str(error)) from error


def read_yaml(text: str) -> Value:
    """Read one YAML document; dates stay texts, keys become texts. Raises DocumentError."""
    try:
        return _Builder().build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise DocumentError(_one_line(error)) from error


@dataclass(slots=True)
class _Open:
    """A collection whose end hasn't come yet; `size` counts the values in it."""

    value: list[Value] | dict[str, Value]
    anchor: str | None
    size: int = 1
    key: str | None = None
    merged: dict[str, Value] = field(default_factory=dict)


class _Builder:
    """Makes a value of a parser's events, without recursion and within limits."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._documents: list[Value] = []

    def build(self, events: Iterable[Any]) -> Value:
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._add(_scalar(event), 1, event)
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.SequenceStartEvent():
                    self._begin([], event)
                case yaml.MappingStartEvent():
                    self._begin({}, event)
                case yaml.CollectionEndEvent():
                    self._end(event)
        if len(self._documents) > 1:
            raise DocumentError("it holds more than one document")
        return self._documents[0] if self._documents else None

    def _begin(self, value: list[Value] | dict[str, Value], event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError(f"it is nested deeper than {MAX_DEPTH} levels{_at(event)}")
        tag = "seq" if isinstance(value, list) else "map"
        if event.tag not in (None, "!", _TAG + tag):
            raise _unknown_tag(event)
        self._open.append(_Open(value, event.anchor))

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            # What stands in a mapping itself counts before what it merges in.
            for key, value in done.merged.items():
                done.value.setdefault(key, value)
        self._add(done.value, done.size, event, done.anchor)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise DocumentError(f"the alias *{event.anchor} has no anchor before it{_at(event)}")
        self._add(*self._anchors[event.anchor], event, None)

    def _add(self, value: Value, size: int, event: Any, anchor: str | None = None) -> None:
        anchor = anchor or (event.anchor if isinstance(event, yaml.ScalarEvent) else None)
        if anchor:
            self._anchors[anchor] = value, size
        if not self._open:
            self._documents.append(value)
            return
        outer = self._open[-1]
        outer.size += size
        if outer.size > MAX_PARTS:
            raise DocumentError(f"it has more than {MAX_PARTS} parts{_at(event)}")
        if isinstance(outer.value, list):
            outer.value.append(value)
        elif outer.key is None:
            outer.key = _key(value, event)
        else:
            _set(outer, outer.key, value, event)
            outer.key = None


def _set(outer: _Open, key: str, value: Value, event: Any) -> None:
    assert isinstance(outer.value, dict), "only a mapping has keys"
    if key == _MERGE:
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            raise DocumentError(f"<< merges something that is no mapping{_at(event)}")
        for source in reversed(sources):
            outer.merged.update(source)
    elif key in outer.value:
        raise DocumentError(f"the key '{key}' stands there twice{_at(event)}")
    else:
        outer.value[key] = value


def _key(value: Value, event: Any) -> str:
    if isinstance(value, dict | list):
        raise DocumentError(f"a key is no scalar{_at(event)}")
    # As it is written: 1.0 and 0x10 stay what they look like.
    return str(event.value) if isinstance(event, yaml.ScalarEvent) else str(value)


def _scalar(event: Any) -> Value:
    if event.tag in (None, "!"):
        return _plain(event) if event.implicit[0] else event.value
    if event.tag == f"{_TAG}str":
        return event.value
    if event.tag not in {_TAG + kind for kind in ("int", "float", "bool", "null")}:
        raise _unknown_tag(event)
    value = _plain(event)
    if isinstance(value, str):
        raise DocumentError(f"'{value}' isn't what its tag says{_at(event)}")
    return value


def _plain(event: Any) -> Value:
    """The value of a text without quotes (YAML 1.2.2, 10.3.2)."""
    text = event.value
    if _NULL.fullmatch(text):
        return None
    if boolean := _BOOLEAN.fullmatch(text):
        return boolean[1] is not None
    if _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text):
        return _decimal(text, event)
    if _RADIX.fullmatch(text):
        return int(text, 0)
    if _NOT_FINITE.fullmatch(text):
        raise DocumentError(f"{text} is no number that JSON can hold{_at(event)}")
    return text


def _decimal(text: str, event: Any) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DocumentError(f"a number is too large{_at(event)}")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _unknown_tag(event: Any) -> DocumentError:
    return DocumentError(f"the tag {event.tag} isn't known{_at(event)}")


def _at(event: Any) -> str:
    return f", line {event.start_mark.line + 1}" if event.start_mark else ""


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"{problem}, line {mark.line + 1}" if mark else str(problem)
