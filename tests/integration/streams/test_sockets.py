from __future__ import annotations

import base64
import json
import os
import socket as sockets
import threading
import time
from contextlib import ExitStack

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.streams.conftest import (
    IMPATIENCE,
    MAX_SOCKETS,
    History,
    Serve,
    Served,
    receive_all,
)
from tests.integration.streams.test_relay import ENDED, STARTED, next_frame
from tests.waiting import wait_until
from web import relay as relay_module
from web.sockets import Patience

EVENTS = "/api/v1/executions/EX1/events"


def refusal(served: Served, execution_id: str = "EX1", **query: object) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        served.connect(execution_id, **query)
    assert refused.value.response.headers["Content-Type"] == "application/problem+json"
    return refused.value


def test_wrong_parameters_are_refused_before_the_upgrade(served: Served, history: History) -> None:
    wrong = [
        {"fromIndex": "-2"},
        {"fromIndex": "x"},
        {"batchSize": "0"},
        {"batchSize": "1001"},
        {"batchTimeoutMs": "1001"},
        {"eventTypes": "node:done"},
        {"limit": "1"},
    ]
    history.create()
    for query in wrong:
        response = refusal(served, **query).response
        assert response.status_code == 422, query
        assert response.body
        pointers = [error["pointer"] for error in json.loads(response.body)["errors"]]
        assert pointers == [f"/{name}" for name in query]


def test_an_unknown_execution_is_refused(served: Served, history: History) -> None:
    history.create()
    for unknown in ("EX2", "EX%00"):
        assert refusal(served, unknown).response.status_code == 404, unknown


def test_another_owners_execution_is_unknown(served: Served, history: History) -> None:
    history.create()
    history.execute("UPDATE chaingraph_executions SET owner_id = 'another'")
    assert refusal(served).response.status_code == 404


def test_what_is_no_handshake_is_refused(served: Served, history: History) -> None:
    history.create()
    key = base64.b64encode(os.urandom(16)).decode()
    for headers in ("", f"Sec-WebSocket-Key: {key}\r\n", "Sec-WebSocket-Version: 13\r\n"):
        with sockets.create_connection(("127.0.0.1", served.port)) as raw:
            raw.sendall(
                b"GET /api/v1/executions/EX1/events HTTP/1.1\r\nHost: localhost\r\n"
                b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + headers.encode() + b"\r\n"
            )
            assert b" 400 " in raw.recv(4096).split(b"\r\n")[0]


def test_no_header_of_a_handshake_is_a_fault_of_ours(served: Served, history: History) -> None:
    history.create()
    protocol = "Connection: Upgrade\r\nSec-WebSocket-Protocol"
    for headers, status in (
        ("Connection: Upgrade, \xe9\r\n", 101),
        ("Connection: Upgrade\r\nX-Odd: a\x0bb\r\n", 101),
        ("Connection: Upgrade\r\nTransfer-Encoding: gzip, chunked\r\n", 415),
        (f"{protocol}: bearer.x\r\n", 101),
        (f"{protocol}: bearer.\xe9\r\n", 400),
        (f"{protocol}: bearer.\x0bx\r\n", 400),
    ):
        assert handshake(served, headers) == status, headers


def handshake(served: Served, headers: str) -> int:
    """Shake hands with these headers beside what there must be; how that is answered."""
    key = base64.b64encode(os.urandom(16)).decode()
    with sockets.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(
            f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n".encode(
                "latin-1"
            )
        )
        status = int(raw.recv(4096).split(b" ")[1])
        if status == 101:
            wait_until(lambda: served.relay.open_sockets == 1, "it is served")
    wait_until(lambda: served.relay.open_sockets == 0, "it is gone")
    return status


