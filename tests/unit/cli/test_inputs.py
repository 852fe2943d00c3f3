"""`--input node.port=value` and `--event name=payload`."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli.inputs import InputError, read_events, read_inputs
from app.client import ApiProblem, Fault

DOCUMENT = {"nodes": [{"id": "a"}, {"id": "a.b"}, {"id": 7}, "no node"]}


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        (["a.text=x"], {"a": {"text": "x"}}),
        (["a.variables.name=x"], {"a": {"variables.name": "x"}}),
        (["a.b.text=x"], {"a.b": {"text": "x"}}),
        (["a.b.items[0]=x"], {"a.b": {"items[0]": "x"}}),
        (["a.text=x=y"], {"a": {"text": "x=y"}}),
        (["a.text="], {"a": {"text": ""}}),
        (["a.one=1", "a.two=[2]"], {"a": {"one": 1, "two": [2]}}),
        (["a.one=1", "a.one=2"], {"a": {"one": 2}}),
        (["unknown.x.y=1"], {"unknown": {"x.y": 1}}),
    ],
)
def test_an_input_names_node_and_port(given: list[str], inputs: dict[str, Any]) -> None:
    assert read_inputs(given, DOCUMENT).values == inputs


def refusing(values: dict[str, Any] | None) -> dict[str, Any]:
    """The API, where the port `text` of `a` takes text and `number` a number up to 10."""
    given: dict[str, Any] = (values or {})["a"]
    faults = []
    if not isinstance(given.get("text", ""), str):
        faults.append(Fault("/inputs/a/text", "must be a string"))
    if given.get("number", 0) != 1:
        wrong = "must be a number" if isinstance(given["number"], str) else "must be at most 10"
        faults.append(Fault("/inputs/a/number", wrong))
    if faults:
        raise ApiProblem(422, "VALIDATION_ERROR", "why", faults)
    return given


@pytest.mark.parametrize("text", ["42", "1e5", "true", "{}", '{"a": 1}', "[]"])
def test_a_port_that_takes_text_gets_what_was_written(text: str) -> None:
    given = read_inputs([f"a.text={text}", "a.number=1"], DOCUMENT)
    assert given.create(refusing) == {"text": text, "number": 1}


def test_what_is_refused_as_text_too_is_told_as_it_was_at_first() -> None:
    given = read_inputs(["a.text=42", "a.number=11"], DOCUMENT)
    with pytest.raises(ApiProblem) as refused:
        given.create(refusing)
    assert refused.value.errors == (Fault("/inputs/a/number", "must be at most 10"),)


def test_a_refusal_of_something_else_is_told_as_it_is() -> None:
    def full(values: dict[str, Any] | None) -> None:
        calls.append(values)
        raise ApiProblem(429, "TOO_MANY_REQUESTS", "later")

    calls: list[dict[str, Any] | None] = []
    with pytest.raises(ApiProblem, match="later"):
        read_inputs(["a.number=1"], DOCUMENT).create(full)
    assert calls == [{"a": {"number": 1}}]


@pytest.mark.parametrize("given", ["", "a", "a=1", ".x=1", "a.=1", "a.x"])
def test_what_names_none_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"is not written node\.port=value"):
        read_inputs([given], DOCUMENT)


@pytest.mark.parametrize("document", [{}, {"nodes": None}, {"nodes": {"a": 1}}])
def test_a_document_that_is_none_is_for_the_server_to_refuse(document: dict[str, Any]) -> None:
    assert read_inputs(["a.b=1"], document).values == {"a": {"b": 1}}


def test_an_event_has_a_name_and_may_have_a_payload() -> None:
    assert read_events(["order", 'paid={"n": 1}']) == [
        {"eventName": "order"},
        {"eventName": "paid", "payload": {"n": 1}},
    ]


@pytest.mark.parametrize("given", ["", '={"n": 1}', "order=", "order=text", "order=[1]"])
def test_what_is_no_event_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="is not written name or name="):
        read_events([given])
