"""The servers that the other tests stand on."""

from __future__ import annotations

import psycopg2
import pytest
from redis import Redis


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_migrated_database_of_its_own(database_url: str, turn: int) -> None:
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM chaingraph_flows")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "INSERT INTO chaingraph_flows (id, owner_id, name, version)"
            " VALUES ('V2', 'local', 'turn', %s)",
            (turn,),
        )
    connection.close()


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_redis_empty(redis_url: str, turn: int) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("turn", turn)
