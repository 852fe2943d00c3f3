"""Whom a start wakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.caller import Caller
from app.executions.service import ExecutionService
from app.local.streams import MemoryStreams
from tests.unit.executions.test_corpus_steps import Workers


class Offers:
    """Notes what is offered and sent; somebody lingers or nobody does."""

    def __init__(self, *, lingers: bool) -> None:
        self.lingers = lingers
        self.offered: list[str] = []
        self.sent: list[str] = []

    def unoffered(self, execution_ids: Sequence[str]) -> Sequence[str]:
        self.offered += execution_ids
        return () if self.lingers else execution_ids

    def send(self, execution_ids: Sequence[str]) -> None:
        self.sent += execution_ids


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("lingers", [True, False])
def test_who_lingers_is_woken_though_a_message_is_thought_to_come(
    lingers: bool, is_marked: bool
) -> None:
    workers = Workers()
    signals, offers = MemoryStreams(workers.clock), Offers(lingers=lingers)
    fake: Any = None
    dispatcher: Any = offers
    service = ExecutionService(
        workers.world.table, fake, fake, fake, signals, dispatcher, fake, start_ttl_ms=1000
    )
    execution_id = workers.world.create(start=False)
    if is_marked:
        signals.mark_message(execution_id)

    service.start(execution_id, Caller("local"))

    assert offers.offered == [execution_id]
    assert offers.sent == ([] if lingers or is_marked else [execution_id])
