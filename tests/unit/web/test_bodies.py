from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app.errors import BadRequest, ValidationFailed
from tests.unit.web.conftest import MAX_BODY_BYTES
from web.bodies import MAX_DEPTH, read_object, register_bodies


def send(client: FlaskClient, body: bytes) -> Any:
    return client.post("/api/v1/flows", data=body, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nodes",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"{'a': 1}",
        b'{"a": 1,}',
        b'"\x00"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"\x1f\x8b\x08",
        b'{"a": "\xed\xa0\x80"}',
        b"-",
        b'{"a": 01}',
    ],
)
def test_what_is_not_json_is_a_400(client: FlaskClient, body: bytes) -> None:
    response = send(client, body)
    assert response.status_code == 400
    assert response.get_json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"a"', b"true"])
def test_json_that_is_no_object_is_a_422(client: FlaskClient, body: bytes) -> None:
    response = send(client, body)
    assert response.status_code == 422
    assert response.get_json()["errors"] == [{"pointer": "", "message": "must be an object"}]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a": {"b~/": [0, %s]}}' % (b"1" * 400), "/a/b~0~1/1"),
        (b'{"a": 1e400}', "/a"),
        (b'{"a": -1e999999}', "/a"),
        (b'{"a": %s}' % (b"9" * 20_000), "/a"),
        (rb'{"a": "x\ud800"}', "/a"),
        (rb'{"a": {"\udc00": 1}}', "/a"),
        (rb'{"a": ["\u0000"]}', "/a/0"),
        (rb'{"metadata": {"a\u0000": 1}}', "/metadata"),
    ],
)
def test_what_could_not_be_stored_is_a_422_at_its_place(
    client: FlaskClient, body: bytes, pointer: str
) -> None:
    response = send(client, body)
    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.get_json()["errors"]] == [pointer]


@pytest.mark.parametrize("levels", [MAX_DEPTH, 900, 1100, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_a_422(
    client: FlaskClient, levels: int, opening: bytes, closing: bytes
) -> None:
    innermost = b"" if closing == b"]" else b"1"
    response = send(client, b'{"a":' + opening * levels + innermost + closing * levels + b"}")
    assert response.status_code == 422
    assert "levels deep" in response.get_json()["errors"][0]["message"]


def test_deep_nesting_that_is_not_closed_is_no_500(client: FlaskClient) -> None:
    for body in (b"[" * 900, b"[" * 5000, b'{"a":' * 5000):
        assert send(client, body).status_code in {400, 422}


def test_nesting_up_to_the_limit_is_taken(client: FlaskClient) -> None:
    levels = MAX_DEPTH - 1
    assert send(client, b'{"a":' + b"[" * levels + b"]" * levels + b"}").status_code == 201


def test_many_shallow_brackets_are_taken(client: FlaskClient) -> None:
    assert send(client, b'{"a":[' + b"[]," * 10_000 + b"[]]}").status_code == 201


def test_an_escaped_backslash_before_u0000_is_no_nul(client: FlaskClient) -> None:
    assert send(client, rb'{"a": "\\u0000"}').status_code == 201


def test_a_whole_surrogate_pair_is_taken(client: FlaskClient) -> None:
    assert send(client, rb'{"a": "\ud83d\ude00"}').status_code == 201


def test_no_body_counts_as_an_empty_object(client: FlaskClient) -> None:
    assert client.post("/api/v1/executions/EX1/start").status_code == 202
    assert client.post("/api/v1/executions/EX1/start", json={}).status_code == 202
    assert client.post("/api/v1/executions/EX1/start", json={"a": 1}).status_code == 422


def test_a_body_over_the_limit_is_a_413(client: FlaskClient) -> None:
    response = send(client, b'{"a": "' + b"x" * (6 * 1024 * 1024) + b'"}')
    assert response.status_code == 413
    assert response.get_json()["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize(("bytes_over", "status"), [(0, 201), (1, 413), (1_000_000, 413)])
def test_the_limit_is_exact_also_for_a_chunked_body(
    app: Flask, client: FlaskClient, bytes_over: int, status: int
) -> None:
    body = b'{"a": "' + b"x" * (MAX_BODY_BYTES + bytes_over - 9) + b'"}'
    assert send(client, body).status_code == status
    assert chunked(app, body).startswith(str(status))


def test_a_chunked_body_is_read(app: Flask) -> None:
    assert chunked(app, b'{"metadata": {"name": "a"}}') == "201 CREATED"


def chunked(app: Flask, body: bytes) -> str:
    """Send a body of unknown length, as a server hands it over that undoes the chunks."""
    environ = EnvironBuilder("/api/v1/flows", method="POST").get_environ()
    environ.update(
        {
            "CONTENT_TYPE": "application/json",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": BytesIO(body),
            "wsgi.input_terminated": True,
        }
    )
    environ.pop("CONTENT_LENGTH", None)
    _, status, _ = run_wsgi_app(app, environ)
    return status


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(), _json) | st.binary())
def test_whatever_is_sent_is_read_or_refused(sent: Any) -> None:
    body = sent if isinstance(sent, bytes) else _written(sent)
    app = Flask("any")
    register_bodies(app, MAX_BODY_BYTES)
    with (
        app.test_request_context(data=body, method="POST"),
        suppress(BadRequest, ValidationFailed),
    ):
        assert orjson.dumps(read_object())


def _written(value: Any) -> bytes:
    return json.dumps(value).encode()
