from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.store.bulk import BulkFilter

EXECUTIONS = "/api/v1/executions"


def test_a_command_to_many_is_passed_on_as_it_was_sent(client: FlaskClient, faked: Any) -> None:
    wanted = {"status": ["created", "paused"], "flowId": "V2a", "ids": ["EX1"]}
    answer = client.post(f"{EXECUTIONS}/bulk", json={"action": "stop", "filter": wanted})
    assert (answer.status_code, answer.get_json()) == (202, {"matched": 7, "accepted": 5})
    assert faked.bulk.asked == [("stop", BulkFilter(["created", "paused"], "V2a", ["EX1"]))]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/action"),
        ({"action": "stop"}, "/filter"),
        ({"action": "stop", "filter": {}}, "/filter"),
        ({"action": "stop", "filter": {"flowId": None}}, "/filter"),
        ({"action": "step", "filter": {"flowId": "a"}}, "/action"),
        ({"action": ["stop"], "filter": {"flowId": "a"}}, "/action"),
        ({"action": "stop", "filter": []}, "/filter"),
        ({"action": "stop", "filter": {"flowId": ""}}, "/filter/flowId"),
        ({"action": "stop", "filter": {"flowId": "a\0"}}, "/filter/flowId"),
        ({"action": "stop", "filter": {"status": "created"}}, "/filter/status"),
        ({"action": "stop", "filter": {"status": []}}, "/filter/status"),
        ({"action": "stop", "filter": {"status": ["lost"]}}, "/filter/status/0"),
        ({"action": "stop", "filter": {"status": ["created"] * 7}}, "/filter/status"),
        ({"action": "stop", "filter": {"ids": []}}, "/filter/ids"),
        ({"action": "stop", "filter": {"ids": [1]}}, "/filter/ids/0"),
        ({"action": "stop", "filter": {"ids": ["a"] * 1001}}, "/filter/ids"),
        ({"action": "stop", "filter": {"owner": "a"}}, "/filter/owner"),
        ({"action": "stop", "filter": {"flowId": "a"}, "reason": "x"}, "/reason"),
    ],
)
def test_a_command_out_of_bounds_is_refused(
    client: FlaskClient, faked: Any, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post(f"{EXECUTIONS}/bulk", json=body)
    assert answer.status_code == 422
    assert pointer in [fault["pointer"] for fault in answer.get_json()["errors"]]
    assert client.post(f"{EXECUTIONS}/bulk?action=stop").status_code == 422
    assert faked.bulk.asked == []
