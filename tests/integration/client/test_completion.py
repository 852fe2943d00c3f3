"""What a shell offers for the arguments of `chaingraph`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.root import cli
from app.embedded.ports import free_port
from chaingraph import Client

FLOW: dict[str, Any] = {
    "id": "V2offered",
    "metadata": {"name": "Offered"},
    "nodes": [{"id": "a", "type": "TextNode", "values": {"text": "x"}}],
    "edges": [],
}
#: Or typer would look which shell started the tests.
NAMED_SHELL = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


def offered(*words: str) -> list[str]:
    """What bash is told of the last word."""
    environ = {
        "_CHAINGRAPH_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["chaingraph", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return CliRunner().invoke(cli, prog_name="chaingraph", env=environ).stdout.split()


def test_commands_and_options_are_offered() -> None:
    assert "executions" in offered("exec")
    assert "--follow" in offered("executions", "events", "EX1", "--fo")


def test_ids_and_types_are_those_of_the_server(api_url: str) -> None:
    with Client() as client:
        flow = client.flows.store(FLOW)
        execution = client.executions.create(flow.id)
        client.secrets.store("mine", "x")
    assert offered("executions", "show", "EX") == [execution.id]
    assert offered("executions", "list", "--root", "EX") == [execution.id]
    assert offered("executions", "bulk", "stop", "--id", "EX") == [execution.id]
    assert offered("flows", "show", "V2o") == ["V2offered"]
    assert offered("flows", "show", "V2z") == []
    assert "TextNode" in offered("nodes", "Text")
    assert offered("secrets", "delete", "m") == ["mine"]


def test_without_a_server_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINGRAPH_URL", f"http://127.0.0.1:{free_port()}")
    assert offered("executions", "show", "EX") == []
    monkeypatch.setenv("CHAINGRAPH_URL", "nonsense")
    assert offered("executions", "show", "EX") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(NAMED_SHELL, "1")
    run = CliRunner().invoke
    shown = run(cli, ["--show-completion", shell], prog_name="chaingraph")
    assert f"_CHAINGRAPH_COMPLETE=complete_{shell}" in shown.stdout
    done = run(cli, ["--install-completion", shell], prog_name="chaingraph")
    assert done.exit_code == 0
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_CHAINGRAPH_COMPLETE" in text for text in written)
