"""What is done for a caller, step by step: send, wait, send again. No input, no output.

A procedure yields its next step to whoever carries it out, which may block or may be awaited,
and is told what came of it. A call is tried again when it can't have been done: nobody took the
connection, or the caller was over its rate (429). One that may be done twice is also tried
again when the answer was lost, or says that the API or its database is away (502, 503, 504):
what that leaves open is whether it was done, and a later answer may tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from app.client.calls import Call
from app.client.errors import (
    ApiProblem,
    ClientError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from app.client.retrying import FOLLOW, Patience
from app.client.shapes import Execution, faults
from app.config.urls import masked

TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503
#: Its database is away, or whoever stands before the API doesn't reach it.
AWAY = frozenset({502, SERVICE_UNAVAILABLE, 504})

#: Pauses (s) between two looks at an execution that is waited for: they grow.
FIRST_LOOK_S = 0.05
LONGEST_LOOK_S = 1.0

#: Nothing was sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a call; what comes back is its Reply."""

    call: Call[Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call that was sent there: an answer, or none."""

    base_url: str
    outcome: httpx.Response | httpx.RequestError


@dataclass(frozen=True, slots=True)
class Again:
    """A try that failed with an error that the next one may not meet, after so many seconds."""

    error: ClientError
    after_s: float | None = None
    #: Whether the try may have done what was asked for.
    may_be_done: bool = False


Procedure = Generator[Send | Pause, Any, T]


def carried_out(call: Call[T], patience: Patience) -> Procedure[T]:
    """Make a call, again where that can't do harm. Raises ClientError."""
    failures = 0
    may_be_done = False
    while True:
        reply: Reply = yield Send(call)
        try:
            judged = _judged(call, reply)
        except ApiProblem as problem:
            if may_be_done and problem.status == call.done_before:
                return call.read(None)
            raise
        if not isinstance(judged, Again):
            return _read(call, judged)
        may_be_done = may_be_done or judged.may_be_done
        failures += 1
        if failures >= patience.attempts:
            raise judged.error
        yield Pause(patience.pause_s(failures, judged.after_s))


def until_final(
    look: Call[Execution],
    timeout_s: float | None,
    clock: Callable[[], float],
    patience: Patience,
) -> Procedure[Execution]:
    """Look at an execution until it is final. Raises WaitTimeout where it isn't in time."""
    deadline = None if timeout_s is None else clock() + timeout_s
    pause_s = FIRST_LOOK_S
    while True:
        execution = yield from carried_out(look, patience)
        if execution.is_final:
            return execution
        left_s = pause_s if deadline is None else deadline - clock()
        if left_s <= 0:
            raise WaitTimeout(f"{execution.id} is {execution.status} after {timeout_s} s")
        yield Pause(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)
        # It was there: if it is away now it will come back.
        patience = FOLLOW


def read_problem(status: int, body: bytes, url: str) -> ClientError:
    """Read the problem that a call was answered with."""
    try:
        raw = json.loads(body)
        errors = faults(raw.get("errors", ()))
        title = str(raw.get("title") or "")
        return ApiProblem(status, str(raw["code"]), str(raw["detail"]), errors, title)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Something between us and the API, or something else altogether.
        return UnexpectedAnswer(f"{url} answers {status}, and not as the API does")


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds to stay away; a date counts as nothing said."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def _judged(call: Call[Any], reply: Reply) -> httpx.Response | Again:
    answer = reply.outcome
    if isinstance(answer, httpx.RequestError):
        return _lost(call, reply.base_url, answer)
    if answer.is_success or answer.status_code == call.answers_with:
        return answer
    problem = read_problem(answer.status_code, answer.content, masked(str(answer.url)))
    is_away = answer.status_code in AWAY
    if answer.status_code == TOO_MANY_REQUESTS or (is_away and call.is_repeatable):
        return Again(problem, read_retry_after(answer.headers), may_be_done=is_away)
    raise problem


def _lost(call: Call[Any], base_url: str, error: httpx.RequestError) -> Again:
    if not isinstance(error, httpx.TransportError):
        raise UnexpectedAnswer(f"{masked(base_url)} answers what can't be read: {error}") from error
    unreachable = ServerUnreachable(f"{masked(base_url)} can't be reached: {_reason(error)}")
    was_sent = not isinstance(error, _NEVER_SENT)
    if call.is_repeatable or not was_sent:
        return Again(unreachable, may_be_done=was_sent)
    raise unreachable from error


def _read(call: Call[T], answer: httpx.Response) -> T:
    try:
        return call.read(json.loads(answer.content) if answer.content else None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(
            f"{masked(str(answer.url))} answers, and not as the API does"
        ) from error


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
