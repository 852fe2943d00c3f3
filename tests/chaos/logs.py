"""What the processes complained of in their logs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

#: A line of a log at level error or above: what it says, without what belongs to one time.
_ERROR = re.compile(r"\[(?:error|critical) *\] (.+)$")
_FIELDS = re.compile(r" \[[\w.]+\].*$")
_PARTICULAR = re.compile(r"\b(?=\w*\d)\w+\b")
LONGEST = 100


def errors(directory: Path) -> Counter[str]:
    """How often the logs in a directory tell of each kind of error."""
    found: Counter[str] = Counter()
    for log in directory.glob("*.log"):
        for line in log.read_text(errors="replace").splitlines():
            if match := _ERROR.search(line):
                found[kind_of(match[1])] += 1
    return found


def kind_of(message: str) -> str:
    """A message without ids, numbers and fields."""
    return _PARTICULAR.sub("…", _FIELDS.sub("", message))[:LONGEST]
