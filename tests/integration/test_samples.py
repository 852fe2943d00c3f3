"""Sample flows are stored once, and again when their file changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.samples import SampleRefused, load_samples
from app.client import Client


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    directory = tmp_path / "samples"
    directory.mkdir()
    write(directory, "named", flow("Named", id="V2named"))
    write(directory, "unnamed", flow("Unnamed"))
    return directory


def flow(name: str, **more: Any) -> dict[str, Any]:
    nodes = [{"id": "a", "type": "TextNode", "values": {"text": name}}]
    return {"metadata": {"name": name}, "nodes": nodes, "edges": [], **more}


def write(directory: Path, name: str, document: dict[str, Any]) -> None:
    (directory / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def client(api_url: str) -> Iterator[Client]:
    with Client(api_url) as client:
        yield client


def test_a_repeated_load_stores_nothing_new(client: Client, samples: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    stored = load_samples(client.base_url, samples, notes)
    assert stored[0] == "V2named"
    assert {each.id for each in client.flows.list()} == set(stored)
    assert load_samples(client.base_url, samples, notes) == []
    assert {each.version for each in client.flows.list()} == {1}


def test_a_changed_file_and_a_lost_flow_are_stored_again(
    client: Client, samples: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.json"
    load_samples(client.base_url, samples, notes)
    write(samples, "unnamed", flow("Changed"))
    [changed] = load_samples(client.base_url, samples, notes)
    assert client.flows.get(changed).name == "Changed"
    client.flows.hide("V2named")
    assert load_samples(client.base_url, samples, notes) == ["V2named"]


def test_without_samples_there_is_nothing_to_do(api_url: str, tmp_path: Path) -> None:
    assert load_samples(api_url, tmp_path / "none", tmp_path / "notes.json") == []


def test_a_sample_that_is_refused_is_named(api_url: str, samples: Path, tmp_path: Path) -> None:
    write(samples, "broken", {"nodes": []})
    with pytest.raises(SampleRefused, match=r"broken\.json was refused with 422"):
        load_samples(api_url, samples, tmp_path / "notes.json")
