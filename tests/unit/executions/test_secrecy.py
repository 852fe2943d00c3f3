"""Opening a secret for a node, also while the store is away."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import NodeCancelled, NonRetryableError, StoreUnavailable
from app.executions.secrecy import Secrecy
from app.logs import hiding
from app.values.ports import Value
from app.values.secrets import MASK

NODE: Any = SimpleNamespace(holds_secrets=False, ports={})


class AwayVault:
    """Away for the first so many calls."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.asked: list[tuple[str, Value]] = []

    def open(self, owner: str, secret: Value) -> Value:
        self.asked.append((owner, secret))
        if len(self.asked) <= self.away:
            raise StoreUnavailable
        return "sk-1234"

    def seal(self, owner: str, data: Value) -> str:
        raise AssertionError("nothing is handed out")


def check(cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise NodeCancelled


def opened(secrecy: Secrecy, cancelled: threading.Event) -> Value:
    return secrecy.open("mine", cancelled, lambda: check(cancelled))


def test_a_store_that_is_away_is_waited_for() -> None:
    vault = AwayVault(2)
    assert opened(Secrecy(vault, "ada", NODE), threading.Event()) == "sk-1234"
    assert vault.asked == [("ada", "mine")] * 3


def test_a_node_that_is_to_end_waits_no_longer() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(NodeCancelled):
        opened(Secrecy(AwayVault(1_000_000), "ada", NODE), cancelled)


def test_where_there_is_no_vault_there_are_no_secrets() -> None:
    with pytest.raises(NonRetryableError):
        opened(Secrecy(None, "ada", NODE), threading.Event())


def test_the_log_hides_what_was_opened_until_the_node_has_ended() -> None:
    secrecy = Secrecy(AwayVault(0), "ada", NODE)
    assert secrecy.hide("sk-1234") == "sk-1234"
    opened(secrecy, threading.Event())
    hide = hiding.get()
    assert hide is not None
    assert hide("it is sk-1234") == f"it is {MASK}"
    assert secrecy.handed_out({"a": ["sk-1234"]}) == {"a": [MASK]}
    secrecy.end()
    assert hiding.get() is None
