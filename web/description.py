"""What a route gives, declared where it is defined, for whoever describes the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Response
from pydantic import BaseModel

View = TypeVar("View", bound=Callable[..., Response])

_DECLARATION = "gives"

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Given:
    """What a view answers with when all is well, and by which headers it may be asked.

    `model` is the shape of its JSON; without one there is no body, or it is of another
    `media_type`. `also` are further statuses with the same shape, `sends` the headers that come
    with it, `refuses` the statuses of problems beside those that every such route may give.
    `streams` says that it gives its events one by one, too, to who accepts that.
    """

    model: type[BaseModel] | None
    status: int
    media_type: str | None
    headers: tuple[str, ...]
    also: tuple[int, ...]
    sends: tuple[str, ...]
    refuses: tuple[int, ...]
    streams: bool


def gives(
    model: type[BaseModel] | None = None,
    status: int = 200,
    *,
    media_type: str | None = None,
    headers: tuple[str, ...] = (),
    also: tuple[int, ...] = (),
    sends: tuple[str, ...] = (),
    refuses: tuple[int, ...] = (),
    streams: bool = False,
) -> Callable[[View], View]:
    """Declare what a view gives. A request costs nothing of it."""
    kind = JSON if model else media_type
    declared = Given(model, status, kind, headers, also, sends, refuses, streams)

    def decorate(view: View) -> View:
        setattr(view, _DECLARATION, declared)
        return view

    return decorate


def given_by(view: Callable[..., object]) -> Given:
    """What a view was declared to give. Raises AttributeError where nothing was."""
    declared: Given = getattr(view, _DECLARATION)
    return declared
