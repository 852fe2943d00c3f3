"""When a reader of events that loses its connection gives up."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosedError

from app.client.address import Address
from app.client.errors import ServerUnreachable
from app.client.events import Course
from app.client.retrying import FOLLOW

ADDRESS = Address("http://api.test", None)
CUT = ConnectionClosedError(None, None)


class Reader:
    """A reader that gets no frame, and whose time passes as it is told."""

    def __init__(self) -> None:
        self._now = 0.0
        self._course = Course("EX1", -1, None, clock=lambda: self._now)

    def connects_for(self, seconds: float) -> float:
        """How long it pauses after a connection that stood so long."""
        self._course.connected()
        self._now += seconds
        return self.fails(CUT)

    def fails(self, loss: Exception) -> float:
        pause_s = self._course.pause_s(loss, ADDRESS)
        self._now += pause_s
        return pause_s


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_who_waits_for_days_outlives_a_cut_each_hour(reader: Reader) -> None:
    pauses = [reader.connects_for(3600) for _ in range(3 * FOLLOW.attempts)]
    assert max(pauses) < 2 * FOLLOW.first_pause_s


def test_connections_that_never_stand_are_given_up(reader: Reader) -> None:
    for _ in range(FOLLOW.attempts - 1):
        reader.connects_for(1)
    with pytest.raises(ServerUnreachable):
        reader.connects_for(1)


def test_a_server_that_stays_away_after_a_long_connection_is_given_up(reader: Reader) -> None:
    reader.connects_for(3600)
    for _ in range(FOLLOW.attempts - 2):
        reader.fails(ConnectionRefusedError("refused"))
    with pytest.raises(ServerUnreachable):
        reader.fails(ConnectionRefusedError("refused"))
