"""Who tells processes and watchers what a run did beyond itself. All of it may be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.store.records import Effect


class Herald(Protocol):
    """Tells what is committed to whoever it concerns."""

    def tell(self, effect: Effect, command: str) -> None:
        """Publish the events of an effect, and wake the processes that it concerns."""
        ...

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Tell workers that these may be claimed."""
        ...

    def wake(self, execution_id: str, owner: str | None) -> None:
        """Something arrived for an execution: have its owner look, or any worker without one."""
        ...


class Silence:
    """Tells nobody: what is to be known is found out."""

    def tell(self, effect: Effect, command: str) -> None:
        """Say nothing."""

    def hint(self, execution_ids: Sequence[str]) -> None:
        """Say nothing."""

    def wake(self, execution_id: str, owner: str | None) -> None:
        """Say nothing."""


SILENCE = Silence()
