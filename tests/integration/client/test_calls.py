"""Every call of the client against the API itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.client import ApiProblem, WaitTimeout
from tests.ways import WAYS, client_of

TEXT = {"id": "who", "type": "TextNode", "values": {"text": "Ada"}}
WAITER = {"id": "wait", "type": "WaitForSignalNode", "values": {"name": "go"}}


def flow(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "Called"}, "nodes": list(nodes), "edges": [], **more}


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest, api_url: str) -> Iterator[Any]:
    with client_of(request.param, api_url) as client:
        yield client


def test_flows(client: Any) -> None:
    stored = client.flows.store(flow(TEXT, id="V2called"))
    assert (stored.id, stored.version) == ("V2called", 1)
    replaced = client.flows.replace("V2called", flow(TEXT, TEXT | {"id": "b"}), version=1)
    assert replaced.version == 2
    with pytest.raises(ApiProblem) as caught:
        client.flows.replace("V2called", flow(TEXT), version=1)
    assert caught.value.status == 412
    assert len(client.flows.get("V2called").document["nodes"]) == 2
    assert len(client.flows.get("V2called", 1).document["nodes"]) == 1
    assert "V2called" in {each.id for each in client.flows.list()}
    found = client.flows.validate(flow({"id": "a", "type": "NoNode"}))
    assert [each.pointer for each in found.errors] == ["/nodes/0/type"]
    client.flows.hide("V2called")
    assert "V2called" not in {each.id for each in client.flows.list()}


def test_an_execution_from_its_creation_to_its_end(client: Any) -> None:
    flow_id = client.flows.store(flow(TEXT)).id
    execution = client.executions.create(flow_id, inputs={"who": {"text": "Grace"}})
    assert execution.status == "created"
    with pytest.raises(WaitTimeout):
        client.executions.wait(execution.id, timeout_s=0)
    client.executions.start(execution.id)
    followed = list(client.executions.events(execution.id))
    assert [each.index for each in followed] == list(range(-1, len(followed) - 1))
    assert followed[-1].type == "execution:completed"
    assert list(client.executions.recorded_events(execution.id)) == followed
    ended = client.executions.wait(execution.id, timeout_s=30)
    assert ended.outputs == {"who": {"text": "Grace"}}
    assert [node.id for node in client.executions.nodes(execution.id)] == ["who"]
    assert client.executions.node(execution.id, "who").outputs == {"text": "Grace"}
    assert [each.execution.id for each in client.executions.tree(execution.id)] == [execution.id]
    assert [each.execution.id for each in client.executions.roots(flow_id)] == [execution.id]
    assert list(client.executions.recoveries(execution.id)) == []


def test_a_create_that_is_sent_again_is_done_once(client: Any) -> None:
    flow_id = client.flows.store(flow(TEXT)).id
    first, second = (client.executions.create(flow_id, idempotency_key="once") for _ in range(2))
    other = client.executions.create(flow_id)
    assert first.id == second.id != other.id


def test_a_fork_takes_over_what_is_done(client: Any) -> None:
    flow_id = client.flows.store(flow(TEXT, TEXT | {"id": "b"})).id
    first = client.executions.create(flow_id, autostart=True)
    client.executions.wait(first.id, 30)
    fork = client.executions.fork(
        first.id, from_node_id="b", inputs={"b": {"text": "Grace"}}, autostart=True
    )
    assert fork.raw["forkedFrom"] == first.id
    ended = client.executions.wait(fork.id, 30)
    assert ended.outputs == {"who": {"text": "Ada"}, "b": {"text": "Grace"}}
    started = client.executions.recorded_events(fork.id, types=["node:started"])
    assert [event.data["nodeId"] for event in started] == ["b"]


def test_commands_to_an_execution(client: Any) -> None:
    flow_id = client.flows.store(flow(TEXT, TEXT | {"id": "b"})).id
    options = {"breakpoints": ["who"]}
    execution = client.executions.create(flow_id, options=options, autostart=True)
    with client.executions.events(execution.id, types=["flow:paused"]) as events:
        assert next(events).data["reason"] == "breakpoint"
    assert client.executions.step(execution.id).id == execution.id
    with client.executions.events(execution.id, types=["node:completed"]) as events:
        assert next(events).data["nodeId"] == "who"
    stopped = client.executions.stop(execution.id, "enough")
    assert (stopped.status, stopped.error_message) == ("stopped", "enough")
    for command in (client.executions.pause, client.executions.resume, client.executions.recover):
        with pytest.raises(ApiProblem, match="CONFLICT"):
            command(execution.id)


def test_a_signal_ends_a_wait(client: Any) -> None:
    flow_id = client.flows.store(flow(WAITER)).id
    execution = client.executions.create(flow_id, autostart=True)
    client.executions.signal(execution.id, "go", {"by": "Ada"})
    assert client.executions.wait(execution.id, 30).outputs["wait"]["payload"] == {"by": "Ada"}


def test_many_at_once_and_lists_that_page_by_themselves(client: Any) -> None:
    flow_id = client.flows.store(flow(TEXT)).id
    made = client.executions.create_batch([{"flowId": flow_id}] * 120)
    listed = list(client.executions.list(flow_id=flow_id, status="created"))
    assert {each.id for each in listed} == {each.id for each in made}
    taken = client.executions.bulk("stop", flow_id=flow_id)
    assert (taken.matched, taken.accepted) == (120, 120)


def test_secrets_node_types_workers_and_health(client: Any) -> None:
    secret = client.secrets.store("mine", "sk-plain", "openai")
    assert client.secrets.replace(secret.id, "ours", secret_type="openai").name == "ours"
    assert client.secrets.get(secret.id).name == "ours"
    assert [each.id for each in client.secrets.list()] == [secret.id]
    client.secrets.delete(secret.id)
    assert list(client.secrets.list()) == []
    assert client.node_types.get("TextNode") in list(client.node_types.list())
    assert all(each.status == "running" for each in client.workers.list())
    assert client.health.ready().is_ready
    client.health.live()
