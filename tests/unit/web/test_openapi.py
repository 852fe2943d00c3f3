"""What the API says of itself: /openapi.json and /docs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.openapi import Description
from web import documentation
from web.description import given_by

VARIABLE = re.compile(r"<(?:\w+:)?\w+>|\{\w+\}")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    described: dict[str, Any] = client.get("/openapi.json").get_json()
    return described


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())


def test_it_describes_every_route_and_no_other(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (VARIABLE.sub("{}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (VARIABLE.sub("{}", path), method)
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described == routes


def test_every_operation_says_what_it_is(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            names = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert names == re.findall(r"\{(\w+)\}", path)
            for schema in re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(operation)):
                assert document["components"]["schemas"][schema].get("description"), schema


def test_parameters_and_bodies_have_the_bounds_that_hold(document: dict[str, Any]) -> None:
    paths = document["paths"]
    pages = paths["/api/v1/executions/{executionId}/events"]["get"]["parameters"]
    query = {each["name"]: each for each in pages if each["in"] == "query"}
    assert query["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 100,
    }
    assert query["eventTypes"]["explode"] is False
    assert "node:completed" in query["eventTypes"]["schema"]["items"]["enum"]
    create = paths["/api/v1/executions"]["post"]
    assert create["requestBody"]["required"]
    assert "Idempotency-Key" in [each["name"] for each in create["parameters"]]
    schemas = document["components"]["schemas"]
    assert schemas["CreateExecution"]["required"] == ["flowId"]
    assert schemas["ExecutionOptions"]["properties"]["priority"]["maximum"] == 9
    start = paths["/api/v1/executions/{executionId}/start"]["post"]
    assert not start["requestBody"]["required"]


def test_it_is_made_once_and_only_when_asked_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Flask] = []

    def describe(app: Flask) -> dict[str, Any]:
        made.append(app)
        return {}

    monkeypatch.setattr(documentation, "describe", describe)
    client.get("/api/v1/executions")
    assert not made
    client.get("/openapi.json")
    client.get("/openapi.json")
    assert len(made) == 1


def test_the_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    wanted = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert "<script>" not in page.text
    assert len(wanted) >= 5
    for address in wanted:
        if address != "data:,":
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert answer.data
    assert "SwaggerUIBundle" in client.get("/docs/swagger-ui-bundle.js").text
    assert "//" not in client.get("/docs/docs.js").text.replace("// ", "")


@pytest.mark.parametrize("name", ["none.js", "..", "..%2fdocumentation.py", "index.html", "%00"])
def test_no_other_file_is_given(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_an_answer_that_is_not_as_declared_is_noticed(app: Flask, client: FlaskClient) -> None:
    described = Description(app)
    described.check(client.get("/health/live"))
    # The stand-in for the workers gives what no worker is.
    app.extensions["chaingraph"].workers.alive.append({"workerId": "w"})
    answer = client.get("/api/v1/workers")
    with pytest.raises(Exception, match="is a required property"):
        described.check(answer)


def test_every_view_declares_what_it_gives(app: Flask) -> None:
    for view in app.view_functions.values():
        assert given_by(view)
