"""What all answers have in common: their times, their members, their lists."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

Time = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        }
    ),
]


class Shape(BaseModel):
    """An object of an answer: all of its members are always there, some of them null."""

    model_config = ConfigDict(alias_generator=to_camel)


Item = TypeVar("Item")


class Page(Shape, Generic[Item]):
    """One page of a list; `nextCursor` is null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(Shape, Generic[Item]):
    """A whole list."""

    items: list[Item]
