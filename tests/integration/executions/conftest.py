"""Runs on the real store with real node threads, and PostgreSQL from beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.executions.process import Process
from tests.proxy import Proxy, proxy_to_postgres
from tests.world import PgWorld


@pytest.fixture(scope="package")
def one_world(new_database: Callable[[], str]) -> Iterator[PgWorld]:
    world = PgWorld(new_database())
    yield world
    world.close()


@pytest.fixture
def world(one_world: PgWorld) -> Iterator[PgWorld]:
    """PostgreSQL, its tables empty."""
    yield one_world
    one_world.clear()


@pytest.fixture
def process(world: PgWorld) -> Iterator[Process]:
    process = Process(world)
    yield process
    process.end()


@pytest.fixture
def other(world: PgWorld) -> Iterator[Process]:
    process = Process(world, "w2")
    yield process
    process.end()


@pytest.fixture
def proxy(world: PgWorld) -> Iterator[tuple[Proxy, str]]:
    proxy, url = proxy_to_postgres(world.database.url)
    yield proxy, url
    proxy.close()
