"""The root of the command line: which commands there are."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from app.cli import config, dev, doctor, migrate, run
from app.cli.executions import executions
from app.cli.flows import flows
from app.cli.node_types import nodes
from app.cli.secrets import secrets
from app.cli.tokens import tokens


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(metadata.version("chaingraph-celery"))
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_tell_version, is_eager=True, help="Print the version, and end."
    ),
]

cli = typer.Typer(
    name="chaingraph",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@cli.callback()
def root(*, version: Version = False) -> None:
    """Run ChainGraph flows durably, on Celery, PostgreSQL and Redis."""


cli.command()(dev.dev)
cli.command()(run.run)
cli.add_typer(executions, name="executions")
cli.add_typer(flows, name="flows")
cli.command()(nodes)
cli.add_typer(secrets, name="secrets")
cli.add_typer(tokens, name="tokens")
cli.command()(doctor.doctor)
cli.command()(migrate.migrate)
cli.command()(config.config)
