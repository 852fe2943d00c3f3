"""What docs/python.md and the README show of the client runs, and prints what they say."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path

from app.client.client import AsyncClient
from app.client.methods import Group, listing, method, stream
from chaingraph import Client

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / "docs" / "python.md"

CODE = re.compile(r"```python\n(.*?)```(?:\n\n```\n(.*?)```)?", re.DOTALL)


def section(document: Path, heading: str) -> str:
    return document.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]


def printed_by(code: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        program = compile(code, "documented.py", "exec", dont_inherit=True)
        exec(program, {"__name__": "documented"})
    return out.getvalue()


def test_the_examples_print_what_is_told(api_url: str) -> None:
    shown = CODE.findall(section(PYTHON, "The client"))
    assert len(shown) == 3
    # One after the other: the second greets with the flow that the first stored.
    for code, told in shown:
        assert told
        assert printed_by(code) == told


def test_the_client_of_the_readme_runs(api_url: str) -> None:
    text = section(ROOT / "README.md", "A flow of your own")
    [(_, flow)] = re.findall(r"<<'(END)'\n(.*?)END\n", text, re.DOTALL)
    with Client() as client:
        client.flows.store(json.loads(flow))
    [(code, _)] = CODE.findall(text)
    assert printed_by(code).splitlines()[-1] == "{'greet': {'renderedText': 'Hello Grace'}}"


def test_every_call_is_told() -> None:
    there = {
        f"{name}.{call}"
        for name, group in vars(AsyncClient("http://localhost")).items()
        if isinstance(group, Group) and not name.startswith("_")
        for call, made in vars(type(group)).items()
        if isinstance(made, method | listing | stream)
    }
    table = PYTHON.read_text().partition("<!-- client -->")[2].partition("<!-- /client -->")[0]
    told = re.findall(r"^\| `client\.(\w+\.\w+)\(", table, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == there
