"""What a node's docstring says: its description, and a word on each port."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from dataclasses import dataclass

_PORTS = re.compile(r"^Ports:\s*", re.MULTILINE)
#: A port's entry begins the text or follows a mark; within an entry a name is just a word.
_ENTRY = re.compile(r"(?:\A|[,;.:]\s+)`([^`\s]+)`")


@dataclass(frozen=True, slots=True)
class NodeText:
    """A docstring, taken apart: what it says of the node, and all that it says of ports."""

    description: str
    ports: str

    def of_ports(self, names: Collection[str]) -> dict[str, str]:
        """Give what is said of each port; a word in backticks that names none is just a word."""
        entries = [match for match in _ENTRY.finditer(self.ports) if match[1] in names]
        ends = [after.start() for after in entries[1:]] + [len(self.ports)]
        return {
            entry[1]: _folded(self.ports[entry.end() : end]).strip(" ,;:.")
            for entry, end in zip(entries, ends, strict=False)
        }


def read_docstring(docstring: str | None) -> NodeText:
    """Take a docstring apart; what follows `Ports:` describes the ports.

    "Ports: `text` to repeat, `times` 1..10." says "to repeat" of text and "1..10" of times.
    """
    text = inspect.cleandoc(docstring or "")
    description, *rest = _PORTS.split(text, maxsplit=1)
    return NodeText(_folded(description), rest[0] if rest else "")


def _folded(text: str) -> str:
    return " ".join(text.split())
