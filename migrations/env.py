"""Run by alembic: connects to the database and hands over the tables' metadata."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from app.config import load_settings
from app.store.tables import metadata


def run_online(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_offline() -> None:
    context.configure(url="postgresql+psycopg2://", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def connect_and_run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run_online(given)
        return
    engine = create_engine(load_settings().sqlalchemy_url)
    with engine.connect() as connection:
        run_online(connection)
    engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    connect_and_run()
