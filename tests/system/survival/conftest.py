"""A place for workers to be killed in: an API, a receiver of effects, a Redis of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.proxy import Proxy, proxy_to_postgres
from tests.system.crew import Crew
from tests.system.ledger import EFFECT_S, Ledger, run_ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack

#: What every stack here is told: the ledger may be reached, and there are deadly nodes.
ENVIRON = {"HTTP_NODE_ALLOW": LOOPBACK, "NODE_MODULES": "tests.system.deadly_nodes"}

MakeCrew = Callable[..., Crew]
MakePostgres = Callable[..., ScratchPostgres]


@pytest.fixture(scope="session")
def session_ledger() -> Iterator[Ledger]:
    with run_ledger() as ledger:
        yield ledger


@pytest.fixture
def ledger(session_ledger: Ledger) -> Iterator[Ledger]:
    """Where effects go; they take as long as ever, and what a test holds it holds alone."""
    session_ledger.effect_s = EFFECT_S
    yield session_ledger
    session_ledger.let_go()


@pytest.fixture(scope="session")
def site_valkey(server_directory: Path, guardian: Guardian) -> Iterator[ScratchValkey]:
    server = ScratchValkey(server_directory / "site-valkey", guardian)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def site(
    new_database: Callable[[], str],
    site_valkey: ScratchValkey,
    tmp_path_factory: pytest.TempPathFactory,
    guardian: Guardian,
) -> Iterator[Stack]:
    """An API for all tests here. Each brings its workers along and takes them away again."""
    directory = tmp_path_factory.mktemp("site")
    with run_stack(
        new_database(), site_valkey.url, directory, guardian, workers=0, environ=ENVIRON
    ) as stack:
        yield stack


@pytest.fixture
def make_crew(site: Stack) -> Iterator[MakeCrew]:
    """Make a crew on the site; it is gone after the test."""
    crews: list[Crew] = []

    def make(**options: object) -> Crew:
        crews.append(Crew(site, **options))  # type: ignore[arg-type]
        return crews[-1]

    yield make
    for crew in crews:
        crew.disband()


@pytest.fixture
def make_postgres(server_directory: Path, guardian: Guardian) -> Iterator[MakePostgres]:
    """Start a PostgreSQL over the directory of that name, which may be there; it ends here.

    What else is given are its settings.
    """
    made: list[ScratchPostgres] = []

    def make(name: str, **settings: str) -> ScratchPostgres:
        made.append(ScratchPostgres(server_directory / name, guardian, **settings))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def primary(make_postgres: MakePostgres) -> ScratchPostgres:
    server = make_postgres("primary")
    server.create_schema()
    return server


@pytest.fixture
def address(primary: ScratchPostgres) -> Iterator[tuple[Proxy, str]]:
    """The address that clients know, which leads to the primary until it is turned."""
    proxy, url = proxy_to_postgres(primary.url)
    yield proxy, url
    proxy.close()
