from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.caller import Caller
from app.errors import Conflict, StoreUnavailable
from app.executions.control import LET_GO_WITHIN_S, Control
from app.store.records import Effect

ADA = Caller("ada")
ROOT = Effect("EX1", None, ["w1"])
CHILD = Effect("EX2", None, ["w1", "w2"])
PARKED = Effect("EX3", None, [])


@dataclass
class Setting:
    """A Control over fakes that answer as they are told to. Letting go takes `takes_s` each."""

    stopped: Sequence[Effect] = ()
    resumed: Effect | None = None
    takes_s: float | None = 0.01
    now: float = 100.0
    waited_for: list[tuple[str, int]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    hinted: list[str] = field(default_factory=list)
    parent: str | None = None
    #: Who owns the parent; None where PostgreSQL is away.
    parents_owner: str | None = "w9"
    woken: list[tuple[str, str | None]] = field(default_factory=list)

    def control(self) -> Control:
        fake: Any = self
        return Control(fake, fake, fake, fake, clock=lambda: self.now, pause=self.pauses.append)

    def check(self, execution_id: str, caller: Caller) -> None:
        assert (execution_id, caller) == ("EX1", ADA)

    def get(self, execution_id: str, caller: Caller) -> dict[str, Any]:
        return {"id": execution_id, "status": "completed", "parentExecutionId": self.parent}

    def stop(self, _execution_id: str, _reason: str, caller: Caller) -> Sequence[Effect]:
        return self.stopped

    def resume(self, _execution_id: str, caller: Caller) -> Effect | None:
        return self.resumed

    def await_let_go(self, execution_id: str, processes: int, within_s: float) -> bool:
        self.waited_for.append((execution_id, processes))
        if self.takes_s is None:
            return False
        self.now += self.takes_s
        return self.takes_s <= within_s

    def tell(self, effect: Effect, command: str) -> None:
        self.told.append((effect.execution_id, command))

    def hint(self, execution_ids: Sequence[str]) -> None:
        assert self.told, "what was done is told before a worker goes on with it"
        self.hinted.extend(execution_ids)

    def wake(self, execution_id: str, *owner: str) -> str | None:
        """The store's with an id alone, which gives the owner; else the one of whoever tells."""
        if owner:
            self.woken.append((execution_id, *owner))
        elif self.parents_owner is None:
            raise StoreUnavailable
        return self.parents_owner


def test_a_stop_waits_for_every_owner_and_no_longer() -> None:
    setting = Setting([ROOT, CHILD, PARKED])

    assert setting.control().stop("EX1", ADA)["id"] == "EX1"

    assert setting.waited_for == [("EX1", 1), ("EX2", 2)]
    assert setting.pauses == []
    assert sorted(setting.told) == [("EX1", "stop"), ("EX2", "stop"), ("EX3", "stop")]


@pytest.mark.parametrize("takes_s", [None, 1.0])
def test_owners_that_say_nothing_are_given_their_time(takes_s: float | None) -> None:
    """They may begin for a moment what they were about to begin: the answer comes after that."""
    setting = Setting([ROOT, CHILD], takes_s=takes_s)

    setting.control().stop("EX1", ADA)

    assert setting.waited_for == [("EX1", 1)]
    left_s = LET_GO_WITHIN_S if takes_s is None else 0.0
    assert setting.pauses == [pytest.approx(left_s)]


def test_what_nobody_owned_is_not_waited_for() -> None:
    setting = Setting([PARKED])

    setting.control().stop("EX1", ADA)

    assert (setting.waited_for, setting.pauses) == ([], [])


def test_what_is_final_is_a_conflict() -> None:
    setting = Setting()

    with pytest.raises(Conflict, match="Cannot stop execution in status completed"):
        setting.control().stop("EX1", ADA)

    assert setting.told == []


@pytest.mark.parametrize(("effect", "hinted"), [(PARKED, ["EX1"]), (ROOT, [])])
def test_a_worker_is_looked_for_where_none_goes_on(effect: Effect, hinted: list[str]) -> None:
    setting = Setting(resumed=effect)

    setting.control().resume("EX1", ADA)

    assert setting.hinted == hinted


def test_the_parent_of_what_is_stopped_is_told() -> None:
    setting = Setting([CHILD], parent="EX0")

    setting.control().stop("EX1", ADA)

    assert setting.woken == [("EX0", "w9")]


def test_a_stop_is_answered_although_the_parent_could_not_be_told() -> None:
    setting = Setting([CHILD], parent="EX0", parents_owner=None)

    assert setting.control().stop("EX1", ADA)["id"] == "EX1"
    assert setting.woken == []
