"""A flow in a file: read so that whatever is wrong with it can be shown where it stands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Fault
from app.errors import ChainGraphError

#: A text of the document, or one of the words that look like numbers and are none in JSON.
_TEXTS_AND_NUMBERS = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:Infinity|NaN|\d[\d.eE+-]*)', re.DOTALL)
_SPACE = re.compile(r"[ \t\n\r]*")


class FlowFileError(ChainGraphError):
    """A file that holds no flow."""


class _NoNumber(Exception):
    """A literal that is no number in JSON, or larger than one can be."""


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A flow document as it was read, and the text that it was read from."""

    path: Path
    text: str
    document: dict[str, Any]

    @property
    def names_outputs(self) -> bool:
        """Whether the flow says what its outputs are, and how they are called."""
        metadata = self.document.get("metadata")
        return isinstance(metadata, dict) and metadata.get("outputs") is not None

    def placed(self, fault: Fault) -> str:
        """A fault as compilers write it: file, line, what is wrong there."""
        where = f"{self.path}:{line_at(self.text, fault.pointer)}"
        return ": ".join(filter(None, (where, fault.pointer, fault.message)))


def read_flow_file(path: Path) -> FlowFile:
    """Read a flow file. Raises FlowFileError, whose message begins with the place."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FlowFileError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        raise FlowFileError(f"{path}:{line}: is not UTF-8 (byte {error.start})") from error
    document = _parse(path, text)
    if not isinstance(document, dict):
        raise FlowFileError(f"{path}:1: a flow is an object")
    return FlowFile(path, text, document)


def line_at(text: str, pointer: str) -> int:
    """The line of what a JSON pointer names; of what encloses it where that is missing."""
    place = _skip(text, 0)
    begin = place
    for step in pointer.split("/")[1:]:
        found = _child(text, place, step.replace("~1", "/").replace("~0", "~"))
        if found is None:
            break
        begin, place = found
    return text.count("\n", 0, begin) + 1


def _parse(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise FlowFileError(
            f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}"
        ) from error
    except _NoNumber as error:
        line = _line_of_literal(text, str(error))
        raise FlowFileError(f"{path}:{line}: is not JSON: {error} is no number") from error
    except RecursionError as error:
        raise FlowFileError(f"{path}: is nested too deeply") from error


def parse_json(text: str) -> Any:
    """Parse JSON and nothing beyond it: no NaN, no number that is infinite."""
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def parse_value(text: str) -> Any:
    """Read a value from a command line: JSON if it is JSON, else the text itself."""
    try:
        return read_value(text)
    except ValueError:
        return text


def read_value(text: str) -> Any:
    """Read JSON from a command line. Raises ValueError."""
    try:
        return parse_json(text)
    except (RecursionError, _NoNumber) as error:
        raise ValueError("is not JSON") from error


def _refuse(literal: str) -> Any:
    raise _NoNumber(literal)


def _finite(literal: str) -> float:
    number = float(literal)
    if number in (float("inf"), float("-inf")):
        raise _NoNumber(literal)
    return number


def _line_of_literal(text: str, literal: str) -> int:
    for match in _TEXTS_AND_NUMBERS.finditer(text):
        if match[0] == literal:
            return text.count("\n", 0, match.start()) + 1
    return 1


def _child(text: str, place: int, step: str) -> tuple[int, int] | None:
    """Where a member or item begins, and where its value does; of two alike the last."""
    if text[place] == "{":
        return _member(text, place, step)
    if text[place] == "[" and step.isascii() and step.isdigit():
        return _item(text, place, int(step))
    return None


def _member(text: str, place: int, name: str) -> tuple[int, int] | None:
    found = None
    place = _skip(text, place + 1)
    while text[place] != "}":
        begin = place
        key, place = json.JSONDecoder().raw_decode(text, place)
        value = _skip(text, _skip(text, place) + 1)
        if key == name:
            found = begin, value
        place = _next(text, value)
    return found


def _item(text: str, place: int, number: int) -> tuple[int, int] | None:
    place = _skip(text, place + 1)
    while text[place] != "]":
        if number == 0:
            return place, place
        number -= 1
        place = _next(text, place)
    return None


def _next(text: str, value: int) -> int:
    """Where the next member or item begins, or the end of what holds them."""
    _, end = json.JSONDecoder().raw_decode(text, value)
    place = _skip(text, end)
    return _skip(text, place + 1) if text[place] == "," else place


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    assert match is not None, "it matches the empty text, too"
    return match.end()
