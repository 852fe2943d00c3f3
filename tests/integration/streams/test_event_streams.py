"""Server-Sent Events, in both modes: over real sockets, from a server that hands them over."""

from __future__ import annotations

import json
import socket as sockets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.integration.streams.conftest import IMPATIENCE, MAX_SOCKETS, History, Served
from tests.integration.streams.test_relay import ENDED, STARTED
from tests.proxy import Proxy
from tests.waiting import wait_until

CUTS = 50
PATH = "/api/v1/executions/EX1/events"


@dataclass(frozen=True)
class Message:
    """One event of a stream; `id` is there unless it is the end."""

    id: int | None
    event: str
    data: Any


class Stream:
    """A stream that is being read."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.pings = 0
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[Message]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                self.pings += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                id_ = int(fields["id"]) if "id" in fields else None
                yield Message(id_, fields["event"], json.loads(fields["data"]))
                fields = {}


@contextmanager
def streamed(port: int, query: str = "", **headers: str) -> Iterator[Stream]:
    wanted = {"Accept": "text/event-stream"} | {k.replace("_", "-"): v for k, v in headers.items()}
    url = f"http://127.0.0.1:{port}{PATH}{query}"
    with httpx.stream("GET", url, headers=wanted, timeout=20) as response:
        if response.status_code != 200:
            response.read()
        yield Stream(response)


def test_a_finished_execution_is_replayed_and_ends(served: Served, history: History) -> None:
    history.create()
    history.tell("EX1", STARTED, ENDED)
    history.forget("EX1")
    with streamed(served.port) as stream:
        messages = list(stream)
    assert stream.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert stream.response.headers["Cache-Control"] == "no-store"
    assert [each.id for each in messages] == [-1, 0, 1, None]
    assert [each.event for each in messages] == [
        "execution:created",
        STARTED[0],
        "execution:completed",
        "end",
    ]
    assert messages[1].data["index"] == 0
    assert messages[1].data["executionId"] == "EX1"
    assert messages[-1].data == {"status": "completed", "nextIndex": 2}


def test_what_happens_is_told_as_it_happens(served: Served, history: History) -> None:
    history.create()
    with streamed(served.port) as stream:
        messages = iter(stream)
        assert next(messages).id == -1
        history.tell("EX1", STARTED)
        assert next(messages).id == 0
        history.tell("EX1", ENDED)
        assert [each.event for each in messages] == ["execution:completed", "end"]


def test_the_last_event_wins_over_the_index(served: Served, history: History) -> None:
    history.create()
    history.tell("EX1", STARTED, STARTED, ENDED)
    with streamed(served.port, "?fromIndex=2") as stream:
        assert [each.id for each in stream] == [2, None]
    with streamed(served.port, "?fromIndex=2", Last_Event_ID="0") as stream:
        assert [each.id for each in stream] == [1, 2, None]
    with streamed(served.port, Last_Event_ID="2") as stream:
        assert [each.event for each in stream] == ["end"]


def test_a_filter_leaves_out_all_but_the_end(served: Served, history: History) -> None:
    history.create()
    history.tell("EX1", STARTED, ENDED)
    with streamed(served.port, "?eventTypes=flow:failed") as stream:
        [end] = stream
    assert (end.event, end.data["nextIndex"]) == ("end", 2)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?fromIndex=x", {}, 422),
        ("?eventTypes=node:done", {}, 422),
        ("?batchSize=1", {}, 422),
        ("", {"Last_Event_ID": "x"}, 422),
        ("", {"Last_Event_ID": "-2"}, 422),
        ("", {"Last_Event_ID": "9" * 5000}, 422),
    ],
)
def test_what_is_wrong_is_refused_with_a_problem(
    served: Served, history: History, query: str, headers: dict[str, str], status: int
) -> None:
    history.create()
    with streamed(served.port, query, **headers) as stream:
        assert stream.response.status_code == status
    assert stream.response.headers["Content-Type"] == "application/problem+json"


def test_a_browser_may_ask_beforehand(served: Served, history: History) -> None:
    history.create()
    answer = httpx.options(
        f"http://127.0.0.1:{served.port}{PATH}", headers={"Accept": "text/event-stream"}
    )
    assert answer.status_code == 200
    assert "GET" in answer.headers["Allow"]


def test_an_unknown_execution_is_a_404(served: Served) -> None:
    with streamed(served.port) as stream:
        assert stream.response.status_code == 404


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", ""])
def test_who_accepts_no_stream_gets_the_page(served: Served, accept: str) -> None:
    with streamed(served.port, Accept=accept) as stream:
        assert stream.response.read() == b"the page of EX1"


def test_while_nothing_happens_there_are_pings(served: Served, history: History) -> None:
    history.create()
    with streamed(served.port) as stream:
        messages = iter(stream)
        next(messages)
        lines = stream._lines
        assert ": ping" in islice(lines, 3)
        history.tell("EX1", ENDED)
        assert [each.event for each in messages][-1] == "end"


def test_a_full_server_refuses_and_a_client_that_leaves_frees_its_place(
    served: Served, history: History
) -> None:
    history.create()
    with ExitStack() as stack:
        held = [stack.enter_context(streamed(served.port)) for _ in range(MAX_SOCKETS)]
        assert [next(iter(each)).id for each in held] == [-1] * MAX_SOCKETS
        with streamed(served.port) as refused:
            assert refused.response.status_code == 503
            assert refused.response.headers["Retry-After"]
    wait_until(lambda: served.relay.open_sockets == 0, "places are free")
    with streamed(served.port) as stream:
        assert next(iter(stream)).id == -1


def test_refused_streams_take_no_place(served: Served, history: History) -> None:
    history.create()
    for _ in range(MAX_SOCKETS + 1):
        with streamed(served.port, "?fromIndex=x"):
            pass
        httpx.head(f"http://127.0.0.1:{served.port}{PATH}", headers={"Accept": "text/event-stream"})
    with streamed(served.port) as stream:
        assert next(iter(stream)).id == -1


def test_a_server_that_ends_says_no_end(served: Served, history: History) -> None:
    history.create()
    with streamed(served.port) as stream:
        messages = iter(stream)
        next(messages)
        served.relay.drain()
        assert list(messages) == []


@pytest.mark.parametrize("patience", [IMPATIENCE])
def test_who_doesn_t_read_is_given_up(served: Served, history: History) -> None:
    history.create()
    large = ("node:debug-log-string", {"nodeId": "a", "level": "info", "log": "x" * 60_000})
    with sockets.create_connection(("127.0.0.1", served.port)) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        wait_until(lambda: served.relay.open_sockets == 1, "it is served")
        for _ in range(10):
            history.tell("EX1", *[large] * 10)
        wait_until(lambda: served.relay.open_sockets == 0, "it is given up")


def test_a_client_that_is_cut_off_fifty_times_has_every_index_once(
    served: Served, history: History
) -> None:
    history.create()
    proxy = Proxy(("127.0.0.1", served.port))
    received: list[int] = []
    for _ in range(CUTS):
        history.tell("EX1", STARTED, STARTED, STARTED)
        last = {"Last_Event_ID": str(received[-1])} if received else {}
        with streamed(proxy.port, **last) as stream:
            received += [each.id for each in islice(stream, 2) if each.id is not None]
            proxy.cut()
            proxy.mend()
    history.tell("EX1", ENDED)
    with streamed(proxy.port, Last_Event_ID=str(received[-1])) as stream:
        *rest, end = stream
    proxy.close()
    received += [each.id for each in rest if each.id is not None]
    assert received == list(range(-1, 3 * CUTS + 1))
    assert end.data == {"status": "completed", "nextIndex": 3 * CUTS + 1}
