"""A client that holds every answer against the API's description of itself."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from web.openapi import describe

Json = dict[str, Any]

#: What refuses a request that no route answers.
UNROUTED = {403, 404, 405, 413, 415}


class CheckedClient(FlaskClient):
    """Fails where an answer isn't what its route was declared to give."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        _description_of(self.application).check(response)
        return response


class Description:
    """What an app says of itself."""

    def __init__(self, app: Flask) -> None:
        document = describe(app)
        self._operations: dict[tuple[str, str], Json] = {
            (each["operationId"], method.upper()): each
            for methods in document["paths"].values()
            for method, each in methods.items()
        }
        self._urls = app.url_map.bind("localhost")
        self._problems = document["components"]["responses"]
        self._schemas = copy.deepcopy(document["components"]["schemas"])
        for schema in self._schemas.values():
            if "properties" in schema:
                # Clients may meet members that they don't know yet; tests may not.
                schema.setdefault("additionalProperties", False)

    def check(self, response: TestResponse) -> None:
        """Hold an answer against the description of its route."""
        answer = self._answer(response)
        contents = answer.get("content", {"": {}})
        media_type = response.mimetype if response.mimetype in contents else next(iter(contents))
        content = contents[media_type]
        self._check_headers(response, answer.get("headers", {}))
        if "schema" in content:
            assert response.mimetype == media_type
            schema = {"components": {"schemas": self._schemas}, **content["schema"]}
            Draft202012Validator(schema).validate(response.get_json())
        elif not media_type:
            assert response.data == b""

    def _answer(self, response: TestResponse) -> Json:
        method, path = response.request.method, response.request.path
        if not self._urls.test(path, method):
            assert response.status_code in UNROUTED, f"{method} {path}: {response.status}"
            return {"content": self._problems["NotFound"]["content"]}
        endpoint, _ = self._urls.match(path, method)
        declared = self._operations[endpoint.replace(".", "_"), method]["responses"]
        answer: Json | None = declared.get(str(response.status_code))
        assert answer is not None, f"{method} {path}: {response.status}"
        name = answer.get("$ref", "").rpartition("/")[2]
        return self._problems[name] if name else answer

    def _check_headers(self, response: TestResponse, headers: Json) -> None:
        for name, header in headers.items():
            value = response.headers.get(name)
            assert value is not None or not header.get("required"), name
            if value is not None:
                wanted = header["schema"]
                is_number = wanted.get("type") == "integer"
                Draft202012Validator(wanted).validate(int(value) if is_number else value)


@cache
def _of_routes(routes: frozenset[str]) -> list[Description]:
    return []


def _description_of(app: Flask) -> Description:
    """Apps with the same routes are described once."""
    known = _of_routes(frozenset(app.view_functions))
    if not known:
        known.append(Description(app))
    return known[0]
