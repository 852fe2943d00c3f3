"""`--input node.port=value` and `--event name=payload`, as `run` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.cli.flow_file import parse_value
from app.errors import ChainGraphError

Inputs = dict[str, dict[str, Any]]


class InputError(ChainGraphError):
    """An input that names no port, or an event without a name."""


def read_inputs(given: Sequence[str], document: dict[str, Any]) -> Inputs:
    """Read inputs; a value is JSON if it parses, else text. Raises InputError.

    Ids of nodes may hold dots: of the document's, the longest that fits is meant.
    """
    inputs: Inputs = {}
    ids = set(_node_ids(document))
    for each in given:
        place, equals, value = each.partition("=")
        node, port = _split(place, ids)
        if not (equals and node and port):
            raise InputError(f"--input {each}: is not written node.port=value")
        inputs.setdefault(node, {})[port] = parse_value(value)
    return inputs


def read_events(given: Sequence[str]) -> list[dict[str, Any]]:
    """Read events: a name, or `name=payload` with a JSON object. Raises InputError."""
    events: list[dict[str, Any]] = []
    for each in given:
        name, equals, text = each.partition("=")
        payload = parse_value(text) if equals else None
        if not name or (equals and not isinstance(payload, dict)):
            raise InputError(f"--event {each}: is not written name or name={{...}}")
        events.append({"eventName": name} | ({"payload": payload} if equals else {}))
    return events


def _split(place: str, ids: set[str]) -> tuple[str, str]:
    cuts = [index for index, character in enumerate(place) if character == "."]
    for cut in reversed(cuts):
        if place[:cut] in ids:
            return place[:cut], place[cut + 1 :]
    node, _, port = place.partition(".")
    return node, port


def _node_ids(document: dict[str, Any]) -> Iterable[str]:
    """The ids of its nodes, as far as they are any: the server says what is wrong with it."""
    nodes = document.get("nodes")
    for node in nodes if isinstance(nodes, list) else []:
        if isinstance(node, dict) and isinstance(node.get("id"), str):
            yield node["id"]
