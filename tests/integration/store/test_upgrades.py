"""Code and schema are replaced one after the other, while executions run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command

from app.cli import schema
from app.config.places import shipped
from app.executions.run import RunEnd
from app.revisions import runs_code_of
from app.store.database import Database
from app.store.readiness import present_revision, wanted_revision
from tests.integration.executions.nodes import node_that
from tests.integration.executions.process import Process, chain, execution_of, node
from tests.world import PgWorld

LATER = "fffffffffff1"

MIGRATION = """
revision = "{later}"
down_revision = "{wanted}"

from alembic import op

def upgrade():
    op.execute("ALTER TABLE chaingraph_executions ADD COLUMN colour text NOT NULL DEFAULT 'red'")
    op.execute("ALTER TABLE chaingraph_execution_claims ADD COLUMN colour text")
    op.execute("CREATE TABLE chaingraph_colours (name text PRIMARY KEY)")
    op.execute("CREATE INDEX ix_colour ON chaingraph_executions (colour)")
    op.execute({says})
"""


@pytest.fixture
def world(database_url: str) -> Iterator[PgWorld]:
    """A database whose schema may be changed."""
    made = PgWorld(database_url)
    yield made
    made.close()


def migrate(world: PgWorld, tmp_path: Path, says: str) -> None:
    """Apply a migration that adds something, which no code knows yet."""
    script = MIGRATION.format(later=LATER, wanted=wanted_revision(), says=repr(says))
    (tmp_path / "later.py").write_text(script)
    with schema._connection(world.database.url) as connection:
        config = schema._config(connection)
        places = f"{shipped('migrations')}/versions {tmp_path}"
        config.set_main_option("version_locations", places)
        config.set_main_option("path_separator", "space")
        command.upgrade(config, LATER)
        connection.commit()


def test_a_run_goes_on_while_a_migration_adds_what_its_code_does_not_know(
    world: PgWorld, tmp_path: Path
) -> None:
    wanted = wanted_revision()
    process = Process(world)
    says = runs_code_of(LATER, str(wanted))
    upgrade = node_that(lambda _: migrate(world, tmp_path, says), "UpgradeNode")
    after = node_that(lambda _: None, "AfterNode")
    document = chain(node("a", "AfterNode"), node("b", "UpgradeNode"), node("c", "AfterNode"))
    first = execution_of(world, document)

    # On one connection, whose statements were prepared before.
    assert process.run(first, upgrade, after) is RunEnd.FINISHED
    second = execution_of(world, chain(node("a", "AfterNode"), node("b", "AfterNode")))
    assert process.run(second, upgrade, after) is RunEnd.FINISHED
    process.end()

    assert {world.row(each).status for each in (first, second)} == {"completed"}
    assert present_revision(world.database, wanted) == wanted
    found = schema.revisions(world.database.url)
    assert (found.present, found.is_current, found.is_ahead) == (LATER, False, True)
    assert schema.upgrade(world.database.url).is_ahead


@pytest.mark.parametrize("says", ["SELECT 1", runs_code_of("fffffffffff0", "a2935d7e55ce")])
def test_a_later_schema_that_does_not_say_so_runs_no_older_code(
    world: PgWorld, tmp_path: Path, says: str
) -> None:
    migrate(world, tmp_path, says)

    assert present_revision(world.database, wanted_revision()) == LATER
    assert not schema.revisions(world.database.url).is_ahead
    with pytest.raises(schema.SchemaError):
        schema.upgrade(world.database.url)


def test_an_empty_database_runs_nothing(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    assert present_revision(database, wanted_revision()) is None
    database.engine.dispose()
