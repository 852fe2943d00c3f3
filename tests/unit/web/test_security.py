from __future__ import annotations

import pytest
from flask.testing import FlaskClient

LIVE = "/health/live"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:4021", "127.0.0.1", "127.0.0.1:4021", "127.1.2.3", "[::1]:4021"],
)
def test_a_loopback_host_is_served(client: FlaskClient, host: str) -> None:
    assert client.get(LIVE, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.org",
        "example.org:4021",
        "localhost.example.org",
        "127.0.0.1.nip.io",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "localhost:port",
        "localhost:99999",
        "user@localhost",
        "localhost/x",
        "[::1",
    ],
)
def test_any_other_host_is_refused_on_every_route(client: FlaskClient, host: str) -> None:
    for path in (LIVE, "/api/v1/flows", "/nowhere"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code == 403
        assert response.get_json()["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:4021", "http://localhost:4021"),
        ("127.0.0.1:4021", "http://127.0.0.1:4021"),
        ("[::1]:4021", "http://[::1]:4021"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
    ],
)
def test_our_own_origin_is_served(client: FlaskClient, host: str, origin: str) -> None:
    assert client.get(LIVE, headers={"Host": host, "Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://example.org",
        "http://localhost:3000",
        "http://localhost:4021.example.org",
        "http://example.org:4021",
        "file://",
        "http://localhost:4021/x",
        "http://user@localhost:4021",
    ],
)
def test_any_other_origin_is_refused(client: FlaskClient, origin: str) -> None:
    headers = {"Host": "localhost:4021", "Origin": origin}
    for call in (client.get, client.post):
        assert call("/api/v1/flows", headers=headers).status_code == 403


def test_a_handshake_of_a_foreign_page_is_refused(client: FlaskClient) -> None:
    headers = {"Origin": "https://example.org", "Upgrade": "websocket", "Connection": "Upgrade"}
    response = client.get("/api/v1/executions/EX1/events", headers=headers)
    assert response.status_code == 403


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_of_another_type_is_a_415(client: FlaskClient, media_type: str) -> None:
    for path in ("/api/v1/flows", "/api/v1/executions/EX1/start"):
        response = client.post(path, data=b"{}", content_type=media_type)
        assert response.status_code == 415
        assert response.get_json()["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_a_compressed_body_is_a_415(client: FlaskClient) -> None:
    response = client.post(
        "/api/v1/flows",
        data=b"{}",
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )
    assert response.status_code == 415


def test_the_charset_of_json_may_be_named(client: FlaskClient) -> None:
    response = client.post(
        "/api/v1/flows", data=b"{}", content_type="application/json; charset=utf-8"
    )
    assert response.status_code == 201


def test_no_body_needs_no_type(client: FlaskClient) -> None:
    assert client.post("/api/v1/executions/EX1/start").status_code == 202
