"""The stacks that system tests run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.embedded.valkey import EmbeddedValkey
from app.supervisor.guardian import Guardian
from tests.system.stack import Stack, run_echo, run_stack


@pytest.fixture
def bare_stack(
    database_url: str, redis_url: str, tmp_path: Path, guardian: Guardian
) -> Iterator[Stack]:
    """A test's own stack with the API alone: the test starts the workers that it wants."""
    with run_stack(database_url, redis_url, tmp_path, guardian, workers=0) as stack:
        yield stack


@pytest.fixture(scope="module")
def echo_url() -> Iterator[str]:
    """The echo address, while a module's tests run."""
    with run_echo() as url:
        yield url


@pytest.fixture(scope="module")
def stack(
    new_database: Callable[[], str],
    valkey: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
    guardian: Guardian,
    echo_url: str,
    request: pytest.FixtureRequest,
) -> Iterator[Stack]:
    """One stack for a module, with one worker whose HTTP nodes may reach the echo address.

    A module's `STACK` holds what `run_stack` is given beside that. A test that asks for it leaves it as it was, and doesn't ask for `redis_url`, which empties
    the Valkey that it runs on.
    """
    with Redis.from_url(valkey.url()) as client:
        client.flushall()
    more = dict(getattr(request.module, "STACK", {}))
    more["environ"] = {"HTTP_NODE_ALLOW": echo_url.split("/")[2], **more.get("environ", {})}
    directory = tmp_path_factory.mktemp("stack")
    with run_stack(new_database(), valkey.url(), directory, guardian, **more) as stack:
        yield stack
