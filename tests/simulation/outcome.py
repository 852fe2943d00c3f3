"""How a schedule went, and what two runs of it are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256


@dataclass(frozen=True)
class Outcome:
    """How a schedule went. `digest` is that of all lines of its trace."""

    seed: int
    steps: int
    executions: int
    violation: BaseException | None
    trace: Sequence[str]
    digest: str

    def without_trace(self) -> Outcome:
        """The same, small."""
        return replace(self, trace=())


def digest_of(lines: Iterable[str]) -> str:
    """A short name for a text: another text has another."""
    return sha256("\n".join(lines).encode()).hexdigest()[:12]
