"""What Python hands over becomes JSON of its own, or says why it can't."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from app.values.plain import plain_copy


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    """A text with more to it."""

    __slots__ = ()


class Items(list[Any]):
    """A list with more to it."""


class Pair(NamedTuple):
    left: int
    right: str


@dataclass
class Box:
    content: Any


@pytest.mark.parametrize(
    ("value", "copy"),
    [
        (None, None),
        (True, True),
        (Level.LOW, 1),
        (Text("a"), "a"),
        (Items([1]), [1]),
        ((1, (2,)), [1, [2]]),
        (Pair(1, "a"), {"left": 1, "right": "a"}),
        (Box(Box(())), {"content": {"content": []}}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {"a": [1]}), {"a": [1]}),
    ],
)
def test_copies(value: Any, copy: Any) -> None:
    made = plain_copy(value)
    assert made == copy
    assert type(made) is type(copy)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (float("nan"), "it is nan, and JSON holds finite numbers only"),
        ({"a": [object()]}, r"a\[0\] is of type object, which JSON can't hold"),
        ({"a": {1: 2}}, "a has the key 1, and keys are texts"),
        ({1, 2}, "it is of type set"),
        ("\udc00", "it holds half of a surrogate pair"),
    ],
)
def test_what_has_no_copy(value: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        plain_copy(value)
