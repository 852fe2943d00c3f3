"""A stream of events that goes on where it was cut off."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from app.client import ApiProblem, ServerUnreachable, UnexpectedAnswer
from app.client.address import Address
from app.embedded.ports import free_port
from tests.ways import WAYS, executions_of

AT = "2026-01-02T03:04:05.678Z"

#: What a server does with one connection.
Act = Callable[[ServerConnection], None]


def event(index: int) -> dict[str, Any]:
    return {"index": index, "type": "t", "timestamp": AT, "executionId": "EX1", "data": {}}


def frame(*indexes: int, next_index: int | None = None) -> str:
    end = indexes[-1] + 1 if next_index is None else next_index
    return json.dumps({"events": [event(index) for index in indexes], "nextIndex": end})


END = json.dumps({"end": True, "status": "completed", "nextIndex": 9})


def sends(*frames: str, code: int = 1000) -> Act:
    def act(connection: ServerConnection) -> None:
        for each in frames:
            connection.send(each)
        connection.close(code)

    return act


def breaks(*frames: str) -> Act:
    """Cut off without a word."""

    def act(connection: ServerConnection) -> None:
        for each in frames:
            connection.send(each)
        connection.socket.close()

    return act


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


class Relay:
    """A server that acts on one connection after the other.

    It refuses it with a status, or sends it to another address, where it is told to.
    """

    def __init__(self, way: str, *acts: Act | int | str) -> None:
        self._way = way
        self.queries: list[dict[str, list[str]]] = []
        self.headers: list[Any] = []
        self.pauses: list[float] = []
        self._acts = list(acts)
        self.executions: Any

    @contextmanager
    def running(self) -> Iterator[Relay]:
        with serve(self._handle, "127.0.0.1", 0, process_request=self._check) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            port = server.socket.getsockname()[1]
            try:
                address = Address(f"http://127.0.0.1:{port}", "t0ken")
                with executions_of(self._way, address, self.pauses.append) as self.executions:
                    yield self
            finally:
                server.shutdown()
                thread.join()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.queries.append(parse_qs(urlsplit(request.path).query))
        self.headers.append(request.headers)
        act = self._acts[0]
        if isinstance(act, str):
            self._acts.pop(0)
            found = connection.respond(HTTPStatus.FOUND, "elsewhere")
            found.headers["Location"] = act
            return found
        if not isinstance(act, int):
            return None
        self._acts.pop(0)
        body = {"code": "NOPE", "detail": "no", "status": act}
        return connection.respond(HTTPStatus(act), json.dumps(body))

    def _handle(self, connection: ServerConnection) -> None:
        act = self._acts.pop(0)
        assert callable(act)
        act(connection)


def indexes(relay: Relay, **options: Any) -> list[int]:
    with relay.running():
        return [each.index for each in relay.executions.events("EX1", **options)]


def test_events_come_in_order_and_the_stream_ends_with_the_execution(way: str) -> None:
    relay = Relay(way, sends(frame(-1, 0), frame(1), END))
    with relay.running():
        stream = relay.executions.events("EX1")
        assert [each.index for each in stream] == [-1, 0, 1]
        assert stream.status == "completed"
        assert stream.next_index == 9
        assert list(stream) == []
    assert relay.headers[0]["Authorization"] == "Bearer t0ken"


@pytest.mark.parametrize(
    "lost", [sends(frame(-1, 0, 1), code=1012), sends(frame(-1, 0, 1)), breaks(frame(-1, 0, 1))]
)
def test_a_lost_connection_goes_on_after_the_last_event(way: str, lost: Act) -> None:
    relay = Relay(way, lost, sends(frame(2, 3), END))
    assert indexes(relay) == [-1, 0, 1, 2, 3]
    assert [query["fromIndex"] for query in relay.queries] == [["-1"], ["2"]]


def test_it_goes_on_after_events_that_were_filtered_out(way: str) -> None:
    relay = Relay(way, sends(frame(4, next_index=40), code=1012), sends(frame(41), END))
    assert indexes(relay, from_index=3, types=["t", "u"]) == [4, 41]
    assert relay.queries[0] == {"fromIndex": ["3"], "eventTypes": ["t,u"]}
    assert relay.queries[1] == {"fromIndex": ["40"], "eventTypes": ["t,u"]}


def test_a_server_that_is_full_or_restarts_is_asked_again(way: str) -> None:
    relay = Relay(way, 503, 429, sends(frame(0), code=1012), 503, 502, sends(END))
    assert indexes(relay) == [0]
    assert len(relay.pauses) == 5


def test_a_refusal_is_the_problem_that_the_api_told(way: str) -> None:
    relay = Relay(way, 404)
    with relay.running(), pytest.raises(ApiProblem) as caught:
        next(relay.executions.events("EX1"))
    assert caught.value.status == 404
    assert caught.value.code == "NOPE"


@pytest.mark.parametrize("location", ["https://sso.test/login", "ws://127.0.0.1:1/", "/login"])
def test_a_redirect_is_no_answer_of_the_api_and_isn_t_followed(way: str, location: str) -> None:
    relay = Relay(way, location, sends(END))
    with relay.running(), pytest.raises(UnexpectedAnswer, match="answers 302"):
        next(relay.executions.events("EX1"))
    assert len(relay.queries) == 1


def test_an_address_that_no_websocket_has_is_told_of_at_once(way: str) -> None:
    pauses: list[float] = []
    address = Address("http://user@127.0.0.1:1", None)
    with executions_of(way, address, pauses.append) as calls, pytest.raises(ServerUnreachable):
        next(calls.events("EX1"))
    assert pauses == []


def test_a_connection_that_was_there_is_sought_for_long_a_missing_server_isn_t(way: str) -> None:
    relay = Relay(way, sends(frame(0)), *[503] * 13, sends(END))
    assert indexes(relay) == [0]
    nowhere = Address(f"http://127.0.0.1:{free_port()}", None)
    pauses: list[float] = []
    with executions_of(way, nowhere, pauses.append) as calls, pytest.raises(ServerUnreachable):
        next(calls.events("EX1"))
    assert len(pauses) == 4


@pytest.mark.parametrize("text", ["no", "[]", "{}", '{"events": [{}], "nextIndex": 1}'])
def test_frames_that_aren_t_ours_are_told_of(way: str, text: str) -> None:
    relay = Relay(way, sends(text, code=1012))
    with relay.running(), pytest.raises(UnexpectedAnswer):
        next(relay.executions.events("EX1"))


def test_who_leaves_in_a_frame_knows_which_index_comes_next(way: str) -> None:
    relay = Relay(way, sends(frame(-1, 0, 1), END))
    with relay.running(), relay.executions.events("EX1") as stream:
        assert stream.next_index == -1
        assert next(stream).index == -1
        assert stream.next_index == 0


def test_whoever_leaves_early_closes_the_connection(way: str) -> None:
    closed = threading.Event()

    def act(connection: ServerConnection) -> None:
        connection.send(frame(0))
        assert list(connection) == []
        closed.set()

    relay = Relay(way, act)
    with relay.running():
        with relay.executions.events("EX1") as stream:
            assert next(stream).index == 0
        assert closed.wait(60)
