"""Reads tests/data/node_library.txt: which node types there are to be, with which ports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.values.ports import MISSING, Missing, Value

TABLE = Path(__file__).parent / "data" / "node_library.txt"

_PORT = re.compile(
    r"""  (?P<direction>in|pass|out)[ ] (?P<id>[\w-]+) (?P<required>\*?) :[ ]
        (?P<type>\w+) (?: \((?P<options>[^)]*)\) | <(?P<item>\w+) (?: \{(?P<fields>[^}]*)\} )? >
                        | \{(?P<properties>[^}]*)\} )?
        (?P<open>~?) (?: [ ]=[ ] (?P<default>.*) )?""",
    re.VERBOSE,
)
_DIRECTIONS = {"in": "input", "pass": "passthrough", "out": "output"}


@dataclass(frozen=True, slots=True)
class ExpectedPort:
    """One port; what the table doesn't say is None, MISSING or empty."""

    direction: str
    type: str
    required: bool
    is_open: bool
    default: Value | Missing
    options: tuple[str, ...]
    item: str | None
    properties: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpectedType:
    """One node type and its ports in order."""

    category: str
    name: str
    ports: dict[str, ExpectedPort] = field(default_factory=dict)


def expected_types() -> dict[str, ExpectedType]:
    """The table by node type, in its order. Raises ValueError for a line that is none of it."""
    return {found.name: found for found in _read(TABLE.read_text().splitlines())}


def _read(lines: list[str]) -> Iterator[ExpectedType]:
    category, found = "", None
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            category = line.strip("[]")
        elif not line.startswith(" "):
            found = ExpectedType(category, line)
            yield found
        else:
            port = _PORT.fullmatch(line.strip())
            if port is None or found is None:
                raise ValueError(line)
            found.ports[port["id"]] = _port(port)


def _port(found: re.Match[str]) -> ExpectedPort:
    return ExpectedPort(
        direction=_DIRECTIONS[found["direction"]],
        type=found["type"],
        required=bool(found["required"]),
        is_open=bool(found["open"]),
        default=MISSING if found["default"] is None else json.loads(found["default"]),
        options=tuple((found["options"] or "").split()),
        item=found["item"],
        properties=tuple((found["properties"] or found["fields"] or "").split()),
    )
