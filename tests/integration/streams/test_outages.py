from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.streams.cable import Cable, cable_to_postgres, cable_to_redis
from tests.integration.streams.conftest import History, Serve, Served, receive_all
from tests.integration.streams.test_relay import DONE, ENDED, STARTED, next_frame
from tests.waiting import wait_until


@pytest.fixture
def redis_cable(redis_url: str) -> Iterator[tuple[Cable, str]]:
    cable, url = cable_to_redis(redis_url)
    yield cable, url
    cable.close()


@pytest.fixture
def postgres_cable(database_url: str) -> Iterator[tuple[Cable, str]]:
    cable, url = cable_to_postgres(database_url)
    yield cable, url
    cable.close()


@pytest.fixture
def served_over_redis(
    serve: Serve, database_url: str, redis_cable: tuple[Cable, str]
) -> tuple[Cable, Served]:
    cable, url = redis_cable
    return cable, serve(database_url, url)


@pytest.fixture
def served_over_postgres(
    serve: Serve, redis_url: str, postgres_cable: tuple[Cable, str]
) -> tuple[Cable, Served]:
    cable, url = postgres_cable
    return cable, serve(url, redis_url)


def test_without_redis_events_come_from_postgresql(
    served_over_redis: tuple[Cable, Served], history: History
) -> None:
    cable, served = served_over_redis
    cable.cut()
    execution = history.create()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0
        history.tell(execution, STARTED)
        assert next_frame(socket)["nextIndex"] == 1
        history.tell(execution, DONE, ENDED)
        assert receive_all(socket).indexes == [1, 2]


def test_redis_lost_while_it_is_read_loses_nothing(
    served_over_redis: tuple[Cable, Served], history: History
) -> None:
    cable, served = served_over_redis
    execution = history.create()
    with served.connect(batchTimeoutMs=0) as socket:
        assert next_frame(socket)["nextIndex"] == 0
        cable.cut()
        history.tell(execution, STARTED)
        assert next_frame(socket)["nextIndex"] == 1
        cable.mend()
        history.tell(execution, STARTED)
        assert next_frame(socket)["nextIndex"] == 2
        history.tell(execution, DONE, ENDED)
        assert receive_all(socket).indexes == [2, 3]


def test_without_postgresql_sockets_stay_open_and_redis_goes_on_telling(
    served_over_postgres: tuple[Cable, Served], history: History
) -> None:
    cable, served = served_over_postgres
    execution = history.create()
    with served.connect(batchTimeoutMs=0) as socket:
        assert next_frame(socket)["nextIndex"] == 0
        cable.cut()
        history.tell(execution, STARTED)
        assert next_frame(socket)["nextIndex"] == 1
        history.commit(execution, STARTED)
        history.tell(execution, DONE)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=1.2)
        cable.mend()
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [1, 2, 3]


def test_without_postgresql_the_handshake_is_refused_for_a_while(
    served_over_postgres: tuple[Cable, Served], history: History
) -> None:
    from tests.integration.streams.test_sockets import refusal

    cable, served = served_over_postgres
    history.create()
    cable.cut()
    response = refusal(served).response
    assert response.status_code == 503
    assert response.headers["Retry-After"]
    cable.mend()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0


def test_both_away_and_back_lose_nothing(
    serve: Serve,
    redis_cable: tuple[Cable, str],
    postgres_cable: tuple[Cable, str],
    history: History,
) -> None:
    served = serve(postgres_cable[1], redis_cable[1])
    execution = history.create()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0
        for cable in (redis_cable[0], postgres_cable[0]):
            cable.cut()
        history.tell(execution, STARTED)
        history.tell(execution, DONE)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.7)
        assert served.relay.open_sockets == 1
        for cable in (redis_cable[0], postgres_cable[0]):
            cable.mend()
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [0, 1, 2]
    wait_until(lambda: served.relay.open_sockets == 0, "the socket is closed")
