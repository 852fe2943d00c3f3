"""What a node's docstring says: its description, and a word on each port."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

_PORTS = re.compile(r"^Ports:\s*", re.MULTILINE)
_NAME = re.compile(r"`([^`\s]+)`")


@dataclass(frozen=True, slots=True)
class NodeText:
    """A docstring, taken apart."""

    description: str
    ports: Mapping[str, str]


def read_docstring(docstring: str | None) -> NodeText:
    """Take a docstring apart; what follows `Ports:` describes the ports.

    "Ports: `text` to repeat, `times` 1..10." gives {"text": "to repeat", "times": "1..10"}.
    """
    text = inspect.cleandoc(docstring or "")
    description, *rest = _PORTS.split(text, maxsplit=1)
    return NodeText(_folded(description), _ports(rest[0]) if rest else {})


def _ports(text: str) -> dict[str, str]:
    names = list(_NAME.finditer(text))
    ends = [after.start() for after in names[1:]] + [len(text)]
    return {
        name[1]: _folded(text[name.end() : end]).strip(" ,;:.-·")
        for name, end in zip(names, ends, strict=True)
    }


def _folded(text: str) -> str:
    return " ".join(text.split())
