"""LLMCallNode and its sibling: what they ask, how they read what comes, and how they fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from app.errors import NodeCancelled, NodeError, NonRetryableError
from app.local.trial import run_flow
from app.nodes.library.models import MAX_ATTEMPTS, json_schema, model_nodes
from app.nodes.outbound import chat
from app.nodes.retry import RetryAfter
from app.values.codec import port_from_json
from tests.unit.nodes.chat_server import ChatServer, Reply, chatting
from tests.unit.nodes.context import FakeContext, run

KEY = "sk-very-secret"
LLM, STRUCTURED = {spec.type: spec for spec in model_nodes(["127.0.0.0/8"])}.values()

SCHEMA = port_from_json(
    {
        "type": "object",
        "schema": {
            "properties": {
                "name": {"type": "string", "description": "who"},
                "age": {"type": "number"},
                "tags": {"type": "array", "itemConfig": {"type": "enum", "options": ["a", "b"]}},
            }
        },
    }
)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chatting() as server:
        yield server


def context(**more: Any) -> FakeContext:
    return FakeContext(secrets={"key": KEY, "fields": {"apiKey": KEY}}, **more)


def ask(server: ChatServer, ctx: FakeContext | None = None, **more: Any) -> dict[str, Any]:
    inputs = {"prompt": "Say hi", "model": "m1", "baseUrl": server.url, **more}
    return run(LLM, ctx or context(), **inputs)


def ask_structured(server: ChatServer, text: str, **more: Any) -> Any:
    server.replies.append(Reply([text]))
    ctx = context(schemas={"response": more.pop("schema", SCHEMA)})
    inputs = {"prompt": "Who?", "model": "m1", "baseUrl": server.url, **more}
    return run(STRUCTURED, ctx, **inputs)["response"]


def test_what_comes_in_pieces_is_streamed_and_joined(server: ChatServer) -> None:
    server.replies.append(Reply(["Hel", "lo ", "wörld\n"]))
    ctx = context()
    assert ask(server, ctx)["response"] == "Hello wörld\n"
    assert ctx.streams["outputStream"].items == ["Hel", "lo ", "wörld\n"]


def test_a_question_is_what_such_a_server_expects(server: ChatServer) -> None:
    server.replies.append(Reply(["ok"]))
    ask(server, apiKey={"$secret": "fields"}, temperature=0.5, maxTokens=7)
    [asked] = server.asked
    headers = asked.pop("headers")
    assert asked == {
        "path": "/v1/chat/completions",
        "model": "m1",
        "messages": [{"role": "user", "content": "Say hi"}],
        "temperature": 0.5,
        "max_tokens": 7,
        "stream": True,
    }
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == context().idempotency_key


def test_a_server_that_wants_no_key_is_sent_none(server: ChatServer) -> None:
    server.replies.append(Reply(["ok"]))
    ask(server)
    assert "authorization" not in server.asked[0]["headers"]
    assert "max_tokens" not in server.asked[0]


def test_a_server_that_does_not_stream_is_understood(server: ChatServer) -> None:
    server.replies.append(Reply(body={"choices": [{"message": {"content": "whole"}}]}))
    ctx = context()
    assert ask(server, ctx)["response"] == "whole"
    assert ctx.streams["outputStream"].items == ["whole"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again_later(server: ChatServer, status: int) -> None:
    server.replies.append(Reply(status=status, body={"error": {"message": "too  much"}}))
    with pytest.raises(RetryAfter, match=f"answers {status}: too much") as raised:
        ask(server, context(attempt=3))
    assert raised.value.delay_ms == 4000


def test_a_server_is_left_alone_for_as_long_as_it_asks(server: ChatServer) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    for header, least_ms, most_ms in (("7", 7000, 7000), (later, 3_000_000, 3_600_000)):
        server.replies.append(Reply(status=429, body={}, headers={"Retry-After": header}))
        with pytest.raises(RetryAfter) as raised:
            ask(server)
        assert least_ms <= raised.value.delay_ms <= most_ms


def test_the_last_attempt_says_what_the_server_said(server: ChatServer) -> None:
    server.replies.append(Reply(status=503, body="<h1>down</h1>"))
    with pytest.raises(NodeError, match="answers 503: <h1>down</h1>") as raised:
        ask(server, context(attempt=MAX_ATTEMPTS))
    assert not isinstance(raised.value, RetryAfter)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(status=401, body={"error": {"message": "no such key"}}), "answers 401: no such key"),
        (Reply(status=404, body={"error": "no model"}), "answers 404: no model"),
        (Reply(status=307, body="", headers={"Location": "/x"}), "answers 307: nothing more"),
    ],
)
def test_what_trying_again_can_not_mend_is_not_tried_again(
    server: ChatServer, reply: Reply, message: str
) -> None:
    server.replies.append(reply)
    with pytest.raises(NonRetryableError, match=message):
        ask(server, apiKey={"$secret": "key"})
    assert len(server.asked) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(server: ChatServer) -> None:
    server.replies.append(Reply(["half"], breaks=True))
    with pytest.raises(RetryAfter, match="broke off"):
        ask(server)


def test_a_line_ends_where_the_server_ends_it(server: ChatServer) -> None:
    text = "one\u2028two\u2029three\x85four"
    chunk = {"choices": [{"delta": {"content": text}}]}
    line = f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n".encode()
    # Cut in the middle of a character, too.
    cut = line.index("\u2028".encode()) + 1
    server.replies.append(Reply(raw=[line[:cut], line[cut:]]))
    assert ask(server)["response"] == text


def test_a_line_without_an_end_is_not_kept_for_ever(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "MAX_WIRE_BYTES", 10_000)
    # It stalls behind that: who waits for the end of the line never comes back.
    server.replies.append(Reply(raw=[b"data: ", b"x" * 20_000], stalls=True))
    with pytest.raises(NonRetryableError, match="longer than 10000 bytes"):
        ask(server)


def test_an_error_in_the_middle_of_an_answer_is_told(server: ChatServer) -> None:
    server.replies.append(Reply(body={"error": {"message": "out of breath"}}))
    with pytest.raises(NodeError, match="out of breath"):
        ask(server)


@pytest.mark.parametrize("body", ["no json", "[1]", {"choices": [{"message": {}}]}, {}])
def test_an_answer_that_is_none_is_an_error(server: ChatServer, body: Any) -> None:
    server.replies.append(Reply(body=body))
    with pytest.raises(NodeError):
        ask(server)


def test_a_server_that_nobody_runs_is_tried_again() -> None:
    with chatting() as server:
        gone = server.url
    with pytest.raises(RetryAfter, match="no answer"):
        run(LLM, context(), prompt="p", model="m", baseUrl=gone)


def test_a_private_address_is_refused_unless_it_is_allowed(server: ChatServer) -> None:
    guarded, _ = model_nodes()
    with pytest.raises(NonRetryableError, match="HTTP_NODE_ALLOW"):
        run(guarded, context(), prompt="p", model="m", baseUrl=server.url)
    assert server.asked == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"baseUrl": " "}, "baseUrl is empty"),
        ({"baseUrl": "ftp://h"}, "baseUrl"),
        ({"model": ""}, "model is empty"),
        ({"apiKey": {"$secret": "odd"}}, "apiKey holds no key"),
    ],
)
def test_what_can_not_be_asked_is_told(
    server: ChatServer, inputs: dict[str, Any], message: str
) -> None:
    ctx = context()
    ctx.secrets["odd"] = {"a": "1", "b": "2"}
    with pytest.raises(NodeError, match=message):
        ask(server, ctx, **inputs)
    assert server.asked == []


def test_a_stop_ends_a_node_whose_server_stalls(server: ChatServer) -> None:
    server.replies.append(Reply(["begun"], stalls=True))
    ctx = context()
    ended: list[BaseException] = []

    def call() -> None:
        try:
            ask(server, ctx)
        except NodeCancelled as error:
            ended.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert server.stalled.wait(30)
    ctx.cancelled.set()
    thread.join(30)
    assert ended
    assert not server.over.is_set()


def test_a_structured_answer_is_an_object_of_the_schema(server: ChatServer) -> None:
    said = {"name": "Ada", "age": 36, "tags": ["a"], "more": 1}
    expected = {"name": "Ada", "age": 36, "tags": ["a"]}
    assert ask_structured(server, json.dumps(said)) == expected
    assert ask_structured(server, f"```json\n{json.dumps(said)}\n```") == expected
    asked = server.asked[0]
    assert asked["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": json_schema(SCHEMA)},
    }
    assert [each["role"] for each in asked["messages"]] == ["system", "user"]


def test_a_schema_is_written_as_json_schema() -> None:
    assert json_schema(SCHEMA) == {
        "type": "object",
        "properties": {
            "name": {"description": "who", "type": "string"},
            "age": {"type": "number"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("I'd rather not", "not JSON"),
        ("[1]", "no object"),
        ('{"name": "Ada", "age": "old", "tags": []}', "does not fit: age"),
        ('{"name": "Ada", "age": 1}', "does not fit: tags is missing"),
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(
    server: ChatServer, said: str, message: str
) -> None:
    with pytest.raises(NodeError, match=message):
        ask_structured(server, said)


def test_without_a_schema_any_object_will_do(server: ChatServer) -> None:
    schema = port_from_json({"type": "object"})
    assert ask_structured(server, '{"x": 1}', schema=schema) == {"x": 1}
    assert server.asked[0]["response_format"] == {"type": "json_object"}


def test_a_flow_reads_what_a_model_says_and_tells_no_key(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_NODE_ALLOW", "127.0.0.0/8")
    server.replies += [
        Reply(status=429, body={"error": {"message": f"not {KEY}"}}, headers={"Retry-After": "0"}),
        Reply(["It ", "is ", KEY]),
    ]
    flow = {
        "metadata": {"name": "Chat"},
        "nodes": [
            {"id": "key", "type": "SecretNode", "values": {"secretID": "mine"}},
            {
                "id": "llm",
                "type": "LLMCallNode",
                "values": {"prompt": "p", "model": "m", "baseUrl": server.url},
            },
            {"id": "join", "type": "StreamBufferNode"},
        ],
        "edges": [
            {"source": "key.secret", "target": "llm.apiKey"},
            {"source": "llm.outputStream", "target": "join.inputStream"},
        ],
    }
    result = run_flow(flow, secrets={"mine": {"apiKey": KEY}})
    assert result.status == "completed", result.error_message
    assert result.nodes["join"].outputs == {"buffer": "It is ********"}
    assert result.nodes["llm"].attempt == 2
    told = json.dumps([event.raw for event in result.events])
    assert "not ********" in told
    assert KEY not in told
    assert [each["headers"]["authorization"] for each in server.asked] == [f"Bearer {KEY}"] * 2
    assert len({each["headers"]["idempotency-key"] for each in server.asked}) == 1
