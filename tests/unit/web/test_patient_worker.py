from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]

from tests.waiting import wait_until
from web.patient_worker import (
    ANSWER_WITHIN_S,
    BODY_WITHIN_S,
    HEAD_WITHIN_S,
    Deadlines,
    PatientWorker,
)

ADDRESS = ("127.0.0.1", 1)
#: More than the kernel holds for who doesn't read.
LARGE = b"x" * (8 << 20)
ENDS_WITHIN_S = 20
HALF_A_BODY = b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"a"'


class Served:
    """One connection to a worker, with the client's end in hand and a clock that is set."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.now = 0.0
        self.asked = threading.Event()
        self.bodies: list[bytes] = []
        self.clients: list[socket.socket] = []
        self.answer = b"{}"
        self.client, self._server = socket.socketpair()
        self.client.settimeout(ENDS_WITHIN_S)
        self.config = Config()
        self.worker = PatientWorker(0, os.getppid(), [], None, 30, self.config, Logger(self.config))
        self.worker.deadlines = Deadlines(lambda: self.now)
        self.worker.answers = Deadlines(lambda: self.now, socket.SHUT_RDWR)
        self.worker.wsgi = self._app
        self._threads = threads

    def serve(self) -> Future[Any]:
        connection = TConn(self.config, self._server, ADDRESS, ADDRESS)
        return self._threads.submit(self._handle, connection)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.worker.murder_pending()

    def close(self) -> None:
        for client in (self.client, *self.clients):
            client.close()
        self._server.close()
        self.worker.tmp.close()

    def _handle(self, connection: TConn) -> Any:
        try:
            return self.worker.handle(connection)
        finally:
            self._server.shutdown(socket.SHUT_WR)

    def _app(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.asked.set()
        self.bodies.append(environ["wsgi.input"].read())
        start("200 OK", [("Content-Length", str(len(self.answer)))])
        return [self.answer]


@pytest.fixture
def served() -> Iterator[Served]:
    with ThreadPoolExecutor(1) as threads:
        one = Served(threads)
        yield one
        one.close()


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_client_that_stops_in_the_middle_of_a_head_gives_its_thread_back(
    served: Served,
) -> None:
    served.client.sendall(b"GET / HT")
    done = served.serve()
    while not done.done():
        served.pass_time(HEAD_WITHIN_S)
    assert done.result() is False
    assert read_all(served.client) == b""
    assert not served.asked.is_set()


def test_one_that_stops_in_the_middle_of_a_body_is_answered_with_what_came(
    served: Served,
) -> None:
    served.client.sendall(HALF_A_BODY)
    done = served.serve()
    assert served.asked.wait(ENDS_WITHIN_S)
    served.pass_time(BODY_WITHIN_S - 1)
    assert not done.done()
    served.pass_time(1)
    done.result(ENDS_WITHIN_S)
    assert served.bodies == [b'{"a"']
    assert read_all(served.client).startswith(b"HTTP/1.1 200 OK")


def test_one_that_sends_in_time_may_keep_its_connection(served: Served) -> None:
    served.client.sendall(HALF_A_BODY)
    done = served.serve()
    assert served.asked.wait(ENDS_WITHIN_S)
    served.pass_time(HEAD_WITHIN_S)
    served.client.sendall(b": 1234")
    assert done.result(ENDS_WITHIN_S) is True
    served.pass_time(BODY_WITHIN_S)
    assert served.bodies == [b'{"a": 1234']


def test_one_that_takes_nothing_of_its_answer_gives_its_thread_back(served: Served) -> None:
    served.worker.stalled_s, served.answer = 0.05, LARGE
    served.client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served.serve().result(ENDS_WITHIN_S) is False
    assert len(read_all(served.client)) < len(LARGE)


def test_one_that_takes_its_answer_little_by_little_has_an_end_too(served: Served) -> None:
    served.answer = LARGE
    served.client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    done = served.serve()
    assert served.client.recv(1000)
    served.pass_time(ANSWER_WITHIN_S - 1)
    assert len(served.client.recv(1000)) == 1000
    assert not done.done()
    served.pass_time(1)
    assert done.result(ENDS_WITHIN_S) is False
    assert len(read_all(served.client)) < len(LARGE) - 2000


def test_one_that_took_its_answer_in_time_may_ask_again(served: Served) -> None:
    served.client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served.serve().result(ENDS_WITHIN_S) is True
    served.pass_time(ANSWER_WITHIN_S)
    assert read_all(served.client).startswith(b"HTTP/1.1 200 OK")
    served.client.sendall(b"once more")


GOODBYE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def say_goodbye(address: tuple[str, int]) -> socket.socket:
    client = socket.create_connection(address, timeout=ENDS_WITHIN_S)
    client.sendall(GOODBYE)
    return client


@contextmanager
def running(worker: PatientWorker) -> Iterator[tuple[str, int]]:
    """Run gunicorn's loop, and give the address where it listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    worker.sockets = [listener]
    worker.tpool, worker.poller = worker.get_thread_pool(), selectors.DefaultSelector()
    worker.method_queue.init()
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        worker.handle_exit(signal.SIGTERM, None)
        thread.join()


def test_nobody_waits_for_clients_that_dont_close_what_was_answered(served: Served) -> None:
    served.worker.linger_s = 1000
    with running(served.worker) as address:
        for _ in range(3):
            client = say_goodbye(address)
            assert read_all(client).startswith(b"HTTP/1.1 200 OK")
            served.clients.append(client)
            wait_until(
                lambda: len(served.worker.lingering) == len(served.clients), "none is closed"
            )
        for client in served.clients:
            client.close()
        wait_until(lambda: served.worker.nr_conns == 0, "who closed is let go")


def test_one_that_never_closes_is_closed(served: Served) -> None:
    served.worker.linger_s = 0
    with running(served.worker) as address, say_goodbye(address) as client:
        assert read_all(client).startswith(b"HTTP/1.1 200 OK")
        wait_until(lambda: served.worker.nr_conns == 0, "it is let go")
        assert not served.worker.lingering


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nX: \x7f\r\n\r\n", 400, "BAD_REQUEST"),
        (b"nonsense\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "REQUEST_URI_TOO_LONG"),
        (
            b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
            431,
            "REQUEST_HEADER_FIELDS_TOO_LARGE",
        ),
    ],
)
def test_what_is_no_request_is_refused_in_the_form_of_every_error(
    served: Served, head: bytes, status: int, code: str
) -> None:
    served.client.sendall(head)
    assert served.serve().result(ENDS_WITHIN_S) is False
    answered, _, body = read_all(served.client).partition(b"\r\n\r\n")
    assert answered.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in answered
    told = json.loads(body)
    assert (told["status"], told["code"]) == (status, code)
    assert told.keys() == {"type", "title", "status", "detail", "instance", "code"}
