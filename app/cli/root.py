"""The root of the command line: which commands there are."""

from __future__ import annotations

import typer

from app.cli import config, dev, doctor, migrate, run
from app.cli.executions import executions
from app.cli.flows import flows
from app.cli.node_types import nodes
from app.cli.secrets import secrets
from app.cli.tokens import tokens

cli = typer.Typer(
    name="chaingraph",
    help="Runs ChainGraph flows durably, on Celery, PostgreSQL and Redis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
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
