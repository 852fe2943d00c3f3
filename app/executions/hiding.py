"""What keeps the secrets that a node has opened from leaving it again."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import orjson

from app.errors import NodeError
from app.nodes.timer import Sleeping
from app.values.ports import PortConfig, Value
from app.values.secrets import MASK, Seal, holds_secrets, sealed

#: Texts that are shorter (characters) stand in too much that is no secret.
LEAST_LENGTH = 4
#: Numbers from here on are no secrets.
LEAST_LONG = 10**100


class Hidden:
    """The texts that must not leave a node, in the forms in which they are usually written."""

    def __init__(self) -> None:
        self._forms: list[str] = []

    def add(self, data: Value) -> None:
        """Hide the texts of a secret from now on."""
        forms = {form for text in _texts(data) for form in _written(text)}
        # The longest first: one may be part of another.
        self._forms = sorted(forms.union(self._forms), key=lambda form: (-len(form), form))

    def text(self, text: str) -> str:
        """The text with masks in the place of secrets."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def value(self, value: Value) -> Value:
        """The value with masks in all of its texts, keys among them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.value(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if isinstance(value, int | float) and any(form in self._forms for form in _digits(value)):
            return MASK
        return value

    def error(self, error: BaseException) -> BaseException:
        """The error with masks in its message; itself where it tells nothing."""
        if isinstance(error, NodeError):
            error.message = self.text(error.message)
            error.args = tuple(self.value(part) for part in error.args)
            return error
        told = str(error)
        if isinstance(error, Sleeping) or self.text(told) == told:
            return error
        # Any exception may write its text as it likes: one of the same name tells it masked.
        masked: BaseException = type(type(error).__name__, (NodeError,), {})(self.text(told))
        return masked


def sealed_values(
    ports: Mapping[str, PortConfig], values: Mapping[str, Value], seal: Seal
) -> dict[str, Value]:
    """Values by root port, with their secrets sealed: no plain one crosses an edge."""
    return {
        port: sealed(ports[port], value, seal)
        if port in ports and holds_secrets(ports[port])
        else value
        for port, value in values.items()
    }


def _digits(number: Value) -> Iterator[str]:
    """How a number may have been written that it was read from: none where it is too long for one.

    Of an integer with thousands of digits Python makes no text.
    """
    if isinstance(number, bool) or not abs(number) < LEAST_LONG:
        return
    yield str(number)
    if isinstance(number, float) and number.is_integer():
        yield str(int(number))


def _texts(data: Value) -> Iterator[str]:
    if isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _texts(part)
    elif isinstance(data, str):
        yield data
        # A key in lines is told line by line, too.
        if len(lines := data.splitlines()) > 1:
            yield from (line.strip() for line in lines)
    elif isinstance(data, int | float):
        yield from _digits(data)


def _written(text: str) -> Iterator[str]:
    """The text as it is, and as it stands in JSON, in Python's errors, in URLs and in base64."""
    if len(text) < LEAST_LENGTH:
        return
    encoded = text.encode()
    yield text
    yield orjson.dumps(text).decode()[1:-1]
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    yield quote(text, safe="")
    yield b64encode(encoded).decode()
    yield urlsafe_b64encode(encoded).decode()
