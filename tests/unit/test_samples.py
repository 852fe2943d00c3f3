"""The sample flows can be stored without a warning, and are told of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.config import load_settings
from app.embedded.echo import LONGEST_DELAY_MS
from app.flows.compile import prepare
from app.nodes.registry import load_catalogue

DIRECTORY = Path(__file__).parents[2] / "samples"
FILES = sorted(DIRECTORY.glob("*.json"))


def document(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def test_there_are_samples() -> None:
    assert {path.stem for path in FILES} >= {
        "greeting",
        "order",
        "fan-out",
        "long",
        "handled-failure",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_is_a_flow_without_fault_or_warning(path: Path) -> None:
    assert not prepare(document(path), load_catalogue()).warnings


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_says_what_it_is_and_what_comes_out(path: Path) -> None:
    metadata = document(path)["metadata"]
    assert metadata["description"]
    assert metadata["outputs"]
    assert path.name in (DIRECTORY / "README.md").read_text()


def test_the_ids_differ() -> None:
    ids = [document(path)["id"] for path in FILES]
    assert len(set(ids)) == len(ids)


def test_the_calls_go_to_the_echo_address_as_it_is_by_default() -> None:
    port = load_settings({}).dev_echo_port
    for name in ("fan-out", "long"):
        values = [node.get("values", {}) for node in document(DIRECTORY / f"{name}.json")["nodes"]]
        assert {"text": f"http://127.0.0.1:{port}"} in values


def test_the_long_one_takes_a_minute() -> None:
    nodes = document(DIRECTORY / "long.json")["nodes"]
    [path] = [node["values"]["text"] for node in nodes if node["id"] == "path"]
    delay_ms = int(path.partition("delayMs=")[2])
    steps = [node for node in nodes if node["type"] == "HttpRequestNode"]
    assert delay_ms <= LONGEST_DELAY_MS
    assert len(steps) * delay_ms == 60_000
