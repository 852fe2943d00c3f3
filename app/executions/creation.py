"""Creating executions once, however often the request for them comes: idempotency keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.caller import Caller
from app.errors import Fault, ValidationFailed
from app.executions.service import ExecutionService, NewExecution
from app.store.keys import KeyTable, KnownRequest, RequestKey
from app.values.ports import Value


@dataclass(frozen=True, slots=True)
class Created:
    """The request was the first under its key: the executions that it created."""

    executions: Sequence[dict[str, Value]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """The request had been carried out before: the ids of what it created then."""

    execution_ids: Sequence[str]


class KeyedCreation:
    """Creates under a key. Every method may raise StoreUnavailable."""

    def __init__(self, executions: ExecutionService, keys: KeyTable) -> None:
        self._executions = executions
        self._keys = keys

    def create(
        self,
        key: RequestKey,
        requests: Sequence[NewExecution],
        caller: Caller,
        pointer: Callable[[int], str],
    ) -> Created | Replayed:
        """Create executions as `ExecutionService.create` does, if their key is new.

        A refused request leaves no key. Raises NotFound, Forbidden, ValidationFailed; the last
        also where the key was sent with another body.
        """
        while (known := self._keys.find(key)) is None:
            rows = self._executions.prepare(requests, caller, pointer)
            at = self._keys.create(key, rows)
            if at is not None:
                return Created(self._executions.announce(rows, at))
        return replayed(key, known)


def other_body() -> ValidationFailed:
    """What is raised where a key was sent before, with another body."""
    message = "the header Idempotency-Key was sent before with another body"
    return ValidationFailed([Fault("", message)])


def replayed(key: RequestKey, known: KnownRequest) -> Replayed:
    """What was created under the key. Raises ValidationFailed where the body was another."""
    if known.body_hash != key.body_hash:
        raise other_body()
    return Replayed(known.created_ids)
