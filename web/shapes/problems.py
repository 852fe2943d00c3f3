"""Why a call was refused, and what is odd about what was taken."""

from __future__ import annotations

from pydantic import Field

from web.shapes.forms import Shape


class Fault(Shape):
    """One thing wrong, or odd: where, as a JSON pointer, and what."""

    pointer: str
    message: str


class Problem(Shape):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[Fault] = Field(default=[], description="what is wrong with a body or a query")
    error_id: str = Field(default="", description="where to find a fault of ours in the log")
