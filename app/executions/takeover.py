"""Having another process go on with an execution because a caller asks for it."""

from __future__ import annotations

from app.caller import Caller
from app.errors import Conflict, Forbidden
from app.executions.effects import Effects
from app.executions.service import ExecutionService
from app.store.takeovers import TakeoverTable
from app.values.ports import Value


class Takeover:
    """The recovery that a caller asks for. Every method may raise StoreUnavailable."""

    def __init__(
        self, executions: ExecutionService, takeovers: TakeoverTable, effects: Effects
    ) -> None:
        self._executions = executions
        self._takeovers = takeovers
        self._effects = effects

    def recover(self, execution_id: str, caller: Caller) -> dict[str, Value]:
        """Give up the present owner; another goes on from the last checkpoint.

        It counts as no failure. Raises Forbidden, NotFound, and Conflict where the
        execution is final.
        """
        if not caller.operates:
            raise Forbidden("Only an admin may recover executions.")
        self._executions.get(execution_id, caller)
        effect = self._takeovers.take_over(execution_id, f"api:{caller.owner_id}", caller)
        shown = self._executions.get(execution_id, caller)
        if effect is None:
            raise Conflict(f"Cannot recover execution in status {shown['status']}")
        self._effects.tell(effect, "recover")
        if (shown["waiting"] or {}).get("for") == "worker":
            self._effects.hint([execution_id])
        return shown
