"""What is asked of callers where tokens are asked for, and what pages elsewhere may do."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.caller import Caller
from app.errors import StoreUnavailable
from app.executions.verification import Verifier
from app.tokens import hash_of, new_token
from tests.unit.web.fakes import fake_services
from web.access import Access
from web.factory import build_app

TOKEN = new_token(lambda size: b"a" * size)
OTHER = new_token(lambda size: b"b" * size)
PAGE = "https://app.example.org"

FLOWS = "/api/v1/flows"
EVENTS = "/api/v1/executions/EX1/events"
#: What a socket is answered that may be opened: there is no relay here.
NO_SOCKET = 400


class Tokens:
    def __init__(self) -> None:
        self.is_away = False

    def find(self, token_hash: str) -> Caller | None:
        if self.is_away:
            raise StoreUnavailable
        return Caller("ada", "user", "TK1") if token_hash == hash_of(TOKEN) else None


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def app(tokens: Tokens) -> Flask:
    access = Access(Verifier(tokens, lambda: 0.0), frozenset({PAGE, "http://localhost:3000"}))
    return build_app(fake_services(), max_body_bytes=1024, access=access)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def handshake(**more: str) -> dict[str, str]:
    return {"Upgrade": "websocket", "Connection": "Upgrade", **more}


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_a_token_opens_the_api(client: FlaskClient, header: str) -> None:
    answer = client.post(FLOWS, json={"id": "V2a"}, headers={"Authorization": header})
    assert answer.status_code == 201
    assert answer.get_json()["ownerId"] == "ada"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer \xff\xfe"},
        bearer(OTHER),
        {"Sec-WebSocket-Protocol": f"bearer.{TOKEN}"},
        {"Cookie": f"token={TOKEN}"},
    ],
)
def test_anything_else_is_a_401_that_says_what_is_wanted(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    for path in (FLOWS, "/nowhere", f"{FLOWS}?token={TOKEN}"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        problem = answer.get_json()
        assert (problem["code"], problem["detail"]) == ("UNAUTHORIZED", "A valid token is needed.")


def test_who_may_call_is_asked_before_what_is_sent(client: FlaskClient) -> None:
    for sent in ({"data": b"x"}, {"data": b"{", "content_type": "application/json"}):
        arguments: dict[str, Any] = sent
        assert client.post(FLOWS, **arguments).status_code == 401


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/openapi.json", "/docs", "/docs/docs.js"]
)
def test_some_routes_are_open_to_all(client: FlaskClient, path: str) -> None:
    for headers in ({}, bearer(OTHER), {"Host": "chaingraph.example.org"}):
        assert client.get(path, headers=headers).status_code == 200


def test_any_host_name_will_do(client: FlaskClient) -> None:
    headers = {**bearer(TOKEN), "Host": "chaingraph.example.org"}
    assert client.get(FLOWS, headers=headers).status_code == 200


def test_a_database_that_is_away_is_a_503_and_no_401(client: FlaskClient, tokens: Tokens) -> None:
    tokens.is_away = True
    answer = client.get(FLOWS, headers=bearer(TOKEN))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


def test_a_page_that_is_allowed_may_ask_send_and_read(client: FlaskClient) -> None:
    wanted = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-type, if-match, last-event-id",
    }
    asked = client.options(f"{FLOWS}/V2a", headers=wanted)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == PAGE
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    allowed = asked.headers["Access-Control-Allow-Headers"].lower()
    asked_for = wanted["Access-Control-Request-Headers"]
    assert set(asked_for.split(", ")) <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in asked.headers
    assert asked.headers.getlist("Vary") == ["Origin"]

    for headers, status in ((bearer(TOKEN), 200), ({}, 401)):
        answer = client.get(FLOWS, headers={**headers, "Origin": PAGE})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers.getlist("Vary") == ["Origin"]
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "origin", ["https://example.org", "http://app.example.org", f"{PAGE}.evil.org", "null"]
)
def test_another_page_is_told_nothing(client: FlaskClient, origin: str) -> None:
    asked = client.options(
        FLOWS, headers={"Origin": origin, "Access-Control-Request-Method": "GET"}
    )
    answer = client.get(FLOWS, headers={**bearer(TOKEN), "Origin": origin})
    for each in (asked, answer):
        assert "Access-Control-Allow-Origin" not in each.headers
        assert each.headers.getlist("Vary") == ["Origin"]


@pytest.mark.parametrize("origins", [{PAGE}, {PAGE, "http://localhost:3000"}])
def test_an_answer_to_no_page_is_kept_for_none(tokens: Tokens, origins: set[str]) -> None:
    access = Access(Verifier(tokens, lambda: 0.0), frozenset(origins))
    client = build_app(fake_services(), max_body_bytes=1024, access=access).test_client()
    for answer in (client.get(FLOWS, headers=bearer(TOKEN)), client.options(FLOWS)):
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers.getlist("Vary") == ["Origin"]


def test_without_other_pages_an_answer_is_the_same_to_all(tokens: Tokens) -> None:
    access = Access(Verifier(tokens, lambda: 0.0))
    client = build_app(fake_services(), max_body_bytes=1024, access=access).test_client()
    assert "Vary" not in client.get(FLOWS, headers=bearer(TOKEN)).headers


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("api.example.org", None, NO_SOCKET),
        ("api.example.org", "https://api.example.org", NO_SOCKET),
        ("api.example.org:8443", "https://api.example.org:8443", NO_SOCKET),
        ("api.example.org", "http://api.example.org", NO_SOCKET),
        ("api.example.org", PAGE, NO_SOCKET),
        ("api.example.org", "https://example.org", 403),
        ("api.example.org", "https://api.example.org:444", 403),
        ("api.example.org", "null", 403),
        ("api.example.org", "http://[::1", 403),
        ("api.example.org", "", 403),
        ("", "https://", 403),
    ],
)
def test_a_socket_is_for_our_own_pages_and_those_allowed(
    client: FlaskClient, host: str, origin: str | None, status: int
) -> None:
    pages = {} if origin is None else {"Origin": origin}
    headers = handshake(**bearer(TOKEN), **pages, Host=host)
    assert client.get(EVENTS, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("protocols", "is_known"),
    [
        (f"bearer.{TOKEN}", True),
        (f"chaingraph, bearer.{TOKEN}", True),
        (f"bearer.{TOKEN},chaingraph", True),
        (f"bearer.{OTHER}", False),
        ("chaingraph", False),
        (TOKEN, False),
    ],
)
def test_a_browser_sends_the_token_with_its_handshake(
    client: FlaskClient, protocols: str, is_known: bool
) -> None:
    headers = handshake(**{"Sec-WebSocket-Protocol": protocols})
    assert client.get(EVENTS, headers=headers).status_code == (NO_SOCKET if is_known else 401)


def test_the_header_counts_where_both_are_sent(client: FlaskClient) -> None:
    headers = handshake(**bearer(OTHER), **{"Sec-WebSocket-Protocol": f"bearer.{TOKEN}"})
    assert client.get(EVENTS, headers=headers).status_code == 401


def test_it_is_described(client: FlaskClient) -> None:
    described = client.get("/openapi.json").get_json()
    [(name, scheme)] = described["components"]["securitySchemes"].items()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, methods in described["paths"].items():
        for operation in methods.values():
            # Metrics have a token of their own.
            is_guarded = path.startswith("/api/")
            refuses = is_guarded or path == "/metrics"
            assert ({name: []} in operation.get("security", ())) is is_guarded
            assert ({"401", "403"} <= operation["responses"].keys()) is refuses
