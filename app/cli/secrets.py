"""`chaingraph secrets`: store, list and delete secrets, and move them to a new SECRET_KEY."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from app.cli import completion
from app.cli.arguments import text
from app.cli.connection import connect
from app.cli.output import AsJson, print_json, print_raw, print_raw_list, say
from app.cli.tables import print_table
from app.cli.words import moment
from app.client import Client, Secret
from app.config import load_settings
from app.errors import SettingsError

secrets = typer.Typer(
    no_args_is_help=True, help="Store secrets for nodes; what they hold is never shown."
)

HEADINGS = ("ID", "NAME", "TYPE", "UPDATED")

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", callback=text, show_default=False, autocompletion=completion.secrets
    ),
]
Which = Annotated[
    str,
    typer.Argument(
        metavar="NAME|ID", callback=text, show_default=False, autocompletion=completion.secrets
    ),
]
SecretType = Annotated[
    str, typer.Option("--type", callback=text, help="What it is for, such as openai.")
]


@secrets.command("set")
def set_secret(
    name: Name,
    *,
    secret_type: SecretType = "string",  # noqa: S107 — the name of a type
    as_json: AsJson = False,
) -> None:
    """Store a secret under a name, or replace the one that has it.

    It is read from standard input, on a terminal without being shown; an argument would stay in
    the shell's history. What is a JSON object is stored as such.
    """
    data = _read_data()
    with connect() as client:
        found = _find(client, name)
        if found is None:
            stored = client.secrets.store(name, data, secret_type)
        else:
            stored = client.secrets.replace(found.id, found.name, data, secret_type)
    if as_json:
        print_raw(stored)
    else:
        typer.echo(f"The secret '{stored.name}' is stored, id {stored.id}")


@secrets.command("list")
def list_secrets(*, as_json: AsJson = False) -> None:
    """List secrets, newest first."""
    with connect() as client:
        shown = list(client.secrets.list())
    if as_json:
        print_raw_list(shown)
        return
    rows = ((each.id, each.name, each.secret_type, moment(each.updated_at)) for each in shown)
    print_table(HEADINGS, rows)


@secrets.command()
def delete(which: Which, *, as_json: AsJson = False) -> None:
    """Delete a secret by its name or id. A node that still refers to it will fail."""
    with connect() as client:
        found = _find(client, which)
        if found is None:
            say(f"chaingraph: there is no secret '{which}'")
            raise typer.Exit(1)
        client.secrets.delete(found.id)
    if as_json:
        print_raw(found)
    else:
        typer.echo(f"The secret '{found.name}', id {found.id}, is deleted")


@secrets.command()
def rotate(*, as_json: AsJson = False) -> None:
    """Encrypt everything in the database anew, under SECRET_KEY instead of SECRET_KEY_OLD.

    All processes must have both keys by then. Afterwards restart them all with both, as they may
    still hold what is under the old one, and call this again until it reports 0 rows: then nothing
    needs the old key. Ends with 1 where something was left that neither of them opens.
    """
    from app.cli import rotation
    from app.vault import Keyring

    settings = load_settings()
    if settings.secret_key is None or settings.secret_key_old is None:
        raise SettingsError(
            "secrets rotate needs both keys: SECRET_KEY the new one, SECRET_KEY_OLD the one that"
            " it replaces"
        )
    keyring = Keyring(settings.secret_key, settings.secret_key_old)
    # The one of flows first: what is copied from it meanwhile is found in the other.
    rotated = rotation.rotate(settings.database_urls, keyring)
    if as_json:
        print_json({"rewritten": rotated.rewritten, "unreadable": rotated.unreadable})
    else:
        typer.echo(f"{rotated.rewritten} rows are under SECRET_KEY now")
    if rotated.unreadable:
        say(f"chaingraph: {len(rotated.unreadable)} rows hold what neither key opens:")
        for row in rotated.unreadable:
            say(f"  {row}")
        raise typer.Exit(1)


def _read_data() -> Any:
    given = (
        typer.prompt("Secret", hide_input=True)
        if sys.stdin.isatty()
        else sys.stdin.read().removesuffix("\n")
    )
    try:
        parsed = json.loads(given)
    except ValueError:
        return given
    return parsed if isinstance(parsed, dict) else given


def _find(client: Client, which: str) -> Secret | None:
    """The secret of this id, else of this name."""
    found = [each for each in client.secrets.list() if which in (each.id, each.name)]
    return next((each for each in found if each.id == which), found[0] if found else None)
