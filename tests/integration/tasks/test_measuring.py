"""Whom a worker's metrics are served to, and how many at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app.embedded.ports import free_port
from tasks import measuring
from tasks.measuring import MOST_AT_ONCE, MetricsServer
from tests.waiting import wait_until

ASKED = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

Connect = Callable[[], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a server that has begun."""
    port = free_port()
    server = MetricsServer(port, None, lambda: b"measured 1\n")
    server.start()
    wait_until(lambda: server.fileno() is not None, "it listens")
    with ExitStack() as opened:
        yield lambda: opened.enter_context(socket.create_connection(("127.0.0.1", port), 30))
    server.stop()


def answer(connection: socket.socket, asked: bytes) -> bytes:
    """What comes until the other side closes; nothing where it has closed by then."""
    found = b""
    try:
        connection.sendall(asked)
        while more := connection.recv(4096):
            found += more
    except ConnectionError:
        return b""
    return found


def test_this_machine_is_answered(connect: Connect) -> None:
    assert answer(connect(), ASKED).endswith(b"\r\n\r\nmeasured 1\n")


@pytest.mark.parametrize("host", [b"[", b"[::1", b"elsewhere.example", b"192.0.2.7", b"//"])
def test_who_names_another_host_is_refused(connect: Connect, host: bytes) -> None:
    assert b" 401 " in answer(connect(), ASKED.replace(b"127.0.0.1", host)).splitlines()[0]


def test_what_is_no_address_is_not_there(connect: Connect) -> None:
    assert b" 404 " in answer(connect(), ASKED.replace(b"/metrics", b"http://[")).splitlines()[0]


def test_more_than_a_few_at_once_are_closed_unheard(connect: Connect) -> None:
    silent = [connect() for _ in range(MOST_AT_ONCE)]
    assert answer(connect(), ASKED) == b""
    silent[0].close()
    wait_until(lambda: b" 200 " in answer(connect(), ASKED), "its place is free")


def test_a_client_that_never_ends_its_request_is_ended(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "LASTS_S", 0.3)
    slow = connect()

    def is_ended() -> bool:
        try:
            slow.send(b"x")
        except ConnectionError:
            return True
        return False

    wait_until(is_ended, "its time is up")
