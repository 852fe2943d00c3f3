"""Which node takes which signal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.store.signals import Kept, Wait, match

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def kept(*names: str) -> list[Kept]:
    """Signals that came a second apart, numbered from 1 on."""
    return [Kept(number, name, at(number)) for number, name in enumerate(names, 1)]


@pytest.mark.parametrize(
    ("signals", "waits", "given"),
    [
        ([], [Wait("a", "go", None)], {}),
        (kept("go"), [], {}),
        (kept("go"), [Wait("a", "stop", None)], {}),
        (kept("go", "go", "go"), [Wait("b", "go", None), Wait("a", "go", None)], {1: "b", 2: "a"}),
        (
            kept("go", "stop", "go"),
            [Wait("a", "stop", None), Wait("b", "go", None)],
            {1: "b", 2: "a"},
        ),
        # Over when the second came, and not when the first did.
        (kept("go", "go"), [Wait("a", "go", at(2)), Wait("b", "go", None)], {1: "a", 2: "b"}),
        (kept("go"), [Wait("a", "go", at(1)), Wait("b", "go", None)], {1: "b"}),
        (kept("go", "go"), [Wait("a", "go", at(1)), Wait("b", "go", at(3))], {1: "b"}),
    ],
)
def test_signals_go_in_order_to_the_first_node_that_still_waits(
    signals: list[Kept], waits: list[Wait], given: dict[int, str]
) -> None:
    assert match(signals, waits) == given
