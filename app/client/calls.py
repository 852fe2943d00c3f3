"""Calls of the API as values: what is sent, and how the answer is read. No input, no output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")

PREFIX = "/api/v1"

NOT_FOUND = 404

#: Null is a body, too.
NO_BODY = object()

Params = Mapping[str, Any]
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request, and the reader of its answer."""

    method: str
    path: str
    read: Callable[[Any], T]
    params: Params = field(default_factory=dict)
    body: Any = NO_BODY
    headers: Headers = field(default_factory=dict)
    #: Whether twice is as good as once.
    is_repeatable: bool = False
    #: A status beside 2xx whose body is an answer, and no problem.
    answers_with: int | None = None
    #: A status that says that it is done, if an earlier try may have done it.
    done_before: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `rest` asks for what comes after it, None at the end."""

    items: Iterable[T]
    rest: Listing[T] | None


def _by_cursor(page: Any) -> Params | None:
    cursor = page["nextCursor"]
    return None if cursor is None else {"cursor": cursor}


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that comes in pages, from the one that the parameters name."""

    path: str
    read: Callable[[Any], T]
    params: Params = field(default_factory=dict)
    #: What a page calls its items, and what names the page after it.
    items: str = "items"
    rest: Callable[[Any], Params | None] = _by_cursor

    def call(self) -> Call[Page[T]]:
        """The call for the first page of it."""
        return get(self.path, self.read_page, self.params)

    def read_page(self, page: Any) -> Page[T]:
        """Read a page."""
        more = self.rest(page)
        rest = None if more is None else replace(self, params={**self.params, **more})
        return Page([self.read(each) for each in page[self.items]], rest)


def at(*steps: str) -> str:
    """A path of the API; ids are steps of it, whatever they hold."""
    return "/".join([PREFIX, *(quote(step, safe="") for step in steps)])


def get(path: str, read: Callable[[Any], T], params: Params | None = None) -> Call[T]:
    """Read something; a parameter that is None isn't sent."""
    return Call(method="GET", path=path, read=read, params=given(params or {}), is_repeatable=True)


def post(
    path: str,
    read: Callable[[Any], T],
    body: Any,
    *,
    is_repeatable: bool = False,
    key: str | None = None,
) -> Call[T]:
    """Send something; with an idempotency `key` twice is as good as once."""
    return Call(
        method="POST",
        path=path,
        read=read,
        body=body,
        headers={} if key is None else {"Idempotency-Key": key},
        is_repeatable=is_repeatable or key is not None,
    )


def put(
    path: str,
    read: Callable[[Any], T],
    body: Any,
    *,
    headers: Headers | None = None,
    is_repeatable: bool = False,
) -> Call[T]:
    """Replace something."""
    return Call(
        method="PUT",
        path=path,
        read=read,
        body=body,
        headers=headers or {},
        is_repeatable=is_repeatable,
    )


def delete(path: str) -> Call[None]:
    """Take something away; what isn't there any more once the answer was lost was taken away."""
    return Call(
        method="DELETE", path=path, read=_nothing, is_repeatable=True, done_before=NOT_FOUND
    )


def given(values: Params) -> dict[str, Any]:
    """What is not None."""
    return {name: value for name, value in values.items() if value is not None}


def _nothing(_answer: Any) -> None:
    return None
