"""`chaingraph tokens`: make tokens for callers of the API, list and revoke them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.arguments import text
from app.cli.output import AsJson, print_json, say
from app.cli.tables import print_table
from app.cli.words import moment
from app.config import load_settings

tokens = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke tokens for AUTH_ENABLED=true, in the database of DATABASE_URL.",
)

HEADINGS = ("ID", "NAME", "ROLE", "OWNER", "CREATED", "REVOKED")

#: Names and owners are shown in tables and stored in rows of others.
MAX_LENGTH = 255


class Role(StrEnum):
    """What a token may see: everything, or what its owner has."""

    ADMIN = "admin"
    USER = "user"


def _name(given: str | None) -> str | None:
    if given is None:
        return None
    if not given.strip() or len(given) > MAX_LENGTH or not given.isprintable():
        raise typer.BadParameter(f"must be 1 to {MAX_LENGTH} characters that can be printed")
    return text(given)


Name = Annotated[str, typer.Argument(metavar="NAME", callback=_name, help="What the token is for.")]
WhichRole = Annotated[
    Role, typer.Option("--role", help="admin sees everything, user what the owner has.")
]
Owner = Annotated[
    str | None,
    typer.Option(callback=_name, help="Whose flows and executions.", show_default="NAME"),
]
Which = Annotated[str, typer.Argument(metavar="NAME|ID", callback=text)]


@tokens.command()
def create(
    name: Name, *, role: WhichRole = Role.USER, owner: Owner = None, as_json: AsJson = False
) -> None:
    """Make a token and show it: this once, since only its hash is stored.

    What was stored before there were tokens belongs to the owner `local`.
    """
    from app.cli import token_table

    made, secret = token_table.create(load_settings().database_url, name, owner or name, role.value)
    if as_json:
        print_json({**made.as_json(), "token": secret})
        return
    typer.echo(secret)
    say(f"{made.role} token '{made.name}' of the owner '{made.owner_id}', id {made.id}.")
    say("It is not shown again: set it as CHAINGRAPH_TOKEN where it is used.")


@tokens.command("list")
def list_tokens(*, as_json: AsJson = False) -> None:
    """List tokens, newest first, revoked ones too."""
    from app.cli import token_table

    shown = token_table.tokens(load_settings().database_url)
    if as_json:
        print_json([each.as_json() for each in shown])
        return
    rows = (
        (
            each.id,
            each.name,
            each.role,
            each.owner_id,
            moment(each.created_at),
            moment(each.revoked_at),
        )
        for each in shown
    )
    print_table(HEADINGS, rows)


@tokens.command()
def revoke(which: Which, *, as_json: AsJson = False) -> None:
    """Revoke a token by its name or id: within seconds no API process takes it any more."""
    from app.cli import token_table

    revoked = token_table.revoke(load_settings().database_url, which)
    if as_json:
        print_json(revoked.as_json())
    else:
        typer.echo(f"The token '{revoked.name}', id {revoked.id}, is revoked")
