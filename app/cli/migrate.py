"""`chaingraph migrate`: bring the database's schema up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.output import AsJson, print_json
from app.config import load_settings

Generate = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Write a migration from the database to the tables."),
]
Check = Annotated[
    bool, typer.Option("--check", help="Change nothing; exit with 1 unless all is up to date.")
]


def migrate(*, generate: Generate = None, check: Check = False, as_json: AsJson = False) -> None:
    """Bring the schema up to date. Concurrent calls wait for one another."""
    if generate is not None and check:
        raise typer.BadParameter("--generate writes, --check doesn't: give one of them")
    database_url = load_settings().database_url
    if generate is not None:
        _generate(database_url, generate, as_json=as_json)
    elif check:
        _check(database_url, as_json=as_json)
    else:
        _upgrade(database_url, as_json=as_json)


def _upgrade(database_url: str, *, as_json: bool) -> None:
    from app.cli import schema

    was = schema.upgrade(database_url)
    if as_json:
        print_json({"from": was.present, "to": was.wanted})
    elif was.is_ahead:
        typer.echo(f"The schema is {was.present}, and runs the code of {was.wanted}, too")
    elif was.is_current:
        typer.echo(f"The schema is up to date: {was.wanted}")
    else:
        typer.echo(f"The schema went from {was.present or 'nothing'} to {was.wanted}")


def _check(database_url: str, *, as_json: bool) -> None:
    from app.cli import schema

    found = schema.revisions(database_url)
    fault = schema.differences(database_url) if found.is_current else "migrations are missing"
    if as_json:
        print_json({"present": found.present, "wanted": found.wanted, "fault": fault})
    else:
        typer.echo(f"The schema is not up to date: {fault}" if fault else "The schema is current")
    if fault is not None:
        raise typer.Exit(1)


def _generate(database_url: str, name: str, *, as_json: bool) -> None:
    from app.cli import schema

    path = str(schema.generate(database_url, name))
    if as_json:
        print_json({"path": path})
    else:
        typer.echo(f"Wrote {path}: read it, then run `chaingraph migrate`")
