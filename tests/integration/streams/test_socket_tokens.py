"""Sockets of an API that asks for tokens."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from threading import Event
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from app.caller import Caller
from app.errors import StoreUnavailable
from app.executions.verification import HOLDS_S, Verifier
from app.store.database import Database
from app.store.events import EventLog
from app.streams.reader import redis_hub
from app.tokens import hash_of, new_token
from tests.integration.streams.conftest import MAX_SOCKETS, History, Serve, Served, receive_all
from tests.integration.streams.test_relay import next_frame
from tests.waiting import wait_until
from web.access import Access

TOKENS = {name: new_token(name.encode().ljust) for name in ("ada", "bob", "root")}
PAGE = "https://app.example.org"


class Tokens:
    """Who sends which token, on a clock that is turned by hand."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        self.is_away = False
        self.now = 0.0
        self.asked = 0
        self.answers = Event()
        self.answers.set()

    def find(self, token_hash: str) -> Caller | None:
        self.asked += 1
        self.answers.wait(30)
        if self.is_away:
            raise StoreUnavailable
        names = {hash_of(token): name for name, token in TOKENS.items()}
        name = names.get(token_hash)
        if name is None or name in self.revoked:
            return None
        return Caller(name, "admin" if name == "root" else "user", f"TK{name}")


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def served(
    serve: Serve, tokens: Tokens, history: History, database_url: str, redis_url: str
) -> Served:
    history.create()
    history.execute("UPDATE chaingraph_executions SET owner_id = 'ada'")
    database = Database(database_url, application_name="cg-web")
    hub = redis_hub(redis_url, EventLog(database))
    access = Access(Verifier(tokens, lambda: tokens.now), frozenset({PAGE}))
    return serve.over(hub, database.engine.dispose, access=access)


def opened(served: Served, name: str = "ada", **options: Any) -> ClientConnection:
    headers = {"Authorization": f"Bearer {TOKENS[name]}"}
    return served.connect(options={"additional_headers": headers, **options})


def refused(served: Served, headers: Mapping[str, str], **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        served.connect(options={"additional_headers": headers, **options})
    response = refusal.value.response
    assert response.headers["Content-Type"] == "application/problem+json"
    if response.status_code == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
    return int(response.status_code)


def test_a_token_opens_a_socket_of_its_owners_executions(served: Served) -> None:
    bearer = f"Bearer {TOKENS['bob']}"
    assert refused(served, {"Authorization": bearer}) == 404
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"{bearer}x"}):
        assert refused(served, headers) == 401
    assert not served.relay.open_sockets
    for name in ("ada", "root"):
        with opened(served, name) as socket:
            assert next_frame(socket)["nextIndex"] == 0


def test_a_browser_offers_its_token_as_a_subprotocol_and_is_answered_with_it(
    served: Served,
) -> None:
    offered = Subprotocol(f"bearer.{TOKENS['ada']}")
    with served.connect(options={"subprotocols": [offered], "origin": PAGE}) as socket:
        assert socket.subprotocol == offered
        assert next_frame(socket)["nextIndex"] == 0
    wrong = Subprotocol(f"bearer.{TOKENS['ada']}x")
    assert refused(served, {}, subprotocols=[wrong]) == 401


def test_a_page_elsewhere_opens_none(served: Served) -> None:
    bearer = {"Authorization": f"Bearer {TOKENS['ada']}"}
    assert refused(served, bearer, origin="https://example.org") == 403
    assert refused(served, bearer, origin=f"{PAGE}.example.org") == 403


def test_a_token_that_is_revoked_ends_its_sockets(served: Served, tokens: Tokens) -> None:
    with opened(served) as socket, opened(served, "root") as other:
        assert next_frame(socket)["nextIndex"] == next_frame(other)["nextIndex"] == 0
        tokens.revoked.add("ada")
        tokens.now += HOLDS_S
        assert receive_all(socket).code == 1008
        wait_until(lambda: served.relay.open_sockets == 1, "the other one is left")


def test_a_database_that_is_away_ends_none(
    served: Served, tokens: Tokens, history: History
) -> None:
    with opened(served) as socket:
        assert next_frame(socket)["nextIndex"] == 0
        tokens.is_away = True
        tokens.now += HOLDS_S
        history.tell("EX1", ("flow:started", {}))
        assert next_frame(socket)["events"][0]["type"] == "flow:started"


def test_a_database_that_does_not_answer_holds_no_event_up(
    served: Served, tokens: Tokens, history: History
) -> None:
    with ExitStack() as stack:
        stack.callback(tokens.answers.set)
        sockets = [stack.enter_context(opened(served)) for _ in range(MAX_SOCKETS)]
        assert [next_frame(each)["nextIndex"] for each in sockets] == [0] * MAX_SOCKETS
        asked = tokens.asked
        tokens.answers.clear()
        tokens.now += HOLDS_S
        wait_until(lambda: tokens.asked > asked, "it is asked about them")
        history.tell("EX1", ("flow:started", {}))
        for each in sockets:
            assert next_frame(each)["events"][0]["type"] == "flow:started"
