"""Every route there is, asked by whoever may not: nothing is told, and nothing changes."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.cli import token_table
from app.config import load_settings
from app.store.database import Database
from app.store.runs import PgRunStore
from app.tokens import new_token
from tests.integration.web.conftest import flow_of, text
from tests.openapi import CheckedClient
from tests.world import TABLES, PgWorld
from web import create_app
from web.composition import end

API = "/api/v1"
EXECUTIONS = f"{API}/executions"
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}

#: What stands in everything that is Ada's.
PRIVATE = "ada-private"

OPEN = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/{name}",
}

#: Routes that are about nobody's things: anyone with a token is answered.
COMMON = {
    ("GET", f"{API}/nodes"),
    ("GET", f"{API}/nodes/{{node_type}}"),
    ("POST", f"{API}/flows/validate"),
}


@dataclass(frozen=True)
class Case:
    """How a route is asked for Ada's things, and what another user is answered."""

    status: int
    body: Callable[[Ada], Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ada:
    """What belongs to Ada."""

    flow: str
    execution: str
    secret: str
    token: str

    def document(self) -> dict[str, Any]:
        return flow_of(text("a"), id=self.flow)


SECRET = {"name": f"key of {PRIVATE}", "secretType": "string", "data": PRIVATE}

UNSEEN = Case(404)
COMMANDED = Case(404, lambda _: {})

#: Every route: a new one that isn't here is a fault.
CASES: Mapping[tuple[str, str], Case] = {
    ("GET", f"{API}/flows"): Case(200),
    ("POST", f"{API}/flows"): Case(409, Ada.document),
    ("POST", f"{API}/flows/validate"): Case(200, Ada.document),
    ("GET", f"{API}/flows/{{flow_id}}"): UNSEEN,
    ("PUT", f"{API}/flows/{{flow_id}}"): Case(404, Ada.document),
    ("DELETE", f"{API}/flows/{{flow_id}}"): UNSEEN,
    ("GET", f"{API}/flows/{{flow_id}}/executions"): Case(403),
    ("GET", f"{API}/nodes"): Case(200),
    ("GET", f"{API}/nodes/{{node_type}}"): Case(200),
    ("GET", EXECUTIONS): Case(200),
    ("POST", EXECUTIONS): Case(403, lambda ada: {"flowId": ada.flow}, {"Idempotency-Key": "k"}),
    ("POST", f"{EXECUTIONS}/batch"): Case(
        403, lambda ada: {"items": [{"flowId": ada.flow}]}, {"Idempotency-Key": "k"}
    ),
    ("POST", f"{EXECUTIONS}/bulk"): Case(
        202, lambda ada: {"action": "stop", "filter": {"ids": [ada.execution]}}
    ),
    ("GET", f"{EXECUTIONS}/{{execution_id}}"): UNSEEN,
    ("GET", f"{EXECUTIONS}/{{execution_id}}/nodes"): UNSEEN,
    ("GET", f"{EXECUTIONS}/{{execution_id}}/nodes/{{node_id}}"): UNSEEN,
    ("GET", f"{EXECUTIONS}/{{execution_id}}/events"): UNSEEN,
    ("WS", f"{EXECUTIONS}/{{execution_id}}/events"): Case(404, headers=HANDSHAKE),
    ("GET", f"{EXECUTIONS}/{{execution_id}}/tree"): UNSEEN,
    ("GET", f"{EXECUTIONS}/{{execution_id}}/recoveries"): UNSEEN,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/start"): COMMANDED,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/pause"): COMMANDED,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/resume"): COMMANDED,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/step"): COMMANDED,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/stop"): COMMANDED,
    ("POST", f"{EXECUTIONS}/{{execution_id}}/fork"): Case(
        404, lambda _: {}, {"Idempotency-Key": "k"}
    ),
    ("POST", f"{EXECUTIONS}/{{execution_id}}/recover"): Case(403, lambda _: {}),
    ("POST", f"{EXECUTIONS}/{{execution_id}}/signals/{{name}}"): COMMANDED,
    ("GET", f"{API}/secrets"): Case(200),
    # Without data it is not stored.
    ("POST", f"{API}/secrets"): Case(422, lambda ada: {"name": ada.secret}),
    ("GET", f"{API}/secrets/{{secret_id}}"): UNSEEN,
    ("PUT", f"{API}/secrets/{{secret_id}}"): Case(404, lambda _: SECRET),
    ("DELETE", f"{API}/secrets/{{secret_id}}"): UNSEEN,
    ("GET", f"{API}/workers"): Case(200),
    **{("GET", path): Case(200) for path in OPEN},
}


@pytest.fixture
def app(database_url: str, redis_url: str) -> Iterator[Flask]:
    """An API that asks for tokens. Local mode has none."""
    environ = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "AUTH_ENABLED": "true",
        "SECRET_KEY": "k" * 32,
    }
    app = create_app(load_settings(environ))
    app.test_client_class = CheckedClient
    yield app
    end(app)


