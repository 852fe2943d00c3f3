"""`chaingraph migrate`: bring the database's schema up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from app.cli.output import AsJson, print_json
from app.config import load_settings

_NAMES = ("DATABASE_URL", "DATABASE_URL_EXECUTIONS")


def _name(given: str | None) -> str | None:
    if given is not None and not given.strip():
        raise typer.BadParameter("names nothing")
    return given


Generate = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=_name,
        help="Write a migration from the database to the tables.",
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Change nothing; exit with 1 unless all is up to date.")
]


def migrate(*, generate: Generate = None, check: Check = False, as_json: AsJson = False) -> None:
    """Bring the schema up to date, of both databases where there are two.

    Concurrent calls wait for one another.
    """
    if generate is not None and check:
        raise typer.BadParameter("--generate writes, --check doesn't: give one of them")
    settings = load_settings()
    databases = dict(zip(_NAMES, settings.database_urls, strict=False))
    if generate is not None:
        # From one of them: two have the same tables.
        _generate(settings.database_url, generate, as_json=as_json)
    elif check:
        _check(databases, as_json=as_json)
    else:
        _upgrade(databases, as_json=as_json)


def _upgrade(databases: Mapping[str, str], *, as_json: bool) -> None:
    from app.cli import schema

    found = {}
    for name, url in databases.items():
        was = schema.upgrade(url)
        found[name] = {"from": was.present, "to": was.wanted}
        if as_json:
            continue
        if was.is_ahead:
            typer.echo(
                f"{_named(name, databases)} is {was.present}, and runs the code of {was.wanted}, too"
            )
        elif was.is_current:
            typer.echo(f"{_named(name, databases)} is up to date: {was.wanted}")
        else:
            typer.echo(
                f"{_named(name, databases)} went from {was.present or 'nothing'} to {was.wanted}"
            )
    if as_json:
        _print_found(found)


def _check(databases: Mapping[str, str], *, as_json: bool) -> None:
    found = {name: _checked(url) for name, url in databases.items()}
    if as_json:
        _print_found(found)
    else:
        for name, each in found.items():
            fault = each["fault"]
            says = f"is not up to date: {fault}" if fault else "is current"
            typer.echo(f"{_named(name, databases)} {says}")
    if any(each["fault"] for each in found.values()):
        raise typer.Exit(1)


def _checked(database_url: str) -> dict[str, str | None]:
    from app.cli import schema

    found = schema.revisions(database_url)
    fault = schema.differences(database_url) if found.is_current else "migrations are missing"
    return {"present": found.present, "wanted": found.wanted, "fault": fault}


def _named(name: str, databases: Mapping[str, str]) -> str:
    return "The schema" if len(databases) == 1 else f"The schema of {name}"


def _print_found(found: dict[str, dict[str, str | None]]) -> None:
    """That of DATABASE_URL, and in it that of executions where it is another."""
    first, *apart = found.values()
    print_json({**first, **({"executions": apart[0]} if apart else {})})


def _generate(database_url: str, name: str, *, as_json: bool) -> None:
    from app.cli import schema

    path = str(schema.generate(database_url, name))
    if as_json:
        print_json({"path": path})
    else:
        typer.echo(f"Wrote {path}: read it, then run `chaingraph migrate`")
