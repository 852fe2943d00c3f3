"""Stores to hold against the suite, and PostgreSQL from beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.store.database import Database
from app.store.protocol import RunStore
from tests.memory_world import MemoryWorld
from tests.proxy import Proxy, proxy_to_postgres
from tests.world import PgWorld, World


@pytest.fixture(scope="package")
def one_world(new_database: Callable[[], str]) -> Iterator[PgWorld]:
    world = PgWorld(new_database())
    yield world
    world.close()


@pytest.fixture
def pg(one_world: PgWorld) -> Iterator[PgWorld]:
    """PostgreSQL, its tables empty."""
    yield one_world
    one_world.clear()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for what waits."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def memory() -> MemoryWorld:
    """The tables of local mode, empty."""
    return MemoryWorld()


@pytest.fixture(params=["pg", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    """Each store that has to pass the suite, empty."""
    world: World = request.getfixturevalue(request.param)
    return world


@pytest.fixture
def store(world: World) -> RunStore:
    return world.open()


@pytest.fixture
def proxy(pg: PgWorld) -> Iterator[tuple[Proxy, Database]]:
    """A proxy, and the same database seen through it."""
    proxy, url = proxy_to_postgres(pg.database.url)
    database = Database(url)
    yield proxy, database
    database.engine.dispose()
    proxy.close()