Tokens = Callable[..., dict[str, str]]


@pytest.fixture
def token(database_url: str) -> Tokens:
    """Make a token; gives the header to send it with."""

    def make(
        name: str, role: token_table.Role = "user", owner: str | None = None
    ) -> dict[str, str]:
        _, secret = token_table.create(database_url, name, owner or name, role)
        return {"Authorization": f"Bearer {secret}"}

    return make


@pytest.fixture
def world(database_url: str) -> Iterator[PgWorld]:
    world = PgWorld(database_url)
    yield world
    world.close()


@pytest.fixture
def ada(client: FlaskClient, token: Tokens, database_url: str, world: PgWorld) -> Ada:
    """She has a flow, and an execution of it that a worker runs."""
    headers = token("ada")
    document = flow_of(text("a", PRIVATE), text("b", PRIVATE), id=f"V2{PRIVATE}")
    flow = client.post(f"{API}/flows", json=document, headers=headers).get_json()["id"]
    body = {
        "flowId": flow,
        "inputs": {"a": {"text": PRIVATE}},
        "integration": {"key": PRIVATE},
        "autostart": True,
    }
    # Another caller's key is another key.
    keyed = {**headers, "Idempotency-Key": "k"}
    created = client.post(EXECUTIONS, json=body, headers=keyed)
    execution = created.get_json()["id"]
    world.execute(
        "INSERT INTO chaingraph_workers (worker_id, hostname, pid, pool, concurrency, queues,"
        " lease_ms) VALUES ('w1', 'host', 1, 'prefork', 10, '[\"default\"]', 10000)"
    )
    database = Database(database_url, pool_size=1)
    store = PgRunStore(database)
    assert store.claim("w1", "token", 60_000, execution) is not None
    store.close()
    database.engine.dispose()
    kept = client.post(f"{API}/secrets", json=SECRET, headers=headers)
    assert kept.status_code == 201, kept.text
    secret = kept.get_json()["id"]
    return Ada(flow, execution, secret, headers["Authorization"].removeprefix("Bearer "))


