"""`--input node.port=value` and `--event name=payload`."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli.inputs import InputError, read_events, read_inputs

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
    assert read_inputs(given, DOCUMENT) == inputs


@pytest.mark.parametrize("given", ["", "a", "a=1", ".x=1", "a.=1", "a.x"])
def test_what_names_none_is_refused(given: str) -> None:
    with pytest.raises(InputError, match=r"is not written node\.port=value"):
        read_inputs([given], DOCUMENT)


@pytest.mark.parametrize("document", [{}, {"nodes": None}, {"nodes": {"a": 1}}])
def test_a_document_that_is_none_is_for_the_server_to_refuse(document: dict[str, Any]) -> None:
    assert read_inputs(["a.b=1"], document) == {"a": {"b": 1}}


def test_an_event_has_a_name_and_may_have_a_payload() -> None:
    assert read_events(["order", 'paid={"n": 1}']) == [
        {"eventName": "order"},
        {"eventName": "paid", "payload": {"n": 1}},
    ]


@pytest.mark.parametrize("given", ["", '={"n": 1}', "order=", "order=text", "order=[1]"])
def test_what_is_no_event_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="is not written name or name="):
        read_events([given])
