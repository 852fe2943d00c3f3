"""Trying a node from Python: one run in the calling thread, its inputs checked as a flow's are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import SystemRandom
from secrets import token_hex
from typing import Any

from app.caller import Caller
from app.engine import Engine, RunOptions, Start, Wiring
from app.errors import Fault, NodeError, NodeTimeout, ValidationFailed
from app.events.types import Event, EventType
from app.executions.secrets import OwnersVault, SecretService, Vault
from app.flows import prepare, seal_document
from app.ids import EXECUTION_PREFIX, FLOW_PREFIX, id_source
from app.local.database import MemoryDatabase
from app.local.steps import OWNER_ID, AttemptTime, facts_of, run_step
from app.local.trial import NodeFunction, catalogue_with, local_settings, naming_faults, spec_for
from app.nodes.calling import CallingFlow
from app.nodes.emission import Emission
from app.nodes.fan_out import FanningOut
from app.nodes.signal import PAYLOAD, TIMED_OUT, AwaitingSignal
from app.nodes.spec import Catalogue
from app.nodes.timer import Sleeping
from app.store.secrets import SecretStore
from app.values.ports import Value
from app.vault import Keyring

NODE_ID = "node"
#: How long (ms) a node may wait in all, unless it says so itself.
TIMEOUT_MS = 3_600_000


@dataclass(frozen=True, eq=False)
class NodeRun(Mapping[str, Value]):
    """What a node gave by port, what it said meanwhile, and the events that it emitted.

    As a mapping, what it gave.
    """

    outputs: Mapping[str, Value]
    logs: Sequence[str]
    progress: Sequence[float]
    emitted: Sequence[Emission] = ()

    def __getitem__(self, port: str) -> Value:
        """What the node gave there."""
        return self.outputs[port]

    def __iter__(self) -> Iterator[str]:
        """The ports at which it gave something."""
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


def run_node(
    target: NodeFunction | str,
    inputs: Mapping[str, Any] | None = None,
    /,
    *,
    integration: Mapping[str, Value] | None = None,
    secrets: Mapping[str, Value] | None = None,
    attempt: int = 1,
    **ports: Any,
) -> NodeRun:
    """Run one node once.

    `target` is a decorated function or class, or the name of a node type; `inputs` are `{port
    id or path: value}`, and so are further keywords; `secrets` are those that are stored, by name.
    What the node raises is raised. Time that it lets pass is not waited for: `ctx.sleep` comes back
    at once, and SleepNode gives what it will give then; a signal comes to none. Raises
    ValidationFailed, which names each fault, for inputs that can't be.
    """
    own = () if isinstance(target, str) else (target,)
    type_ = target if isinstance(target, str) else spec_for(target).type
    values = {**(inputs or {}), **ports}
    vault = _vault(secrets or {})
    start, given = _start(type_, values, catalogue_with(local_settings(), own), vault)
    said: list[Event] = []
    time = AttemptTime(start.node.timeout_ms or TIMEOUT_MS)
    execution_id = id_source(SystemRandom())(EXECUTION_PREFIX)
    ended = run_step(
        start._replace(attempt=attempt),
        given,
        facts_of(execution_id, integration or {}),
        tell=said.append,
        time=time,
        vault=vault,
    )
    if time.is_set():
        raise NodeTimeout(f"not done within {time.limit_ms:g} ms")
    return NodeRun(
        _outputs(ended.outputs, ended.error),
        [str(each.data["log"]) for each in said if each.type is EventType.NODE_DEBUG_LOG],
        [each.data["progress"] for each in said if each.type is EventType.NODE_PROGRESS],
        tuple(ended.emitted),
    )


def _vault(secrets: Mapping[str, Value]) -> OwnersVault:
    """One of this run's own, with these secrets in it."""
    store = SecretStore(MemoryDatabase(lambda: datetime.now(UTC)))
    keyring = Keyring(token_hex(32))
    service = SecretService(store, keyring, id_source(SystemRandom()))
    for name, data in secrets.items():
        service.store(Caller(OWNER_ID), name, "string", data)
    return OwnersVault(keyring, store)


def _start(
    type_: str, inputs: Mapping[str, Any], catalogue: Catalogue, vault: Vault
) -> tuple[Start, Mapping[str, Value]]:
    """The start of a flow of this node alone, and what it is given then."""
    document = {
        "id": f"{FLOW_PREFIX}trial",
        "metadata": {"name": type_},
        "nodes": [{"id": NODE_ID, "type": type_, "values": dict(inputs)}],
        "edges": [],
    }
    try:
        prepared = prepare(document, catalogue)
        sealed = seal_document(prepared, partial(vault.seal, OWNER_ID))
        plan = prepare(sealed, catalogue).plan if prepared.plan.holds_secrets else prepared.plan
    except ValidationFailed as error:
        raise naming_faults(error) from None
    engine = Engine(Wiring(plan), RunOptions(), {})
    engine.begin()
    start = engine.start_next()
    if start is None:
        raise naming_faults(ValidationFailed([Fault("/nodes/0", "does not run by itself")]))
    return start, engine.inputs(start.node.index)


def _outputs(
    outputs: Mapping[str, Value] | None, error: BaseException | None
) -> Mapping[str, Value]:
    if isinstance(error, Sleeping):
        return {error.port: error.delay_ms}
    if isinstance(error, FanningOut | CallingFlow):
        raise NodeError(f"there is no flow '{error.flow_id}' here")
    if isinstance(error, AwaitingSignal):
        if error.timeout_ms is None:
            raise NodeError(f"waits for the signal '{error.name}': nobody can send it here")
        return {PAYLOAD: None, TIMED_OUT: True}
    if error is not None:
        raise error
    return outputs or {}
