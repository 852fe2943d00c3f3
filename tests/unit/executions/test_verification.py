from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.caller import Caller
from app.errors import StoreUnavailable
from app.executions.verification import HOLDS_S, MOST_KNOWN, MOST_UNKNOWN, Verifier
from app.tokens import PREFIX, hash_of, is_token, new_token

ADA = Caller("ada", "user", "TK1")


@dataclass
class Store:
    """Tokens by their hashes, a clock, and what was asked."""

    callers: dict[str, Caller] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = 100.0
    is_away: bool = False

    def find(self, token_hash: str) -> Caller | None:
        self.asked.append(token_hash)
        if self.is_away:
            raise StoreUnavailable
        return self.callers.get(token_hash)

    def verifier(self) -> Verifier:
        return Verifier(self, lambda: self.now)


def numbered(number: int) -> str:
    return new_token(number.to_bytes)


def test_a_token_is_as_long_as_its_chance_and_hashed() -> None:
    token = numbered(7)
    assert token.startswith(PREFIX)
    assert is_token(token)
    assert token not in hash_of(token)
    assert len(hash_of(token)) == 64


def test_a_caller_is_looked_up_once_in_a_while() -> None:
    store = Store({hash_of(numbered(1)): ADA})
    verifier = store.verifier()
    for _ in range(1000):
        assert verifier.caller_of(numbered(1)) == ADA
    assert len(store.asked) == 1
    store.now += HOLDS_S
    assert verifier.caller_of(numbered(1)) == ADA
    assert len(store.asked) == 2


def test_a_revoked_token_is_noticed_when_the_answer_is_over() -> None:
    store = Store({hash_of(numbered(1)): ADA})
    verifier = store.verifier()
    verifier.caller_of(numbered(1))
    store.callers.clear()
    store.now += HOLDS_S
    assert verifier.caller_of(numbered(1)) is None


@pytest.mark.parametrize(
    "text", ["", "x", "Bearer", f"{PREFIX}short", f"{numbered(1)}x", "cgt_" * 20]
)
def test_what_is_no_token_is_not_even_looked_up(text: str) -> None:
    store = Store()
    assert store.verifier().caller_of(text) is None
    assert not store.asked


def test_a_wrong_token_that_is_sent_again_is_not_looked_up_again() -> None:
    store = Store()
    verifier = store.verifier()
    for _ in range(10):
        assert verifier.caller_of(numbered(2)) is None
    assert len(store.asked) == 1


def test_many_wrong_tokens_are_forgotten_and_push_out_no_good_one() -> None:
    store = Store({hash_of(numbered(0)): ADA})
    verifier = store.verifier()
    verifier.caller_of(numbered(0))
    for number in range(1, MOST_UNKNOWN + 10):
        verifier.caller_of(numbered(number))
    assert len(verifier._unknown) == MOST_UNKNOWN
    store.asked.clear()
    assert verifier.caller_of(numbered(0)) == ADA
    assert not store.asked


def test_so_many_good_ones_are_remembered_and_no_more() -> None:
    store = Store({hash_of(numbered(number)): ADA for number in range(MOST_KNOWN + 1)})
    verifier = store.verifier()
    for number in range(MOST_KNOWN + 1):
        verifier.caller_of(numbered(number))
    assert len(verifier._known) == MOST_KNOWN


def test_a_store_that_is_away_leaves_it_open_who_it_is() -> None:
    store = Store({hash_of(numbered(1)): ADA}, is_away=True)
    verifier = store.verifier()
    with pytest.raises(StoreUnavailable):
        verifier.caller_of(numbered(1))
    store.is_away = False
    assert verifier.caller_of(numbered(1)) == ADA


def test_a_token_is_new_until_it_was_looked_up_and_good_ones_never_again() -> None:
    store = Store({hash_of(numbered(1)): ADA})
    verifier = store.verifier()
    good, wrong = numbered(1), numbered(2)
    assert (verifier.is_new(good), verifier.is_new(wrong)) == (True, True)
    verifier.caller_of(good), verifier.caller_of(wrong)
    assert (verifier.is_new(good), verifier.is_new(wrong)) == (False, False)
    store.now += HOLDS_S
    assert (verifier.is_new(good), verifier.is_new(wrong)) == (False, True)
    # For what is no token at all nobody is asked.
    assert not verifier.is_new("rubbish")
