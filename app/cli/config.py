"""`chaingraph config`: every setting, its value, and where that comes from."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from app.cli.output import AsJson, print_json
from app.config import DescribedSetting, load_settings


def config(*, as_json: AsJson = False) -> None:
    """Print all settings with their source, secrets masked."""
    described = list(load_settings().describe())
    if as_json:
        print_json([setting._asdict() for setting in described])
    else:
        _print_table(described)


def _print_table(described: list[DescribedSetting]) -> None:
    table = Table("setting", "value", "source", box=box.SIMPLE_HEAD)
    for setting in described:
        table.add_row(*setting, style=None if setting.source == "default" else "bold")
    Console(soft_wrap=True).print(table)
