"""SecretNode and UnencryptedSecret, and what a node is given of the secrets they stand for."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Annotated, Any

import pytest

from app.errors import NodeError
from app.executions.secrecy import Secrecy
from app.executions.secrets import OwnersVault
from app.local.database import MemoryDatabase
from app.local.node_trial import run_node
from app.local.trial import run_flow
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.store.secrets import SecretStore
from app.values.secrets import MASK, is_sealed, masked_in
from app.vault import Keyring

#: What the nodes of this file were given, beside the engine: their outputs would be masked.
SEEN: list[Any] = []


@node("SeeingNode", category="test")
def seeing(ctx: NodeContext, key: Annotated[Any, Port(type="secret")]) -> None:
    """Remembers what it opened."""
    SEEN.append(ctx.secret(key))


@pytest.fixture(autouse=True)
def fresh() -> None:
    SEEN.clear()


def see(*nodes: dict[str, Any], source: str, **more: Any) -> Any:
    """Run a flow in which a port for secrets feeds SeeingNode; what that was given."""
    edges = [{"source": source, "target": "see.key"}, *more.pop("edges", ())]
    flow = {
        "metadata": {"name": "x"},
        "nodes": [*nodes, {"id": "see", "type": "SeeingNode"}],
        "edges": edges,
    }
    result = run_flow(flow, nodes=[seeing], **more)
    assert result.status == "completed", result.error_message
    [seen] = SEEN
    return seen


def own(data: Any) -> dict[str, Any]:
    return {"id": "own", "type": "UnencryptedSecret", "values": {"unencryptedData": data}}


def text(value: str) -> dict[str, Any]:
    return {"id": "text", "type": "TextNode", "values": {"text": value}}


def test_a_secret_node_gives_a_reference_and_no_more() -> None:
    assert run_node("SecretNode", secretID="mine") == {"secret": {"$secret": "mine"}}
    with pytest.raises(NodeError, match="secretID is empty"):
        run_node("SecretNode")


def test_an_own_secret_is_sealed_before_it_leaves_its_node() -> None:
    given = run_node("UnencryptedSecret", unencryptedData={"apiKey": "sk-1"})
    assert is_sealed(given["secret"])
    with pytest.raises(NodeError, match="unencryptedData is empty"):
        run_node("UnencryptedSecret")


def test_what_was_stored_is_found_by_its_name() -> None:
    stored = {"id": "s", "type": "SecretNode", "values": {"secretID": "mine"}}
    data = {"apiKey": "sk-1"}
    assert see(stored, source="s.secret", secrets={"mine": data}) == data


def test_a_secret_of_the_document_reaches_the_node_that_uses_it() -> None:
    assert see(own({"apiKey": "sk-1"}), source="own.secret") == {"apiKey": "sk-1"}


def test_inputs_replace_what_the_document_holds() -> None:
    inputs = {"own": {"unencryptedData": {"apiKey": "sk-2"}}}
    seen = see(own({"apiKey": "sk-1"}), source="own.secret", inputs=inputs)
    assert seen == {"apiKey": "sk-2"}


def test_edges_lay_their_values_over_what_the_document_holds() -> None:
    edge = {"source": "text.text", "target": "own.unencryptedData.apiKey"}
    nodes = [text("sk-2"), own({"apiKey": "sk-1", "org": "o"})]
    assert see(*nodes, source="own.secret", edges=[edge]) == {"apiKey": "sk-2", "org": "o"}


def test_a_reference_replaces_another_and_does_not_merge_with_it() -> None:
    stored = {"id": "s", "type": "SecretNode", "values": {"secretID": "mine"}}
    flow = {
        "metadata": {"name": "x"},
        "nodes": [stored, {"id": "see", "type": "SeeingNode", "values": {"key": "sk-1"}}],
        "edges": [{"source": "s.secret", "target": "see.key"}],
    }
    assert run_flow(flow, nodes=[seeing], secrets={"mine": "sk-2"}).status == "completed"
    assert SEEN == ["sk-2"]


def test_a_secret_that_came_in_the_clear_is_opened_and_shown_nowhere() -> None:
    # As it does where another execution gave it: `inputs` of a caller are sealed before.
    vault = OwnersVault(Keyring("k" * 32), SecretStore(MemoryDatabase(lambda: datetime.now(UTC))))
    spec = spec_of(seeing)
    assert spec is not None
    plan = SimpleNamespace(holds_secrets=True, ports=spec.ports)
    secrecy: Any = Secrecy(vault, "ada", plan)  # type: ignore[arg-type]
    taken = secrecy.taken_in({"key": "sk-1234"})
    assert is_sealed(taken["key"])
    assert secrecy.open(taken["key"], None, None) == "sk-1234"
    assert masked_in(spec.ports["key"], "sk-1234") == MASK
    assert masked_in(spec.ports["key"], {"$secret": "mine"}) == {"$secret": "mine"}


def test_what_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(NodeError, match="there is no secret 'other'"):
        run_node(seeing, key={"$secret": "other"}, secrets={"mine": "sk-1"})


def test_a_text_that_was_sealed_elsewhere_is_of_no_use() -> None:
    sealed = run_node("UnencryptedSecret", unencryptedData={"apiKey": "sk-1"})["secret"]
    with pytest.raises(NodeError, match="can't be decrypted"):
        run_node(seeing, key=sealed)


def test_what_a_node_opened_is_masked_in_what_it_gives() -> None:
    @node("TellingNode", category="test")
    def telling(
        ctx: NodeContext, key: Annotated[Any, Port(type="secret")]
    ) -> Annotated[str, Port("told")]:
        """Tells it."""
        ctx.log(f"log {ctx.secret(key)}")
        return f"told {ctx.secret(key)}"

    run = run_node(telling, key="sk-1234")
    assert (run["told"], run.logs) == (f"told {MASK}", [f"log {MASK}"])
