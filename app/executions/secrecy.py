"""The secrets of one attempt of a node: opened for it, and kept from leaving it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from app.errors import NonRetryableError, StoreUnavailable
from app.executions.hiding import Hidden, sealed_values
from app.executions.secrets import Vault
from app.flows.plan import PlanNode
from app.logs import hiding
from app.nodes.spec import Cancellation
from app.values.ports import Value

#: How long (s) a node waits between two tries to read a secret while the store is away.
WAIT_S = 0.2


class Secrecy:
    """What a node has opened, and what must not leave it: in the node's own thread."""

    __slots__ = ("_hidden", "_node", "_owner", "_vault")

    def __init__(self, vault: Vault | None, owner: str, node: PlanNode) -> None:
        self._vault = vault
        self._owner = owner
        self._node = node
        self._hidden: Hidden | None = None

    def taken_in(self, inputs: Mapping[str, Value]) -> Mapping[str, Value]:
        """What the node is given: also a secret that came in the clear is one that it has to open.

        Who makes a child execution, say, may lay anything over its inputs.
        """
        if self._vault is None or not self._node.holds_secrets:
            return inputs
        # Of a sealed object parts may be in the clear: its node puts them together.
        ports = {port: config for port, config in self._node.ports.items() if not config.sealed}
        return sealed_values(ports, inputs, partial(self._vault.seal, self._owner))

    def open(self, secret: Value, cancelled: Cancellation, check: Callable[[], None]) -> Value:
        """Open a secret; while the store is away, wait until `check` raises.

        Raises NonRetryableError where there is none, or where it can't be opened here.
        """
        if self._vault is None:
            raise NonRetryableError("there are no secrets here")
        while True:
            try:
                data = self._vault.open(self._owner, secret)
                break
            except StoreUnavailable:
                cancelled.wait(WAIT_S)
                check()
        if self._hidden is None:
            self._hidden = Hidden()
        self._hidden.add(data)
        # The log of this thread, too.
        hiding.set(self._hidden.text)
        return data

    def end(self) -> None:
        """The node has ended: its thread will run another."""
        if self._hidden is not None:
            hiding.set(None)

    def hide(self, value: Value) -> Any:
        """The value with masks in the place of what was opened."""
        return value if self._hidden is None else self._hidden.value(value)

    def hide_in_error(self, error: BaseException) -> BaseException:
        """The same for an error's message."""
        return error if self._hidden is None else self._hidden.error(error)

    def handed_out(self, outputs: Mapping[str, Value]) -> Mapping[str, Value]:
        """What may leave the node: secrets sealed where they belong, masked anywhere else."""
        if self._vault is not None and self._node.holds_secrets:
            seal = partial(self._vault.seal, self._owner)
            outputs = sealed_values(self._node.ports, outputs, seal)
        if self._hidden is None:
            return outputs
        return {port: self._hidden.value(value) for port, value in outputs.items()}
