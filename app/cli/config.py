"""`chaingraph config`: every setting, its value, and where that comes from."""

from __future__ import annotations

import typer

from app.cli.output import AsJson, print_json
from app.config import DescribedSetting, load_settings


def config(*, as_json: AsJson = False) -> None:
    """Print all settings with their source, secrets masked."""
    described = list(load_settings().describe())
    if as_json:
        print_json([setting._asdict() for setting in described])
    else:
        _print_columns(described)


def _print_columns(described: list[DescribedSetting]) -> None:
    names = max(len(setting.name) for setting in described)
    values = max(len(setting.value) for setting in described)
    for name, value, source in described:
        # Bold where something is set; `echo` drops that when nobody looks.
        line = f"{name:<{names}}  {value:<{values}}  {source}"
        typer.echo(typer.style(line, bold=source != "default"))
