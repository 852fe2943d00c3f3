"""A WebSocket without a server: over a pair of sockets, read as slowly as a test likes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Message, Ping, Request

from app.events.log import StoredEvent
from app.streams.relay import End, Events
from tests.waiting import wait_until
from web.event_streams import EventStream
from web.loop import SocketLoop
from web.sockets import LINGER_S, EventSocket, Patience, take_over

#: Larger (bytes) than what the kernel keeps between the two ends.
LARGE = 4_000_000


@dataclass
class Client:
    """The other end: what it was sent, as far as it has read."""

    raw: socket.socket
    protocol: WSConnection
    texts: list[str] = field(default_factory=list)
    code: int | None = None
    pongs: int = 0
    pings: int = 0
    text: str = ""

    def read(self, size: int = 65536) -> bool:
        """Read once; whether there may be more."""
        data = self.raw.recv(size)
        if not data:
            return False
        self.protocol.receive_data(data)
        for event in self.protocol.events():
            if isinstance(event, Message):
                self.text += event.data
                if event.message_finished:
                    self.texts.append(self.text)
                    self.text = ""
            elif isinstance(event, CloseConnection):
                self.code = event.code
            elif isinstance(event, Ping):
                self.pings += 1
            else:
                self.pongs += 1
        return True

    def read_all(self) -> None:
        while self.read():
            pass


@dataclass
class Setting:
    loop: SocketLoop
    served: EventSocket
    client: Client
    writable: threading.Event = field(default_factory=threading.Event)
    ends: list[bool] = field(default_factory=list)


@pytest.fixture
def patience() -> Patience:
    return Patience(ping_every_s=60, silent_s=60)


@pytest.fixture
def setting(patience: Patience) -> Iterator[Setting]:
    loop = SocketLoop(0.02)
    ours, theirs = socket.socketpair()
    client, server = WSConnection(ConnectionType.CLIENT), WSConnection(ConnectionType.SERVER)
    server.receive_data(client.send(Request(host="x", target="/")))
    list(server.events())
    client.receive_data(server.send(AcceptConnection()))
    list(client.events())
    theirs.settimeout(5)
    served = EventSocket(ours, server, loop, patience)
    setting = Setting(loop, served, Client(theirs, client))
    served.begin(setting.writable.set, lambda: setting.ends.append(True))
    yield setting
    loop.close()
    theirs.close()


def events_of(size: int, index: int = 0) -> Events:
    return Events([StoredEvent(index, "x", b'"%b"' % (b"x" * size))], index + 1)


def test_what_a_client_does_not_take_is_kept_and_sent_when_it_does(setting: Setting) -> None:
    setting.served.send_events(events_of(LARGE))
    assert setting.served.is_open
    assert not setting.served.is_writable
    assert not setting.writable.is_set()
    while not setting.client.texts:
        setting.client.read()
    assert setting.writable.wait(60)
    assert setting.served.is_writable
    setting.served.send_events(events_of(1, index=1))
    while len(setting.client.texts) < 2:
        setting.client.read()
    assert [len(text) for text in setting.client.texts] == [LARGE + 29, 30]


def test_a_goodbye_comes_after_what_was_sent(setting: Setting) -> None:
    setting.served.send_events(events_of(LARGE))
    setting.served.close(1012, "restarting")
    setting.served.send_end(End("completed", 1))
    setting.client.read_all()
    assert len(setting.client.texts) == 1
    assert setting.client.code == 1012
    assert not setting.ends
    setting.client.raw.close()
    wait_until(lambda: setting.ends, "it has ended")


def test_a_goodbye_waits_for_a_client_that_reads_slowly(setting: Setting) -> None:
    now = time.monotonic()
    setting.served._clock = lambda: now
    setting.served.send_events(events_of(LARGE))
    setting.served.close(1012, "restarting")
    now += LINGER_S + 1
    setting.served.on_tick()
    setting.client.read_all()
    assert len(setting.client.texts) == 1
    assert setting.client.code == 1012
    now += LINGER_S + 1
    wait_until(lambda: setting.ends, "it has ended")


def test_who_says_no_goodbye_is_not_waited_for(setting: Setting) -> None:
    setting.served.close(1000)
    wait_until(lambda: setting.ends, "it has ended", within_s=LINGER_S + 5)


def test_a_cut_ends_at_once_and_once(setting: Setting) -> None:
    setting.served.send_events(events_of(LARGE))
    for _ in range(3):
        setting.served.cut()
    wait_until(lambda: setting.ends, "it has ended")
    setting.served.close(1012)
    with suppress(ConnectionError):
        setting.client.read_all()
    assert setting.ends == [True]
    assert setting.client.code is None


def test_a_client_that_pings_and_does_not_read_is_answered_once(setting: Setting) -> None:
    setting.served.send_events(events_of(LARGE))
    for _ in range(50):
        setting.client.raw.sendall(setting.client.protocol.send(Ping(b"x" * 100)))
    while not setting.client.pongs:
        setting.client.read()
    assert setting.client.texts
    setting.client.raw.sendall(setting.client.protocol.send(BytesMessage(b"x")))
    setting.served.send_events(events_of(1))
    while len(setting.client.texts) < 2:
        setting.client.read()
    assert setting.client.pongs <= 50


@pytest.mark.parametrize("patience", [Patience(ping_every_s=0.25, silent_s=1.0)])
def test_nothing_is_put_into_the_middle_of_a_frame(setting: Setting) -> None:
    """Pings are due meanwhile: who doesn't read is given up instead."""
    setting.served.send_events(events_of(LARGE))
    wait_until(lambda: setting.ends, "it is given up")
    with suppress(ConnectionError):
        setting.client.read_all()
    assert not setting.client.texts
    # A ping in the middle would be read as a piece of the text.
    assert set(setting.client.text) == set('{"events":[x')
    assert setting.client.code is None


