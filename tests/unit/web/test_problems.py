from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.errors import Conflict, Fault, Forbidden, NotFound, StoreUnavailable, ValidationFailed
from tests.unit.web.fakes import FakeFlows
from web.services import Services

FLOW = {"metadata": {"name": "a"}, "nodes": [], "edges": []}


def problem_of(response: TestResponse) -> dict[str, Any]:
    assert response.mimetype == "application/problem+json"
    body: dict[str, Any] = response.get_json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()
    assert body["status"] == response.status_code
    return body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound(), 404, "NOT_FOUND"),
        (Forbidden("User does not own this flow"), 403, "FORBIDDEN"),
        (Conflict("The id a is taken."), 409, "CONFLICT"),
    ],
)
def test_an_error_of_the_tree_answers_with_its_code(
    client: FlaskClient, faked: Any, error: Exception, status: int, code: str
) -> None:
    faked.flows.error = error
    response = client.post("/api/v1/flows", json=FLOW)
    body = problem_of(response)
    assert (response.status_code, body["code"], body["detail"]) == (status, code, str(error))


def test_faults_are_listed_with_their_pointers(client: FlaskClient, faked: Any) -> None:
    faked.flows.error = ValidationFailed([Fault("/nodes/0/type", "is unknown")])
    response = client.post("/api/v1/flows", json=FLOW)
    body = problem_of(response)
    assert response.status_code == 422
    assert body["errors"] == [{"pointer": "/nodes/0/type", "message": "is unknown"}]


def test_a_lost_database_is_a_503_that_says_when_to_come_back(
    client: FlaskClient, faked: Any
) -> None:
    faked.flows.error = StoreUnavailable("connection to 10.0.0.1 refused, password x")
    response = client.post("/api/v1/flows", json=FLOW)
    assert problem_of(response)["code"] == "SERVICE_UNAVAILABLE"
    assert response.headers["Retry-After"] == "1"
    assert "10.0.0.1" not in response.text


def test_a_bug_is_logged_under_the_id_that_the_answer_holds(
    client: FlaskClient, faked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    faked.flows.error = RuntimeError("the secret detail")
    with caplog.at_level(logging.ERROR):
        response = client.post("/api/v1/flows", json=FLOW)
    body = problem_of(response)
    assert (response.status_code, body["code"]) == (500, "INTERNAL")
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text
    assert body["errorId"] in caplog.text
    assert "the secret detail" in caplog.text


@pytest.mark.parametrize("path", ["/", "/api/v1", "/api/v1/flows/", "/api//v1/flows", "/metric"])
def test_a_path_without_a_route_is_a_404(client: FlaskClient, path: str) -> None:
    assert problem_of(client.get(path))["code"] == "NOT_FOUND"


def test_a_command_that_there_is_not_is_a_404(client: FlaskClient) -> None:
    assert client.post("/api/v1/executions/EX1/rewind").status_code == 404


def test_another_method_is_a_405_that_names_those_allowed(client: FlaskClient) -> None:
    response = client.delete("/api/v1/executions")
    assert problem_of(response)["code"] == "METHOD_NOT_ALLOWED"
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_the_path_in_a_problem_is_a_valid_reference(client: FlaskClient) -> None:
    assert problem_of(client.get("/a b/ü"))["instance"] == "/a%20b/%C3%BC"


def test_an_unknown_parameter_is_a_422(client: FlaskClient) -> None:
    body = problem_of(client.get("/api/v1/nodes/TextNode?verbose=1"))
    assert body["errors"] == [{"pointer": "/verbose", "message": "is unknown"}]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=many", "/limit"),
        ("limit=", "/limit"),
        ("limit=1&limit=2", "/limit"),
        ("limit=99999999999999999999999999", "/limit"),
        ("status=lost", "/status"),
        ("flowId=", "/flowId"),
        ("flowId=a%00b", "/flowId"),
        ("flow_id=a", "/flow_id"),
    ],
)
def test_a_query_out_of_bounds_is_a_422(client: FlaskClient, query: str, pointer: str) -> None:
    body = problem_of(client.get(f"/api/v1/executions?{query}"))
    assert body["code"] == "VALIDATION_ERROR"
    assert [fault["pointer"] for fault in body["errors"]] == [pointer]


@pytest.mark.parametrize("cursor", ["x", "%21%21", "bnVsbA", "WzFd", "WzEuNSwxLCJhIl0", "é"])
def test_a_broken_cursor_is_a_400(client: FlaskClient, cursor: str) -> None:
    for path in ("flows", "executions", "flows/V2a/executions"):
        body = problem_of(client.get(f"/api/v1/{path}?cursor={cursor}"))
        assert body["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "Wy0xXQ", "W3RydWVd", "WzFlOTld"])
def test_a_broken_position_is_a_400(client: FlaskClient, cursor: str) -> None:
    body = problem_of(client.get(f"/api/v1/executions/EX1/nodes?cursor={cursor}"))
    assert body["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "cursor", ["x", "bnVsbA", "WzBd", "WzEsMV0", "Wy0xLCJhIl0", "WzFlOSwiYSJd"]
)
def test_a_broken_level_is_a_400(client: FlaskClient, cursor: str) -> None:
    body = problem_of(client.get(f"/api/v1/executions/EX1/tree?cursor={cursor}"))
    assert body["code"] == "BAD_REQUEST"


def test_an_id_with_nul_names_nothing(client: FlaskClient) -> None:
    assert client.get("/api/v1/executions/EX%00/nodes").status_code == 404


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for response in (client.get("/health/live"), client.get("/nowhere")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def test_the_fakes_are_those_that_the_app_calls(app: Flask, faked: Services) -> None:
    assert isinstance(faked.flows, FakeFlows)
    assert app.extensions["chaingraph"] is faked
