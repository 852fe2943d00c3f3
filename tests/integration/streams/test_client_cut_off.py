"""A client whose connection is broken again and again."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from app.client.address import Address
from tests.integration.streams.conftest import History, Served
from tests.proxy import Proxy
from tests.ways import WAYS, executions_of

CUTS = 50
LOG = ("node:debug-log-string", {"nodeId": "a", "level": "info", "log": "x"})
ENDED = ("execution:completed", {"executionTimeMs": 1})


def pause(seconds: float) -> None:
    """As clients pause, in a fifth of the time."""
    time.sleep(seconds / 5)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_is_cut_off_fifty_times_has_every_index_once(
    served: Served, history: History, way: str
) -> None:
    history.create()
    proxy = Proxy(("127.0.0.1", served.port))
    address = Address(f"http://127.0.0.1:{proxy.port}", None)
    received = []
    with executions_of(way, address, pause) as executions, executions.events("EX1") as events:
        received.append(next(events))
        for _ in range(CUTS):
            history.tell("EX1", LOG, LOG, LOG)
            proxy.cut()
            proxy.mend()
            # So that each is noticed: the last of these can't come from before it.
            history.tell("EX1", LOG)
            received += islice(events, 4)
        history.tell("EX1", ENDED)
        received += events
        assert events.status == "completed"
    proxy.close()
    assert [event.index for event in received] == list(range(-1, 4 * CUTS + 1))
    assert received[-1].type == "execution:completed"