@pytest.mark.parametrize("patience", [Patience(ping_every_s=0.05, silent_s=60)])
def test_pings_go_on(setting: Setting) -> None:
    while setting.client.pings < 3:
        setting.client.read()
    assert setting.served.is_open


def test_the_server_goes_on_with_a_dead_end() -> None:
    served, client = socket.socketpair()
    number = served.fileno()
    own = take_over(served)
    served.shutdown(socket.SHUT_WR)
    assert served.fileno() == number
    assert served.recv(1) == b""
    with pytest.raises(BrokenPipeError):
        served.send(b"x")
    served.close()
    own.send(b"still open")
    assert client.recv(100) == b"still open"
    own.close()
    client.close()


def test_the_head_of_a_stream_comes_first_whoever_is_first() -> None:
    loop = SocketLoop(0.02)
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    stream = EventStream(ours, b"the head\n\n", loop, Patience())
    assert not stream.is_writable
    stream.send_events(events_of(1))
    stream.begin(lambda: None, lambda: None)
    # Both may have gone out before it began: then nobody is told.
    wait_until(lambda: stream.is_writable, "it has room")
    stream.close(1012)
    text = b""
    while data := theirs.recv(4096):
        text += data
    assert text == b'the head\n\nid: 0\nevent: x\ndata: "x"\n\n'
    loop.close()
    theirs.close()


def test_the_fault_of_one_socket_ends_no_other(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = socket.socketpair()
    ends: list[bool] = []
    other = EventStream(ours, b"the head\n\n", setting.loop, Patience())

    def fail(_data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(other, "_hear", fail)
    other.begin(lambda: None, lambda: ends.append(True))
    theirs.send(b"x")
    wait_until(lambda: ends, "it is cut")
    assert "ZeroDivisionError" in caplog.text
    setting.served.send_events(events_of(LARGE))
    while not setting.client.texts:
        setting.client.read()
    assert setting.served.is_open
    theirs.close()
