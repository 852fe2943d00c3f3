"""The guard against kombu's use of closed channels, and whether it is still needed."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.embedded.valkey import EmbeddedValkey, prepare_valkey
from app.supervisor.guardian import Guardian
from tasks import broker
from tests.system.stack import Managed, Stack
from tests.waiting import wait_until

QUEUE = "cg:celery:default"

#: What Celery says of a broker that is gone.
LOSS = "Connection to broker lost"


class ScratchValkey:
    """A Valkey that a test may kill."""

    def __init__(self, directory: Path, guardian: Guardian) -> None:
        self.server: EmbeddedValkey = prepare_valkey(directory)
        self._guardian = guardian
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self.server.command(), start_new_session=True)
        self._guardian.watch(self._process.pid, signal.SIGKILL, rank=0)
        wait_until(self.server.is_ready, "Valkey is ready")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(60)
        self._guardian.forget(self._process.pid)

    def count_unacknowledged(self) -> int:
        with Redis.from_url(self.server.url()) as client:
            return int(client.hlen("cg:celery:unacked"))  # type: ignore[arg-type]

    def length(self, queue: str) -> int:
        with Redis.from_url(self.server.url()) as client:
            return int(client.llen(queue))  # type: ignore[arg-type]


@pytest.fixture
def scratch(tmp_path: Path, guardian: Guardian) -> Iterator[ScratchValkey]:
    valkey = ScratchValkey(tmp_path / "valkey", guardian)
    yield valkey
    if valkey.is_running:
        valkey.kill()


@pytest.fixture
def stack(
    database_url: str, scratch: ScratchValkey, tmp_path: Path, guardian: Guardian
) -> Iterator[Stack]:
    stack = Stack(database_url, scratch.server.url(), tmp_path, guardian)
    yield stack
    stack.close()


def open_broker(scratch: ScratchValkey) -> Connection:
    return Connection(scratch.server.url(), transport_options={"global_keyprefix": "cg:celery:"})


def send(scratch: ScratchValkey, **headers: str) -> None:
    """Send a message for an execution that doesn't exist."""
    with open_broker(scratch) as connection, connection.SimpleQueue("default") as queue:
        queue.put(
            [["EXnone"], {}, {}],
            headers={"task": "tasks.advance", "id": "message", **headers},
            serializer="json",
        )


def lose_broker(scratch: ScratchValkey, worker: Managed) -> None:
    """Kill the broker while the worker holds a message that is not acknowledged."""
    send(scratch)
    wait_until(lambda: is_consumed(scratch, worker), f"it consumes; see {worker.log}", 60)
    # Held until its time has come, and not acknowledged before.
    send(scratch, eta="2100-01-01T00:00:00+00:00")
    wait_until(lambda: scratch.count_unacknowledged() == 1, "a message is not acknowledged")
    scratch.kill()


def is_consumed(scratch: ScratchValkey, worker: Managed) -> bool:
    assert worker.is_running, worker.log.read_text()[-4000:]
    return scratch.length(QUEUE) == 0


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_worker_outlives_its_broker_and_goes_on_consuming(
    stack: Stack, scratch: ScratchValkey, pool: str
) -> None:
    worker = stack.start_worker(pool=pool, concurrency=1, wait=False)
    lose_broker(scratch, worker)
    wait_until(lambda: LOSS in worker.log.read_text() or not worker.is_running, "it is noticed")

    scratch.start()
    send(scratch)

    wait_until(lambda: is_consumed(scratch, worker), f"it goes on; see {worker.log}", 60)


def test_kombu_still_needs_the_guard(scratch: ScratchValkey) -> None:
    """When this fails, `tasks/broker.py` can go: kombu alone no longer uses a closed channel.

    What Celery makes of the fault depends on what it was doing when the broker died: now and
    then it survives. So kombu is asked itself, by the function that the guard is around.
    """
    with open_broker(scratch) as connection:
        channel = connection.channel()
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute"):
        broker._connparams(channel)
    with pytest.raises(RedisConnectionError):
        broker._connparams_unless_closed(channel)
