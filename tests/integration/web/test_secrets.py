"""Secrets over REST: stored, listed, replaced; never shown, and kept in flows without being seen."""

from __future__ import annotations

import base64
import io
import itertools
import json
import logging
import time
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app.config import load_settings
from app.executions.executor import Executor
from app.executions.lanes import Lanes
from app.executions.plans import PlanCache
from app.executions.secrets import OwnersVault
from app.executions.surroundings import Surroundings
from app.logs import logging_config
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.nodes.streams import Stream
from app.store.database import Database
from app.store.runs import PgRunStore
from app.store.secrets import SecretStore
from app.streams import keys
from app.streams.publisher import EventPublisher
from app.vault import Keyring
from tests.integration.web.conftest import flow_of, text
from tests.openapi import CheckedClient
from tests.waiting import wait_until
from tests.world import World
from web import create_app
from web.composition import PARTS, end

KEY = "a key of more than thirty-two characters"
PLAIN = 'sk-"plain"/secret+1'
MASK = "********"


@pytest.fixture
def app(mode: str, redis_url: str, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The API with a SECRET_KEY."""
    environ = {"EXECUTION_MODE": mode, "SECRET_KEY": KEY, "REDIS_URL": redis_url}
    if mode == "celery":
        environ["DATABASE_URL"] = request.getfixturevalue("database_url")
    app = create_app(load_settings(environ))
    app.test_client_class = CheckedClient
    yield app
    end(app)


def new(client: FlaskClient, name: str = "mine", data: Any = PLAIN) -> dict[str, Any]:
    body = {"name": name, "secretType": "openai", "data": data}
    answer = client.post("/api/v1/secrets", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/secrets/{made['id']}"
    return made


def test_a_secret_is_stored_and_never_shown(client: FlaskClient) -> None:
    made = new(client)
    assert made == {**made, "name": "mine", "secretType": "openai", "ownerId": "local"}
    assert "data" not in made
    assert client.get(f"/api/v1/secrets/{made['id']}").get_json() == made
    assert client.get("/api/v1/secrets").get_json() == {"items": [made], "nextCursor": None}


def test_a_list_has_pages(client: FlaskClient) -> None:
    ids = {new(client, f"n{number}")["id"] for number in range(3)}
    first = client.get("/api/v1/secrets?limit=2").get_json()
    rest = client.get(f"/api/v1/secrets?limit=2&cursor={first['nextCursor']}").get_json()
    assert rest["nextCursor"] is None
    assert {each["id"] for each in first["items"] + rest["items"]} == ids


def test_a_secret_is_replaced_with_its_data_or_without(client: FlaskClient) -> None:
    path = f"/api/v1/secrets/{new(client)['id']}"
    for body in (
        {"name": "renamed"},
        {"name": "renamed", "data": None},
        {"name": "renamed", "data": MASK},
        {"name": "renamed", "secretType": "string", "data": {"apiKey": "other"}},
    ):
        answer = client.put(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.get_json()["name"] == "renamed"
        assert "data" not in answer.get_json()
    assert client.delete(path).status_code == 204
    for gone in (client.get(path), client.delete(path), client.put(path, json={"name": "x"})):
        assert gone.status_code == 404


def test_a_name_that_is_taken_is_a_conflict(client: FlaskClient) -> None:
    new(client)
    other = new(client, "other")
    again = client.post("/api/v1/secrets", json={"name": "mine", "data": "x"})
    renamed = client.put(f"/api/v1/secrets/{other['id']}", json={"name": "mine"})
    assert [again.status_code, renamed.status_code] == [409, 409]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"data": ""}, "/data"),
        ({"data": {}}, "/data"),
        ({"data": 7}, "/data"),
        ({"data": None}, "/data"),
        ({"data": MASK}, "/data"),
        ({"data": "x" * 70_000}, "/data"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"secretType": "telepathy"}, "/secretType"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_is_no_secret_is_refused_without_an_echo(
    client: FlaskClient, changed: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/api/v1/secrets", json={"name": "a", "data": PLAIN, **changed})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]
    assert "plain" not in answer.text


def secret_flow(**more: Any) -> dict[str, Any]:
    own = {"secretType": "openai", "unencryptedData": {"apiKey": PLAIN}}
    return flow_of(
        {"id": "own", "type": "UnencryptedSecret", "values": own},
        {"id": "stored", "type": "SecretNode", "values": {"secretID": "mine"}},
        text("t"),
        **more,
    )


def test_a_flow_shows_masks_and_takes_them_back(client: FlaskClient) -> None:
    saved = client.post("/api/v1/flows", json=secret_flow()).get_json()
    path = f"/api/v1/flows/{saved['id']}"
    assert saved["document"]["nodes"][0]["values"]["unencryptedData"] == MASK
    shown = client.get(path).get_json()["document"]
    assert client.get(f"{path}?format=chaingraph").get_json() == shown == saved["document"]
    assert shown["nodes"][1]["values"]["secretID"] == "mine"
    again = client.put(path, json=shown)
    assert (again.status_code, again.get_json()["document"]) == (200, shown)
    posted = client.post("/api/v1/flows", json=shown)
    assert (posted.status_code, posted.get_json()["version"]) == (201, 3)
    valid = client.post("/api/v1/flows/validate", json=shown).get_json()
    assert (valid["valid"], valid["errors"]) == (True, [])


def test_a_hidden_flow_takes_its_masks_back(client: FlaskClient) -> None:
    shown = client.post("/api/v1/flows", json=secret_flow()).get_json()["document"]
    client.delete(f"/api/v1/flows/{shown['id']}")

    assert client.post("/api/v1/flows/validate", json=shown).get_json()["valid"]
    again = client.post("/api/v1/flows", json=shown)

    assert (again.status_code, again.get_json()["version"]) == (201, 2)
    assert again.get_json()["document"] == shown


def test_what_a_hidden_flow_keeps_is_the_same_secret(client: FlaskClient, beside: World) -> None:
    shown = client.post("/api/v1/flows", json=secret_flow()).get_json()["document"]
    client.delete(f"/api/v1/flows/{shown['id']}")
    client.post("/api/v1/flows", json=shown)

    first, second = (
        next(each for each in row.document["nodes"] if each["id"] == "own")["values"]
        for row in beside.rows("chaingraph_flow_versions", flow_id=shown["id"])
    )
    assert second["unencryptedData"] == first["unencryptedData"] != MASK


def test_a_mask_without_anything_behind_it_is_refused(client: FlaskClient) -> None:
    document = secret_flow()
    document["nodes"][0]["values"]["unencryptedData"] = MASK
    answer = client.post("/api/v1/flows", json=document)
    assert answer.status_code == 422
    [error] = answer.get_json()["errors"]
    assert error["pointer"] == "/nodes/0/values/unencryptedData"


@pytest.fixture
def keyless(mode: str, redis_url: str, request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    """A client of an API without SECRET_KEY."""
    database_url = request.getfixturevalue("database_url")
    app = create_app(load_settings({"DATABASE_URL": database_url, "REDIS_URL": redis_url}))
    app.test_client_class = CheckedClient
    yield app.test_client()
    end(app)


def test_without_a_key_no_secret_is_taken(keyless: FlaskClient, client: FlaskClient) -> None:
    refused = [
        keyless.post("/api/v1/secrets", json={"name": "a", "data": PLAIN}),
        keyless.post("/api/v1/flows", json=secret_flow()),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert answer.get_json()["code"] == "SECRET_KEY_MISSING"
        assert "plain" not in answer.text
    assert keyless.get("/api/v1/secrets").status_code == 200
    reference = flow_of({"id": "s", "type": "SecretNode", "values": {"secretID": "mine"}})
    assert keyless.post("/api/v1/flows", json=reference).status_code == 201


# -- nothing of a secret is anywhere


@node("LeakyNode", category="test")
def leaky(
    ctx: NodeContext,
    key: Annotated[Any, Port(type="secret")],
    config: Annotated[dict[str, Any], Port(mutable=True, default={})],
    fails: bool = False,
) -> Annotated[dict[str, Any], Port("told")]:
    """Tells what it shouldn't, wherever it can."""
    opened = [ctx.secret(key), ctx.secret("mine"), ctx.secret(config["token"])]
    said = json.dumps(opened)
    logging.getLogger("a.library").warning("it is %s", opened)
    try:
        int(said)
    except ValueError:
        logging.getLogger("a.library").exception("with a traceback")
    ctx.log(f"it is {opened[1]}")
    ctx.progress(0.5, said)
    if fails:
        raise ValueError(opened)
    encoded = base64.b64encode(opened[1].encode()).decode()
    return {"plain": opened, "json": said, "base64": encoded, opened[1]: "a key"}


@node("IssuingNode", category="test")
def issuing(
    key: Annotated[Any, Port(type="secret")], ctx: NodeContext
) -> Annotated[Any, Port("token", type="secret")]:
    """Makes a secret of its own."""
    return f"token of {ctx.secret(key)}"


class Sent(NamedTuple):
    """What is given before the end."""

    items: Annotated[Stream[str], Port("items")]
    early: str = ""


@node("SendingNode", category="test")
def sending(key: Annotated[Any, Port(type="secret")], ctx: NodeContext) -> Sent:
    """Tells a secret before its end."""
    plain = ctx.secret(key)
    ctx.resolve("early", f"early {plain}")
    stream = ctx.stream("items")
    stream.send(f"item {plain}")
    return Sent(stream)


class Worker:
    """Runs what there is to run, and publishes it."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.database = Database(database_url, pool_size=2)
        self.lanes = Lanes()
        own = {spec.type: spec for each in (leaky, issuing, sending) if (spec := spec_of(each))}
        self.catalogue = {**builtin_catalogue(), **own}
        store = PgRunStore(self.database)
        publisher = EventPublisher(redis_url, ttl_s=60, maxlen=1000)
        around = Surroundings(
            store=store,
            publish=publisher.publish,
            plans=PlanCache(self.catalogue),
            launch=lambda step: self.lanes.run(step.run),
            clock=time.monotonic,
            pause=time.sleep,
            lease_s=10,
            max_value_bytes=1024 * 1024,
            is_draining=lambda: False,
            vault=OwnersVault(Keyring(KEY), SecretStore(self.database)),
        )
        tokens = itertools.count()
        self.executor = Executor("w1", 10_000, lambda: around, lambda: f"t{next(tokens)}")
        self._close = store.close

    def end(self) -> None:
        self._close()
        self.database.engine.dispose()


def leaking_flow() -> dict[str, Any]:
    leak = {"type": "LeakyNode", "values": {"config": {"token": {"$secret": "mine"}}}}
    schema = {"properties": {"token": {"type": "secret"}}}
    shaped = {"ports": {"config": {"type": "object", "schema": schema}}}
    return flow_of(
        {
            "id": "own",
            "type": "UnencryptedSecret",
            "values": {"unencryptedData": {"apiKey": f"own {PLAIN}"}},
        },
        {"id": "stored", "type": "SecretNode", "values": {"secretID": "mine"}},
        {"id": "issued", "type": "IssuingNode"},
        {"id": "sends", "type": "SendingNode"},
        {"id": "joins", "type": "StreamBufferNode"},
        {**leak, **shaped, "id": "one"},
        {**leak, **shaped, "id": "two"},
        {**leak, **shaped, "id": "fails", "values": {**leak["values"], "fails": True}},
        {"id": "any", "type": "JSONSerializerNode"},
        edges=[
            {"source": "own.secret", "target": "one.key"},
            {"source": "stored.secret", "target": "issued.key"},
            {"source": "stored.secret", "target": "sends.key"},
            {"source": "sends.items", "target": "joins.inputStream"},
            {"source": "issued.token", "target": "two.key"},
            {"source": "own.secret", "target": "fails.key"},
            {"source": "one.told", "target": "any.data"},
        ],
    )


def forms(plain: str) -> list[bytes]:
    """The bytes to look for; in base64 at each place that the text may have in a triple."""
    encoded = [base64.b64encode(b" " * lead + plain.encode())[4:-4] for lead in range(3)]
    return [plain.encode(), json.dumps(plain)[1:-1].encode(), *encoded]


def dump(database_url: str) -> bytes:
    """Every value of every row of every table as text."""
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, string_agg(format('%I::text', column_name), ', ')"
            " FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name"
        )
        tables = dict(cursor.fetchall())
        values = []
        for table, columns in tables.items():
            cursor.execute(f'SELECT {columns} FROM "{table}"')
            values += [str(value) for row in cursor.fetchall() for value in row]
    connection.close()
    assert "chaingraph_secrets" in tables
    return "\n".join(values).encode()


def everything(redis_url: str) -> bytes:
    """Every key of Redis with what it holds."""
    client = Redis.from_url(redis_url)
    read = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"hash": client.hgetall,
        b"stream": client.xrange,
    }
    found = [(key, read[client.type(key)](key)) for key in client.scan_iter(count=1000)]
    client.close()
    raw = repr(found).encode()
    return raw + raw.replace(b"\\\\", b"\\").replace(b"\\'", b"'")


def answers(client: FlaskClient, flow_id: str, execution_ids: list[str]) -> bytes:
    paths = ["/secrets", f"/flows/{flow_id}", "/flows", "/executions", "/openapi.json"]
    for execution_id in execution_ids:
        at = f"/executions/{execution_id}"
        paths += [at, f"{at}/nodes", f"{at}/events?limit=1000", f"{at}/tree", f"{at}/recoveries"]
        paths += [f"{at}/nodes/{each}" for each in ("own", "one", "two", "fails", "any")]
    given = []
    for path in paths:
        prefix = "" if path == "/openapi.json" else "/api/v1"
        answer = client.get(prefix + path)
        assert answer.status_code == 200, path
        given.append(answer.data)
    return b"\n".join(given)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the log writes, in the form for machines."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    formatters = logging_config(load_settings({"LOG_FORMAT": "json"}))["formatters"]
    made = dict(formatters["stderr"])
    handler.setFormatter(made.pop("()")(**made))
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


def test_the_bytes_of_a_secret_are_nowhere(
    app: Flask,
    client: FlaskClient,
    redis_url: str,
    database_url: str,
    log: io.StringIO,
) -> None:
    worker = Worker(database_url, redis_url)
    catalogue = app.extensions[PARTS].catalogue
    plans = app.extensions[PARTS].plans
    services = app.extensions["chaingraph"]
    plans._catalogue = services.flows._catalogue = worker.catalogue
    assert "LeakyNode" not in catalogue
    Redis.from_url(redis_url).flushall()
    new(client)
    flow = client.post("/api/v1/flows", json=leaking_flow()).get_json()
    body = {
        "flowId": flow["id"],
        "inputs": {"two": {"config.token": PLAIN}},
        "options": {"debug": True, "execution": {"onNodeError": "continue"}},
        "integration": {"user": {"name": PLAIN}},
        "autostart": True,
    }
    made = [
        client.post("/api/v1/executions", json=each).get_json()
        for each in (body, {**body, "inputs": {"one": {"config": {"token": f"given {PLAIN}"}}}})
    ]
    assert all(each["integration"] == {"user": {"name": MASK}} for each in made)
    ids = [each["id"] for each in made]
    worker.executor.work()
    shown = client.get(f"/api/v1/executions/{ids[0]}").get_json()
    assert shown["status"] == "completed", shown
    nodes = client.get(f"/api/v1/executions/{ids[0]}/nodes").get_json()["items"]
    by_id = {each["id"]: each for each in nodes}
    assert {name: each["status"] for name, each in by_id.items()} == {
        **dict.fromkeys(by_id, "completed"),
        "fails": "error",
    }
    assert by_id["one"]["outputs"]["told"]["plain"] == [{"apiKey": f"{MASK}"}, MASK, MASK]
    assert by_id["issued"]["outputs"] == {"token": MASK}
    assert by_id["own"]["inputs"]["unencryptedData"] == MASK
    assert by_id["sends"]["outputs"]["early"] == f"early {MASK}"
    assert by_id["joins"]["outputs"]["buffer"] == f"item {MASK}"
    assert MASK in by_id["fails"]["error"]["message"]
    wait_until(lambda: Redis.from_url(redis_url).exists(keys.events(ids[1])), "published")
    worker.end()
    places = {
        "answers": answers(client, flow["id"], ids),
        "redis": everything(redis_url),
        "log": log.getvalue().encode(),
        # The integration is the caller's own context, and kept as it came: only masked.
        "postgres": dump(database_url).replace(
            f'{{"user":{{"name":{json.dumps(PLAIN)}}}}}'.encode(), b""
        ),
    }
    assert all(MASK.encode() in place for name, place in places.items() if name != "postgres")
    assert [
        (name, form) for name, place in places.items() for form in forms(PLAIN) if form in place
    ] == []


def test_what_is_looked_for_would_be_found() -> None:
    for lead in range(3):
        encoded = base64.b64encode(("x" * lead + PLAIN + "tail").encode())
        assert any(form in encoded for form in forms(PLAIN))
