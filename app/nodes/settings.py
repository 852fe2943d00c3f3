"""What an author says of a node type as a whole, and whether that can be meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.nodes.classes import runner_of
from app.nodes.queues import QUEUE_RULE, names_a_queue
from app.nodes.spec import RetryPolicy

#: The longest back-off, in milliseconds: a day.
MAX_BACKOFF_MS = 86_400_000

#: What is wrong where `@node` stands alone.
BARE = 'it has no type: write @node("…Node", category="…")'


@dataclass(frozen=True, slots=True)
class TypeSettings:
    """The words of `@node(...)` that can be wrong, as they were given."""

    type: Any
    category: Any
    retry: Any
    timeout_ms: Any
    queue: Any
    tags: Any
    in_place: bool


def check_settings(settings: TypeSettings, target: Any) -> None:
    """Raise ValueError with a sentence on the first thing that can't be meant."""
    fault = next(_faults(settings, target), None)
    if fault is not None:
        raise ValueError(fault)


def _faults(settings: TypeSettings, target: Any) -> Iterator[str]:
    if not callable(target):
        yield "it is neither a function nor a class"
        return
    if settings.type is None:
        yield BARE
    if not _is_text(settings.type):
        yield "its type has no name"
    if settings.category is None:
        yield f'it has no category: write @node("{settings.type}", category="…")'
    if not _is_text(settings.category):
        yield "its category has no name"
    if settings.queue is not None and not names_a_queue(settings.queue):
        yield f"its queue is {settings.queue!r}, and its name {QUEUE_RULE}"
    if isinstance(settings.tags, str):
        yield 'its tags are one text, not several: tags=("…",)'
    if settings.retry is not None:
        yield from _retry_faults(settings.retry)
    if settings.timeout_ms is not None and not _is_within(settings.timeout_ms, 1):
        yield f"its timeout_ms is {settings.timeout_ms}, and a timeout is above 0"
    yield from _function_faults(settings, runner_of(target) if inspect.isclass(target) else target)


def _retry_faults(retry: Any) -> Iterator[str]:
    if not isinstance(retry, RetryPolicy):
        yield "its retry is no RetryPolicy"
        return
    if not _is_within(retry.max_attempts, 1, 100):
        yield f"its retry allows {retry.max_attempts} attempts, not 1 to 100"
    for name in ("backoff_ms", "max_backoff_ms"):
        if not _is_within(getattr(retry, name), 0, MAX_BACKOFF_MS):
            yield f"its retry has {name} {getattr(retry, name)}, not 0 to {MAX_BACKOFF_MS}"
    if not 1 <= retry.backoff_factor <= 10:
        yield f"its retry has backoff_factor {retry.backoff_factor}, not 1 to 10"


def _function_faults(settings: TypeSettings, function: Callable[..., Any]) -> Iterator[str]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield "it yields, and a node returns its outputs"
    if not settings.in_place:
        return
    if inspect.iscoroutinefunction(function):
        yield "it is async and in_place: what runs in place can't wait"
    if settings.timeout_ms is not None:
        yield "it is in_place and has a timeout_ms: nothing can end what runs in place"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_within(value: object, low: int, high: int | None = None) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return low <= value and (high is None or value <= high)
