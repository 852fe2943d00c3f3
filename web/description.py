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


@dataclass(frozen=True, slots=True)
class Given:
    """What a view answers with when all is well, and by which headers it may be asked.

    `model` is the shape of its JSON; without one there is no body, or it is of another
    `media_type`. `also` are further statuses with the same shape.
    """

    model: type[BaseModel] | None
    status: int
    media_type: str | None
    headers: tuple[str, ...]
    also: tuple[int, ...]


def gives(
    model: type[BaseModel] | None = None,
    status: int = 200,
    *,
    media_type: str | None = None,
    headers: tuple[str, ...] = (),
    also: tuple[int, ...] = (),
) -> Callable[[View], View]:
    """Declare what a view gives. A request costs nothing of it."""
    declared = Given(model, status, JSON if model else media_type, headers, also)

    def decorate(view: View) -> View:
        setattr(view, _DECLARATION, declared)
        return view

    return decorate


def given_by(view: Callable[..., object]) -> Given:
    """What a view was declared to give. Raises AttributeError where nothing was."""
    declared: Given = getattr(view, _DECLARATION)
    return declared
