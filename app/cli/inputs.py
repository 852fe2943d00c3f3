"""`--input node.port=value` and `--event name=payload`, as `run` takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.cli.flow_file import parse_value
from app.client import ApiProblem, Fault
from app.errors import ChainGraphError

Inputs = dict[str, dict[str, Any]]


Made = TypeVar("Made")


class InputError(ChainGraphError):
    """An input that names no port, or an event without a name."""


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """Inputs as JSON where they parse, and each as the text that was written."""

    values: Inputs
    texts: Inputs

    def create(self, create: Callable[[Inputs | None], Made]) -> Made:
        """Create with the values. What is refused of them is offered once more as text.

        A port that takes text is to get `42` or `{}` as they are written. Raises ApiProblem, with
        the faults of the values that are refused as text, too.
        """
        try:
            return create(self.values or None)
        except ApiProblem as problem:
            refused = {place for fault in problem.errors if (place := self._place(fault))}
            if not refused:
                raise
            try:
                return create(self._with_texts(refused))
            except ApiProblem as again:
                raise self._left(problem, again) from again

    def _place(self, fault: Fault) -> tuple[str, str] | None:
        """The node and port whose input is at fault, if it was given as something but text."""
        for node, ports in self.values.items():
            for port, value in ports.items():
                pointer = f"/inputs/{_step(node)}/{_step(port)}"
                if not isinstance(value, str) and f"{fault.pointer}/".startswith(f"{pointer}/"):
                    return node, port
        return None

    def _with_texts(self, places: set[tuple[str, str]]) -> Inputs:
        return {
            node: {
                port: self.texts[node][port] if (node, port) in places else value
                for port, value in ports.items()
            }
            for node, ports in self.values.items()
        }

    def _left(self, problem: ApiProblem, again: ApiProblem) -> ApiProblem:
        """The refusal, without what was refused no more once it was text."""
        still = {self._place(fault) for fault in again.errors}
        faults = [fault for fault in problem.errors if self._place(fault) in still]
        return ApiProblem(again.status, again.code, again.detail, faults, again.title)


def _step(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def read_inputs(given: Sequence[str], document: dict[str, Any]) -> GivenInputs:
    """Read inputs; a value is JSON if it parses, else text. Raises InputError.

    Ids of nodes may hold dots: of the document's, the longest that fits is meant.
    """
    inputs = GivenInputs({}, {})
    ids = set(_node_ids(document))
    for each in given:
        place, equals, value = each.partition("=")
        node, port = _split(place, ids)
        if not (equals and node and port):
            raise InputError(f"--input {each}: is not written node.port=value")
        inputs.values.setdefault(node, {})[port] = parse_value(value)
        inputs.texts.setdefault(node, {})[port] = value
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
