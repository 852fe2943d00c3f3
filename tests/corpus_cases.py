"""The reference outcomes in `tests/corpus/`, unpacked; what is missing fails, never skips."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDERS = ("hand", "random", "exports")

_CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class ExpectedNode:
    """What became of a node: its status in the words of the original, its outputs by port."""

    status: str
    outputs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One flow and what the original engine made of it.

    `event` is the external event `{eventName, payload}`, or None; `emitted` the events that it
    emitted, `[{type, data}]` in order.
    """

    name: str
    folder: str
    about: str
    flow: dict[str, Any]
    event: dict[str, Any] | None
    nodes: dict[str, ExpectedNode]
    emitted: list[dict[str, Any]]
    flow_event: str

    @property
    def node_types(self) -> set[str]:
        """The types of its nodes."""
        return {node["type"] for node in self.flow["nodes"]}


@cache
def load_cases(folder: str) -> tuple[Case, ...]:
    """The cases of a folder in the order of its index.

    Raises AssertionError if they aren't those that the index counts.
    """
    packed = json.loads(lzma.decompress((_CORPUS / f"{folder}.json.xz").read_bytes()))
    index, files = packed["index"], packed["cases"]
    listed = [entry["file"] for entry in index["files"]]
    assert sorted(listed) == sorted(files), f"{folder}: the index lists other files"
    cases = tuple(_case(folder, files[name]) for name in listed)
    assert len(cases) == index["cases"], f"{folder}: {len(cases)} cases, not {index['cases']}"
    _check_counts(folder, cases, index)
    return cases


def all_cases() -> tuple[Case, ...]:
    """The cases of all folders."""
    return tuple(case for folder in FOLDERS for case in load_cases(folder))


def _case(folder: str, raw: dict[str, Any]) -> Case:
    expected = raw["expected"]
    nodes = {
        node_id: ExpectedNode(node["status"], node.get("outputs", {}))
        for node_id, node in expected["nodes"].items()
    }
    return Case(
        name=raw["name"],
        folder=folder,
        about=raw["about"],
        flow=raw["flow"],
        event=raw["eventData"],
        nodes=nodes,
        emitted=expected.get("emitted", []),
        flow_event=expected["flowEvent"],
    )


def _check_counts(folder: str, cases: tuple[Case, ...], index: dict[str, Any]) -> None:
    counted = {
        "nodes": sum(len(case.flow["nodes"]) for case in cases),
        "edges": sum(len(case.flow["edges"]) for case in cases),
        "statuses": dict(Counter(node.status for case in cases for node in case.nodes.values())),
        "types": dict(Counter(node["type"] for case in cases for node in case.flow["nodes"])),
    }
    for name, count in counted.items():
        assert count == index[name], f"{folder}: {name} are {count}, not {index[name]}"
