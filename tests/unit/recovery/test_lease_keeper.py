from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.recovery.leases import LeaseKeeper
from app.store.records import Fence, Renewed

HEARTBEAT_S = 2.0
LEASE_S = 10.0


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Store:
    clock: Clock
    held: set[Fence] = field(default_factory=set)
    requested: str | None = None
    is_away: bool = False
    calls: list[tuple[str, list[Fence]]] = field(default_factory=list)
    claimed: list[Fence] = field(default_factory=list)
    #: What happens while a renewal is on its way.
    meanwhile: Callable[[], object] = lambda: None
    #: What others see of the process; None where it was forgotten, or never known.
    status: str | None = None

    def register(self) -> bool:
        if self.is_away:
            raise StoreUnavailable
        self.calls.append(("register", []))
        is_known, self.status = self.status is not None, self.status or "running"
        return not is_known

    def set_status(self, status: str) -> None:
        self.status = status

    def renew(self, fences: Sequence[Fence]) -> list[Renewed]:
        self.clock.now += 0.5
        self.calls.append(("renew", list(fences)))
        self.meanwhile()
        return [Renewed(fence, self.requested) for fence in fences if fence in self.held]

    def strays(self, fences: Sequence[Fence]) -> list[Fence]:
        return [each for each in self.claimed if each not in fences]

    def release(self, fences: Sequence[Fence]) -> None:
        self.calls.append(("release", list(fences)))


@dataclass
class Held:
    fence: Fence
    confirmed: list[float] = field(default_factory=list)
    requested: list[str | None] = field(default_factory=list)
    disowned: int = 0

    def confirm(self, sent_at: float, requested: str | None, wake: int) -> None:
        self.confirmed.append(sent_at)
        self.requested.append(requested)

    def disown(self) -> None:
        self.disowned += 1


@dataclass
class Setting:
    running: list[Held] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    is_draining: bool = False

    def __post_init__(self) -> None:
        self.store = Store(self.clock, {run.fence for run in self.running})
        store: Any = self.store
        self.keeper = LeaseKeeper(
            store,
            lambda: self.running,
            heartbeat_s=HEARTBEAT_S,
            lease_s=LEASE_S,
            is_draining=lambda: self.is_draining,
            clock=self.clock,
        )

    def renew_for(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.keeper.renew()
            self.clock.now += HEARTBEAT_S - 0.5


def test_what_held_is_confirmed_as_of_when_the_renewal_was_sent() -> None:
    kept, lost = Held(Fence("EX1", 1)), Held(Fence("EX2", 4))
    setting = Setting([kept, lost])
    setting.store.held, setting.store.requested = {kept.fence}, "pause"
    sent_at = setting.clock.now

    setting.keeper.renew()

    assert (kept.confirmed, kept.requested, kept.disowned) == ([sent_at], ["pause"], 0)
    assert (lost.confirmed, lost.disowned) == ([], 1)


def test_a_heartbeat_registers_renews_and_releases_what_nothing_runs() -> None:
    run, stray = Held(Fence("EX1", 1)), Fence("EX2", 3)
    setting = Setting([run])
    setting.store.claimed = [run.fence, stray]

    setting.keeper.renew()

    assert setting.store.calls == [
        ("register", []),
        ("renew", [run.fence]),
        ("release", [stray]),
    ]


def test_what_began_to_run_while_the_renewal_was_on_its_way_is_kept() -> None:
    begun, stray = Held(Fence("EX1", 1)), Fence("EX2", 3)
    setting = Setting()
    setting.store.claimed = [begun.fence, stray]
    setting.store.meanwhile = lambda: setting.running.append(begun)

    setting.keeper.renew()

    assert setting.store.calls[-1] == ("release", [stray])


def test_while_the_store_is_away_nothing_is_disowned() -> None:
    run = Held(Fence("EX1", 1))
    setting = Setting([run])
    setting.store.is_away = True

    with pytest.raises(StoreUnavailable):
        setting.keeper.renew()

    assert (run.confirmed, run.disowned) == ([], 0)


def test_who_drains_and_was_forgotten_says_so_again_once_it_is_known() -> None:
    setting = Setting(is_draining=True)
    setting.keeper.renew()
    assert setting.store.status == "draining"

    setting.store.status = None
    setting.keeper.renew()

    assert setting.store.status == "draining"


def test_who_has_never_renewed_may_not_judge() -> None:
    assert not Setting().keeper.may_judge()


def test_who_renewed_for_a_whole_lease_may_judge() -> None:
    setting = Setting()
    setting.renew_for(LEASE_S - HEARTBEAT_S)
    assert not setting.keeper.may_judge()

    setting.renew_for(2 * HEARTBEAT_S)

    assert setting.keeper.may_judge()


def test_who_has_been_silent_may_not_judge() -> None:
    setting = Setting()
    setting.renew_for(2 * LEASE_S)
    assert setting.keeper.may_judge()

    setting.clock.now += 2 * HEARTBEAT_S + 0.1

    assert not setting.keeper.may_judge()


def test_after_an_outage_the_whole_lease_counts_anew() -> None:
    setting = Setting()
    setting.renew_for(2 * LEASE_S)
    setting.clock.now += LEASE_S

    setting.renew_for(LEASE_S - HEARTBEAT_S)
    assert not setting.keeper.may_judge()
    setting.renew_for(2 * HEARTBEAT_S)

    assert setting.keeper.may_judge()


def test_one_heartbeat_that_is_missed_is_no_break() -> None:
    setting = Setting()
    setting.renew_for(LEASE_S)
    setting.clock.now += HEARTBEAT_S - 0.1

    setting.renew_for(HEARTBEAT_S)

    assert setting.keeper.may_judge()
