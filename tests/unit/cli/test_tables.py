"""Tables for terminals, and for whoever reads them line by line."""

from __future__ import annotations

import sys

import pytest

from app.cli.tables import print_facts, print_table, status_cell

ID = "EX" + "x" * 24


def test_where_nobody_looks_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ID", "STATUS", "WHY"), [(ID, status_cell("failed"), "why " * 100), ("b", "", "")])
    headings, row, short = capsys.readouterr().out.splitlines()
    assert headings.split() == ["ID", "STATUS", "WHY"]
    assert row == f"{ID}  failed  {('why ' * 100).strip()}"
    assert short == "b"
    assert headings.index("STATUS") == row.index("failed")


def test_without_rows_there_are_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("ID", "WHY"), [])
    assert capsys.readouterr().out == "ID  WHY\n"


def test_columns_stand_below_each_other_whatever_script_is_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("NAME", "N"), [("流程", "1"), ("flow", "2")])
    assert capsys.readouterr().out == "NAME  N\n流程  1\nflow  2\n"


def test_a_narrow_terminal_folds_the_last_column_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("ID", "STATUS", "WHY"), [(ID, status_cell("failed"), "because it is so " * 3)])
    _, first, *more = capsys.readouterr().out.splitlines()
    assert ID in first
    assert "\x1b[31mfailed" in first
    assert more
    assert all(line.startswith(" " * len(ID)) for line in more)


def test_nothing_in_a_cell_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(("ID", "WHY"), [(status_cell("\x1b[2J"), "[bold]a[/bold]\r\n\x9b")])
    print_facts([("name", "\x1b[2J"), ("empty", ""), ("status", status_cell("\x07"))])
    assert capsys.readouterr().out == (
        "ID       WHY\n\\x1b[2J  [bold]a[/bold]\\r\\n\\x9b\nname    \\x1b[2J\nstatus  \\x07\n"
    )
