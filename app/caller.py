"""Who makes a request, and what that lets them see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `local` is whoever reaches a server that asks for no token.
Role = Literal["user", "admin", "local"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose flows and executions a request is about, and the token that it came with."""

    owner_id: str
    role: Role = "user"
    token_id: str | None = None

    @property
    def scope(self) -> str | None:
        """The owner whose things are in sight; None where everybody's are."""
        return None if self.role == "admin" else self.owner_id

    @property
    def operates(self) -> bool:
        """Whether the caller may take executions from their owners."""
        return self.role != "user"

    def may_see(self, owner_id: str) -> bool:
        """Whether what this owner has is in sight."""
        return self.scope in {None, owner_id}


#: The caller where no tokens are asked for.
LOCAL = Caller("local", "local")
