from __future__ import annotations

import pytest

from app.streams import keys


def test_the_braces_are_part_of_the_name() -> None:
    assert keys.events("EX1") == "cg:{EX1}:events"
    assert keys.start("EX1") == "cg:{EX1}:start"
    assert keys.message("EX1") == "cg:{EX1}:message"
    assert keys.commands("EX1") == "cg:{EX1}:commands"
    assert keys.let_go("EX1") == "cg:{EX1}:let-go"
    assert keys.control("w1") == "cg:control:{w1}"


@pytest.mark.parametrize("index", [-1, 0, 41])
def test_an_entry_is_named_by_its_first_event(index: int) -> None:
    assert keys.entry_id(index) == f"{index + 2}-0"
    assert keys.first_index(keys.entry_id(index).encode()) == index