def routes(app: Flask) -> set[tuple[str, str]]:
    return {
        ("WS" if rule.websocket else method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def ask(
    client: FlaskClient, route: tuple[str, str], ada: Ada, headers: Mapping[str, str]
) -> TestResponse:
    """Ask a route for what is Ada's."""
    method, path = route
    case = CASES[route]
    path = path.format(
        flow_id=ada.flow,
        execution_id=ada.execution,
        secret_id=ada.secret,
        node_id="a",
        node_type="TextNode",
        name="docs.css",
    )
    body = {} if case.body is None else {"json": case.body(ada)}
    return client.open(
        path,
        method="GET" if method == "WS" else method,
        headers={**case.headers, **headers},
        **body,
    )


def contents(world: PgWorld) -> dict[str, list[str]]:
    """All rows of all tables but those of tokens, which the test itself makes."""
    return {
        table: sorted(
            row.text
            for row in world.execute(f"SELECT row_to_json(t)::text AS text FROM {table} AS t")
        )
        for table in TABLES
        if table != "chaingraph_tokens"
    }


def told(answer: TestResponse) -> tuple[int, str, str | None]:
    """What an answer says, but for the address that was asked."""
    document = json.loads(answer.text)
    document.pop("instance")
    return answer.status_code, json.dumps(document), answer.headers.get("WWW-Authenticate")


def test_no_route_is_forgotten(app: Flask) -> None:
    assert routes(app) == set(CASES)


def test_every_table_is_looked_at(world: PgWorld) -> None:
    there = world.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    assert {row.table_name for row in there} - set(TABLES) == {"alembic_version"}


def test_without_a_good_token_nothing_is_told_and_nothing_done(
    client: FlaskClient, ada: Ada, token: Tokens, world: PgWorld, database_url: str
) -> None:
    revoked = token("revoked", "admin", "ada")
    token_table.revoke(database_url, "revoked")
    callers = {
        "none": {},
        "no token": {"Authorization": "Bearer x"},
        "a wrong one": {"Authorization": f"Bearer {new_token(bytes)}"},
        "a revoked one": revoked,
        "no scheme": {"Authorization": ada.token},
        "in the address": {"X-Forwarded-User": "ada"},
    }
    before = contents(world)
    refusals = set()
    for route in CASES:
        for who, headers in callers.items():
            answer = ask(client, route, ada, headers)
            assert PRIVATE not in answer.text.replace(ada.flow, ""), (route, who)
            if route[1] in OPEN:
                assert answer.status_code == 200, (route, who)
            else:
                refusals.add(told(answer))
        assert contents(world) == before, route
    [(status, _, wanted)] = refusals
    assert (status, wanted) == (401, "Bearer")


def test_which_methods_there_are_is_told_to_anybody_and_nothing_else(
    client: FlaskClient, ada: Ada, world: PgWorld
) -> None:
    before = contents(world)
    for _, path in CASES:
        concrete = path.format_map(defaultdict(lambda: ada.execution))
        answer = client.open(concrete, method="TRACE", json={"flowId": ada.flow})
        assert answer.status_code == 405, path
        assert set(answer.headers["Allow"].split(", ")) >= {"OPTIONS"}, path
        assert PRIVATE not in answer.text
    assert contents(world) == before


def test_what_is_another_owners_is_not_there(
    client: FlaskClient, ada: Ada, token: Tokens, world: PgWorld
) -> None:
    bob = token("bob")
    nothing = Ada("V2unknown-x", "EX" + "x" * 24, "SE" + "x" * 24, "")
    before = contents(world)
    for route, case in CASES.items():
        answer = ask(client, route, ada, bob)
        assert answer.status_code == case.status, (route, answer.text)
        assert contents(world) == before, route
        if route in COMMON:
            continue
        if case.status == 404:
            # As for what nobody has.
            said = told(answer)[1].replace(ada.execution, nothing.execution)
            said = said.replace(ada.secret, nothing.secret).replace(ada.flow, nothing.flow)
            assert said == told(ask(client, route, nothing, bob))[1], route
        shown = re.sub(r'"instance":"[^"]*"', "", answer.text)
        assert ada.execution not in shown or case.status == 404, route
        # What was asked for is said again, as of what nobody has.
        for echo in (f"The id {ada.flow} is taken", f"There is no flow '{ada.flow}'"):
            shown = shown.replace(echo, "")
        assert PRIVATE not in shown, route
        if case.status == 403:
            said = answer.get_json()["detail"]
            is_recovery = route[1].endswith("/recover")
            assert said == ("Only an admin may recover executions." if is_recovery else NOT_OWNED)


NOT_OWNED = "User does not own this flow"


def test_lists_and_bulk_hold_none_of_another_owners(
    client: FlaskClient, ada: Ada, token: Tokens, world: PgWorld
) -> None:
    bob = token("bob")
    for query in (
        "",
        f"?flowId={ada.flow}",
        f"?rootExecutionId={ada.execution}",
        "?status=created",
    ):
        page = client.get(f"{EXECUTIONS}{query}", headers=bob).get_json()
        assert page == {"items": [], "nextCursor": None}
    [worker] = client.get(f"{API}/workers", headers=bob).get_json()["items"]
    assert (worker["workerId"], worker["active"]) == ("w1", [])
    filters: list[dict[str, Any]] = [
        {"ids": [ada.execution]},
        {"flowId": ada.flow},
        {"status": ["created", "running"]},
    ]
    for wanted in filters:
        body = {"action": "stop", "filter": wanted}
        answer = client.post(f"{EXECUTIONS}/bulk", json=body, headers=bob)
        assert answer.get_json() == {"matched": 0, "accepted": 0}
    assert world.row(ada.execution).completed_at is None


def test_two_tokens_of_one_owner_see_the_same(client: FlaskClient, ada: Ada, token: Tokens) -> None:
    second = token("ada's laptop", owner="ada")
    shown = client.get(f"{EXECUTIONS}/{ada.execution}", headers=second).get_json()
    assert (shown["id"], shown["ownerId"]) == (ada.execution, "ada")


def test_an_admin_sees_what_everybody_has_and_acts_on_it(
    client: FlaskClient, ada: Ada, token: Tokens
) -> None:
    root = token("root", "admin")

    def get(path: str) -> Any:
        answer = client.get(f"{API}{path}", headers=root)
        assert answer.status_code == 200, path
        return answer.get_json()

    assert [each["id"] for each in get("/flows")["items"]] == [ada.flow]
    assert [each["id"] for each in get("/executions")["items"]] == [ada.execution]
    [listed] = get(f"/flows/{ada.flow}/executions")["items"]
    assert listed["execution"]["id"] == ada.execution
    assert get("/workers")["items"][0]["active"] == [ada.execution]
    for rest in ("", "/nodes", "/nodes/a", "/events", "/tree", "/recoveries"):
        get(f"/executions/{ada.execution}{rest}")
    # What runs is the flow of its owner, with that owner's rights.
    run = client.post(EXECUTIONS, json={"flowId": ada.flow}, headers=root).get_json()
    assert run["ownerId"] == "ada"
    saved = client.put(f"{API}/flows/{ada.flow}", json=ada.document(), headers=root).get_json()
    assert (saved["version"], saved["ownerId"]) == (2, "ada")
    taken = client.post(f"{API}/flows", json=ada.document(), headers=root)
    assert taken.status_code == 409
    assert client.post(f"{EXECUTIONS}/{ada.execution}/recover", headers=root).status_code == 202
    # One call must not stop everybody's.
    body = {"action": "stop", "filter": {"ids": [ada.execution]}}
    answer = client.post(f"{EXECUTIONS}/bulk", json=body, headers=root)
    assert answer.get_json() == {"matched": 0, "accepted": 0}
    assert client.post(f"{EXECUTIONS}/{ada.execution}/stop", headers=root).status_code == 202
