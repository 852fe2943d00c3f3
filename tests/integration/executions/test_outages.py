"""PostgreSQL away, and replies and requests that are lost: each checkpoint once."""

from __future__ import annotations

import time

import pytest

from app.executions.run import RunEnd
from app.nodes.sdk import NodeContext
from tests.integration.executions.losing import Gate, stuck_at
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    Process,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    told,
)
from tests.proxy import Proxy
from tests.waiting import wait_until
from tests.world import PgWorld


def test_a_run_holds_through_an_outage_and_goes_on_as_the_owner(
    world: PgWorld, proxy: tuple[Proxy, str]
) -> None:
    cable, url = proxy
    process = Process(world, url=url)
    execution = execution_of(
        world, chain(node("a", "ProbeNode"), node("b", "EffectNode"), node("c", "EffectNode"))
    )
    gate = Gate()
    driven = stuck_at(process, execution, gate)

    cable.cut()
    gate.open()
    away_until = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > away_until, "two seconds pass")
    assert driven.is_alive
    assert list(checkpoints(world, execution)) == []
    cable.mend()

    assert driven.end() is RunEnd.FINISHED
    row = world.row(execution)
    assert (row.status, row.epoch, row.failure_count) == ("completed", 1, 0)
    assert [row.attempt for row in checkpoints(world, execution).values()] == [1, 1, 1]
    events = told(world, execution)
    assert len(events) == len(set(events)) == 10
    assert process.published_types() == [each.split()[0] for each in events[1:]]
    process.end()


LOST = [f"{loss} {number}" for loss in ("lose_reply_to", "lose_request") for number in range(4)]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_write_is_done_once_wherever_it_is_lost(
    world: PgWorld, proxy: tuple[Proxy, str], lost: str
) -> None:
    cable, url = proxy
    process = Process(world, url=url)
    loss, number = lost.split()
    nodes = [node(each, "BreakNode") for each in "abc"]
    execution = execution_of(world, chain(*nodes))

    def break_next(ctx: NodeContext) -> None:
        if "abc".index(ctx.node_id) + 1 == int(number):
            getattr(cable, loss)("\0write_")

    if number == "0":
        getattr(cable, loss)("\0write_")

    assert process.run(execution, node_that(break_next, "BreakNode")) is RunEnd.FINISHED

    row = world.row(execution)
    assert (row.status, row.epoch, world.writes(execution)) == ("completed", 1, 4)
    events = told(world, execution)
    assert len(events) == len(set(events)) == 10
    assert process.published_types() == [each.split()[0] for each in events[1:]]
    assert cable.losses == 1
    process.end()


def test_a_claim_whose_reply_is_lost_is_run(world: PgWorld, proxy: tuple[Proxy, str]) -> None:
    cable, url = proxy
    process = Process(world, url=url)
    execution = execution_of(world, flow(node("a")))
    executor = process.executor(process.around())
    cable.lose_reply_to("\0claim_next")

    assert executor.work() == 1

    assert (world.row(execution).status, world.row(execution).epoch) == ("completed", 1)
    assert cable.losses == 1
    process.end()


def test_a_claim_that_never_arrives_is_nobodys(world: PgWorld, proxy: tuple[Proxy, str]) -> None:
    cable, url = proxy
    process = Process(world, url=url)
    execution = execution_of(world, flow(node("a")))
    executor = process.executor(process.around())
    cable.cut()

    assert executor.work() == 0

    assert world.row(execution).epoch == 0
    cable.mend()
    assert executor.work() == 1
    process.end()


def test_with_replies_that_take_long_a_run_is_slow_and_right(
    world: PgWorld, proxy: tuple[Proxy, str]
) -> None:
    cable, url = proxy
    process = Process(world, url=url)
    execution = execution_of(world, chain(node("a", "EffectNode"), node("b", "EffectNode")))
    cable.delay(40)

    assert process.run(execution, effect) is RunEnd.FINISHED

    assert len(told(world, execution)) == 8
    process.end()
