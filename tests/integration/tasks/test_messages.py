"""What the tasks call, and what a message is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import tasks
from app.ids import EXECUTION_PREFIX, LENGTH
from tasks import process as process_module

EXECUTION = EXECUTION_PREFIX + "x" * LENGTH


@pytest.fixture(autouse=True)
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's settings are those of the environment when its app is first used."""
    monkeypatch.setenv("REDIS_URL", redis_url)


@dataclass
class FakeProcess:
    started: bool = True
    looked_for: bool = False
    sends_on: bool = False
    launched: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def is_started(self, execution_id: str) -> bool:
        self.calls.append(("is_started", execution_id))
        return self.started

    def is_looked_for(self) -> bool:
        self.calls.append(("is_looked_for",))
        return self.looked_for

    def work(self, execution_id: str) -> None:
        self.calls.append(("work", execution_id))

    def run_launched(self, execution_id: str, node_id: str) -> bool:
        return self.launched

    def run_step(self, execution_id: str, node_id: str, queue: str) -> bool:
        self.calls.append(("run_step", execution_id, node_id, queue))
        return not self.sends_on


@pytest.fixture
def fake() -> Iterator[FakeProcess]:
    fake: Any = FakeProcess()
    before = list(process_module._current)
    process_module.become(fake)
    yield fake
    process_module._current[:] = before


def await_start() -> object:
    """Run the task as its message would have it; gives what is left of the chain."""
    task: Any = tasks.await_start
    task.push_request(chain=[tasks.advance.si(EXECUTION)])
    try:
        task.run(EXECUTION)
        return task.request.chain
    finally:
        task.pop_request()


def test_with_the_start_signal_there_the_run_goes_on_in_this_process(fake: FakeProcess) -> None:
    left = await_start()

    assert fake.calls == [("is_started", EXECUTION), ("work", EXECUTION)]
    assert left is None


def test_without_the_start_signal_nothing_runs_and_nothing_is_sent(fake: FakeProcess) -> None:
    fake.started = False

    left = await_start()

    assert fake.calls == [("is_started", EXECUTION), ("is_looked_for",)]
    assert left is None


def test_what_left_no_room_for_a_hint_leads_to_the_backlog(fake: FakeProcess) -> None:
    fake.started, fake.looked_for = False, True

    left = await_start()

    assert fake.calls[-1] == ("work", EXECUTION)
    assert left is None


def run_node() -> object:
    """Run the task as a message of the queue `slow` would have it; gives what is left."""
    task: Any = tasks.run_node
    chain = [tasks.advance.si(EXECUTION)]
    task.push_request(chain=chain, delivery_info={"routing_key": "slow"})
    try:
        task.run(EXECUTION, "a")
        return task.request.chain
    finally:
        task.pop_request()


def test_a_node_that_was_not_launched_here_is_looked_for(fake: FakeProcess) -> None:
    tasks.run_node(EXECUTION, "a")

    assert fake.calls == [("run_step", EXECUTION, "a", "default")]


def test_a_node_that_was_launched_here_is_run_by_that(fake: FakeProcess) -> None:
    fake.launched = True

    assert run_node()
    assert fake.calls == []


def test_after_a_node_that_was_sent_its_execution_goes_on(fake: FakeProcess) -> None:
    assert run_node()
    assert fake.calls == [("run_step", EXECUTION, "a", "slow")]


def test_a_node_that_is_sent_on_takes_the_rest_of_its_chain_along(fake: FakeProcess) -> None:
    fake.sends_on = True
    assert run_node() is None


def test_a_message_holds_ids_and_nothing_else() -> None:
    chain = [tasks.advance.si(EXECUTION)]
    message: Any = tasks.app.amqp.as_task_v2(
        "id", "tasks.await_start", args=(EXECUTION,), chain=chain
    )

    args, kwargs, embedded = json.loads(json.dumps(message.body))

    assert (args, kwargs) == ([EXECUTION], {})
    assert [each["args"] for each in embedded["chain"]] == [[EXECUTION]]
    assert len(json.dumps(message.body)) < 1024


def test_no_message_is_unpickled() -> None:
    conf = tasks.app.conf

    assert (conf.task_serializer, conf.accept_content) == ("json", ["json"])


def test_a_worker_never_gives_its_broker_up() -> None:
    conf = tasks.app.conf

    assert conf.broker_connection_retry_on_startup
    assert conf.broker_connection_max_retries is None


def test_a_lost_broker_ends_no_node() -> None:
    assert not tasks.app.conf.worker_cancel_long_running_tasks_on_connection_loss


def test_a_message_is_only_a_hint_so_it_is_acknowledged_early_and_without_a_result() -> None:
    conf = tasks.app.conf

    assert not conf.task_acks_late
    assert conf.task_ignore_result
    assert conf.result_backend is None


def test_a_request_never_waits_for_the_broker() -> None:
    assert not tasks.app.conf.task_publish_retry
