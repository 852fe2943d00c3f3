"""How far retention came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: An execution among all by age: when it was created, and its id.
Place = tuple[datetime, str]


@dataclass(frozen=True, slots=True)
class Deleted:
    """What retention did: how many roots are gone, and the last execution that it looked at.

    None once it has looked at all.
    """

    gone: int
    last: Place | None
