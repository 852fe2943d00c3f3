"""The original's programming interface, in both modes; in local mode executions run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from app.client.shapes import Event
from app.config import load_settings
from app.errors import Conflict, NotFound, ValidationFailed
from chaingraph import (
    get_event_bus,
    get_execution_service,
    get_execution_store,
    get_task_queue,
)
from tests.integration.web.conftest import GREETING, flow_of
from tests.waiting import wait_until
from web import programming
from web.composition import PARTS
from web.programming import Interface

LOG = "node:debug-log-string"
NOWHERE = "EX" + "2" * 24


@pytest.fixture
def face(app: Flask) -> Interface:
    return Interface.over(app.extensions[PARTS], load_settings({}))


def test_what_is_created_is_read_back(face: Interface) -> None:
    created = face.service.create(GREETING, options={"priority": 7})

    assert face.store.get(created.id) == created
    assert [each.id for each in face.store.list(status="created")] == [created.id]
    assert face.store.list(status="failed") == []
    assert [each.execution for each in face.store.tree(created.id)] == [created]
    [root] = face.store.list_roots(created.flow_id)
    assert (root.execution, root.levels, root.total_nested) == (created, 1, 1)
    again = face.service.create(created.flow_id, flow_version=1)
    assert [each.id for each in face.store.list()] == [again.id, created.id]


def test_what_can_not_be_created_is_refused(face: Interface) -> None:
    with pytest.raises(NotFound):
        face.service.create("V2nowhere")
    with pytest.raises(ValidationFailed):
        face.service.create(GREETING, options={"speed": 1})
    with pytest.raises(ValidationFailed):
        face.service.create(GREETING, inputs={"nobody": {"text": ""}})


def test_a_status_is_changed_as_commands_change_it(face: Interface) -> None:
    created = face.service.create(GREETING)

    with pytest.raises(Conflict, match="Cannot pause execution in status created"):
        face.store.update_status(created.id, "paused")
    with pytest.raises(Conflict, match="comes to it by itself"):
        face.store.update_status(created.id, "completed")
    stopped = face.store.update_status(created.id, "stopped", "enough")

    assert (stopped.status, stopped.error_message) == ("stopped", "enough")
    with pytest.raises(Conflict):
        face.store.update_status(created.id, "running")
    with pytest.raises(Conflict):
        face.store.mark_for_recovery(created.id)
    assert face.service.wait(created.id, timeout_s=10).status == "stopped"


def test_a_signal_is_kept_until_a_node_waits_for_it(face: Interface) -> None:
    created = face.service.create(GREETING)

    assert face.service.signal(created.id, "go", {"by": "Ada"}) is None
    face.service.stop(created.id)
    with pytest.raises(Conflict, match="Cannot signal execution in status stopped"):
        face.service.signal(created.id, "go")


def test_a_wait_that_is_too_long_is_ended(face: Interface) -> None:
    created = face.service.create(GREETING)

    with pytest.raises(TimeoutError, match=r"is not final after 0\.1 s"):
        face.service.wait(created.id, timeout_s=0.1)
    with pytest.raises(NotFound):
        face.service.wait(NOWHERE)


def test_events_are_published_read_and_heard(face: Interface) -> None:
    execution = face.service.create(GREETING).id
    heard: list[Event] = []
    face.bus.on(LOG, heard.append)

    assert face.bus.publish(execution, LOG, {"nodeId": "a", "log": "one"}) == 0
    assert face.bus.publish(execution, LOG, {"nodeId": "a", "log": "two"}) == 1
    face.service.stop(execution)
    read = [event for batch in face.bus.subscribe(execution, max_size=2) for event in batch]

    assert [event.index for event in read] == list(range(-1, len(read) - 1))
    assert [event.data["log"] for event in read if event.type == LOG] == ["one", "two"]
    assert read[-1].type == "execution:stopped"
    assert [event.data["log"] for event in heard] == ["one", "two"]


def test_nothing_is_published_that_only_the_engine_can_say(face: Interface) -> None:
    execution = face.service.create(GREETING).id

    with pytest.raises(ValidationFailed):
        face.bus.publish(execution, "execution:completed", {})
    with pytest.raises(NotFound):
        face.bus.publish(NOWHERE, LOG, {})
    face.service.stop(execution)
    with pytest.raises(Conflict, match="Cannot publish to execution in status stopped"):
        face.bus.publish(execution, LOG, {})


def test_a_subscription_ends_when_it_is_not_wanted_any_more(face: Interface) -> None:
    execution = face.service.create(GREETING).id
    subscription = face.bus.subscribe(execution)
    heard: list[Event] = []
    handler = face.bus.on("execution:created", heard.append)
    face.bus.unsubscribe(handler)
    ended = threading.Event()

    def read() -> None:
        for _ in subscription:
            face.bus.unsubscribe(subscription)
        ended.set()

    threading.Thread(target=read, daemon=True).start()

    assert ended.wait(60)
    assert heard == []
    other = face.bus.subscribe(execution)
    face.bus.close()
    assert list(other) == []


# -- where executions run


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose first call of the interface makes it, in local mode."""
    monkeypatch.setenv("EXECUTION_MODE", "local")
    monkeypatch.setattr(programming, "_made", [])
    yield
    for made in programming._made:
        made.close()


def test_a_process_has_one_of_each_and_runs_what_it_starts(alone: None) -> None:
    service, store = get_execution_service(), get_execution_store()
    created = service.create(flow_of({"id": "a", "type": "TextNode", "values": {"text": "x"}}))

    assert store.update_status(created.id, "running").requested in {"start", None}
    done = service.wait(created.id, timeout_s=30)
    get_task_queue().publish(created.id)

    assert (done.status, done.outputs) == ("completed", {"a": {"text": "x"}})
    types = [event.type for batch in get_event_bus().subscribe(created.id) for event in batch]
    assert types[-1] == "execution:completed"
    assert store.get(created.id) == done
    assert get_execution_store() is store


def test_what_runs_is_paused_and_goes_on(alone: None) -> None:
    service = get_execution_service()
    nap = {"id": "nap", "type": "SleepNode", "values": {"duration": 60_000}}
    execution = service.create(flow_of(nap), autostart=True).id
    wait_until(
        lambda: (get_execution_store().get(execution).waiting or {}).get("for") == "timer",
        "it sleeps",
    )

    service.pause(execution, "lunch")
    assert get_execution_store().get(execution).status == "paused"
    service.resume(execution)
    service.stop(execution)

    assert service.wait(execution, timeout_s=30).status == "stopped"
