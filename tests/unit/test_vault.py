"""Sealing under SECRET_KEY."""

from __future__ import annotations

import pytest

from app.errors import SecretKeyMissing, SecretUnreadable
from app.vault import NO_KEY, Keyring

KEY, OLD = "k" * 32, "o" * 40
DATA = {"apiKey": "sk-plain", "n": [1, None]}


def test_what_is_sealed_can_be_opened_by_its_owner_alone() -> None:
    sealed = Keyring(KEY).seal("ada", DATA)
    assert "sk-plain" not in sealed
    assert Keyring(KEY).open("ada", sealed) == DATA
    with pytest.raises(SecretUnreadable):
        Keyring(KEY).open("bob", sealed)


def test_the_same_data_is_never_sealed_to_the_same_text() -> None:
    keyring = Keyring(KEY)
    assert keyring.seal("ada", DATA) != keyring.seal("ada", DATA)


@pytest.mark.parametrize("text", ["", "gAAAAA", "é"])
def test_what_was_sealed_under_no_key_of_ours_can_not_be_opened(text: str) -> None:
    with pytest.raises(SecretUnreadable):
        Keyring(KEY).open("ada", text)
    with pytest.raises(SecretUnreadable):
        Keyring(KEY).open("ada", Keyring(OLD).seal("ada", DATA))


def test_a_text_that_was_tampered_with_can_not_be_opened() -> None:
    sealed = Keyring(KEY).seal("ada", DATA)
    other = "A" if sealed[40] != "A" else "B"
    with pytest.raises(SecretUnreadable):
        Keyring(KEY).open("ada", sealed[:40] + other + sealed[41:])


def test_the_old_key_opens_and_does_not_seal() -> None:
    both = Keyring(KEY, OLD)
    assert both.open("ada", Keyring(OLD).seal("ada", DATA)) == DATA
    assert Keyring(KEY).open("ada", both.seal("ada", DATA)) == DATA


def test_what_is_renewed_needs_the_old_key_no_more() -> None:
    renewed = Keyring(KEY, OLD).renew(Keyring(OLD).seal("ada", DATA))
    assert Keyring(KEY).open("ada", renewed) == DATA
    assert Keyring(KEY, OLD).renew(renewed) == renewed


@pytest.mark.parametrize("text", ["", "abc", "é"])
def test_what_is_under_no_key_of_ours_can_not_be_renewed(text: str) -> None:
    with pytest.raises(SecretUnreadable):
        Keyring(KEY, OLD).renew(text)


def test_without_a_key_nothing_is_sealed_or_opened() -> None:
    assert not NO_KEY.is_set
    with pytest.raises(SecretKeyMissing):
        NO_KEY.seal("ada", DATA)
    with pytest.raises(SecretKeyMissing):
        NO_KEY.open("ada", Keyring(KEY).seal("ada", DATA))