def test_the_page_of_events_has_the_same_address(served: Served, history: History) -> None:
    with sockets.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(b"GET /api/v1/executions/EX1/events HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b""
        while chunk := raw.recv(4096):
            answer += chunk
    assert answer.endswith(b"the page of EX1")


def test_a_full_server_refuses_with_retry_after_and_frees_places(
    served: Served, history: History
) -> None:
    history.create()
    with ExitStack() as stack:
        for _ in range(MAX_SOCKETS):
            stack.enter_context(served.connect())
        response = refusal(served).response
        assert response.status_code == 503
        assert response.headers["Retry-After"]
    wait_until(lambda: served.relay.open_sockets == 0, "places are free")
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0


def test_refused_handshakes_take_no_place(served: Served, history: History) -> None:
    history.create()
    for _ in range(MAX_SOCKETS + 1):
        refusal(served, batchSize="0")
        refusal(served, "EX2")
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0


def test_a_large_message_closes_with_1009(served: Served, history: History) -> None:
    history.create()
    with served.connect() as socket:
        socket.send("x" * 300_000)
        assert receive_all(socket).code == 1009


def test_what_a_client_says_is_ignored(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect() as socket:
        for _ in range(100):
            socket.send("x" * 60_000)
            socket.send(b"\0")
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [-1, 0]


def test_frames_are_not_compressed(served: Served, history: History) -> None:
    history.create()
    with served.connect() as socket:
        assert "Sec-WebSocket-Extensions" not in (socket.response or {}).headers


def test_a_browsers_token_protocol_is_taken_up(served: Served, history: History) -> None:
    history.create()
    with served.connect(options={"subprotocols": ["bearer.abc"]}) as socket:
        assert socket.subprotocol == "bearer.abc"


@pytest.mark.parametrize("patience", [IMPATIENCE])
def test_a_client_that_answers_no_ping_is_closed(served: Served, history: History) -> None:
    history.create()
    key = base64.b64encode(os.urandom(16)).decode()
    with sockets.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(
            b"GET /api/v1/executions/EX1/events?fromIndex=0 HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            + f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        raw.settimeout(60)
        answer = b""
        while chunk := raw.recv(4096):
            answer += chunk
    frames = answer.split(b"\r\n\r\n", 1)[1]
    assert frames.startswith(b"\x89\x00")
    assert b"\x88" in frames
    assert frames.split(b"\x88", 1)[1][1:3] == (1001).to_bytes(2, "big")


@pytest.mark.parametrize("patience", [Patience(ping_every_s=0.3, silent_s=2.0)])
def test_a_client_that_answers_pings_stays(
    served: Served, history: History, patience: Patience
) -> None:
    execution = history.create()
    with served.connect() as socket:
        time.sleep(patience.silent_s + 0.5)
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [-1, 0]


def test_drain_closes_with_1012(
    served: Served, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "DRAIN_S", 60.0)
    history.create()
    with served.connect() as one, served.connect() as two:
        next_frame(one)
        next_frame(two)
        threading.Thread(target=served.relay.drain).start()
        assert receive_all(one).code == 1012
        assert receive_all(two).code == 1012
    assert refusal(served).response.status_code == 503


@pytest.mark.parametrize("patience", [IMPATIENCE])
def test_a_client_that_does_not_read_is_cut_and_costs_no_memory(
    served: Served, history: History
) -> None:
    execution = history.create()
    large = ("node:completed", {"nodeId": "a", "outputs": {"x": "x" * 60_000}})
    for _ in range(20):
        history.commit(execution, *[large] * 20)
    with served.connect(options={"max_queue": 1, "close_timeout": 0.1}) as slow:
        slow.recv(timeout=60)
        wait_until(lambda: served.relay.open_sockets == 0, "the slow client is cut")


def test_drained_clients_resume_at_another_process_without_loss(
    served: Served,
    serve: Serve,
    history: History,
    database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "DRAIN_S", 60.0)
    execution = history.create()
    other = serve(database_url, redis_url)
    with served.connect(batchTimeoutMs=0) as socket:
        history.tell(execution, STARTED)
        drained = threading.Thread(target=served.relay.drain)
        drained.start()
        history.tell(execution, STARTED)
        received = receive_all(socket)
        drained.join()
    assert received.code == 1012
    next_index = received.frames[-1]["nextIndex"] if received.frames else -1
    with other.connect(fromIndex=next_index) as socket:
        history.tell(execution, ENDED)
        rest = receive_all(socket)
    assert received.indexes + rest.indexes == [-1, 0, 1, 2]


def test_drain_does_not_wait_for_a_client_that_does_not_read(
    served: Served, history: History
) -> None:
    execution = history.create()
    large = ("node:completed", {"nodeId": "a", "outputs": {"x": "x" * 60_000}})
    for _ in range(20):
        history.commit(execution, *[large] * 20)
    with served.connect(options={"max_queue": 1, "close_timeout": 0.1}) as slow:
        slow.recv(timeout=60)
        served.relay.drain()
        wait_until(lambda: served.relay.open_sockets == 0, "the slow client is cut")


def test_a_client_that_leaves_frees_its_place(served: Served, history: History) -> None:
    execution = history.create()
    history.tell(execution, STARTED)
    with served.connect() as socket:
        next_frame(socket)
    wait_until(lambda: served.relay.open_sockets == 0, "the place is free")
