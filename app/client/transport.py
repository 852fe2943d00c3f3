"""HTTP as the API speaks it: JSON in, JSON or problems out, and tries that can't do harm.

A call is tried again when it can't have been done: nobody took the connection, or the caller
was over its rate (429). One that may be done twice is also tried again when the answer was
lost, or says that the database is away (503): what that leaves open is whether it was done.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from app.client.errors import ApiProblem, ClientError, ServerUnreachable, UnexpectedAnswer
from app.client.retrying import CALL, Patience
from app.client.shapes import faults

PREFIX = "/api/v1"

TOO_MANY_REQUESTS = 429
SERVICE_UNAVAILABLE = 503

#: Nothing was sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

#: Null is a body, too.
_NO_BODY = object()

_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})

Pause = Callable[[float], None]
Params = Mapping[str, Any]


class Transport:
    """The connection of a client to one API."""

    def __init__(
        self,
        base_url: str,
        token: str | None,
        *,
        timeout_s: float,
        pause: Pause = time.sleep,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"base_url begins with http:// or https:// and a host: {base_url!r}")
        self.base_url = base_url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        #: A proxy of this machine's is no way to this machine.
        self.uses_proxy = not _is_loopback(parts.hostname)
        self.pause = pause
        self._http = httpx.Client(
            headers={"Accept": "application/json", **self.headers},
            timeout=timeout_s,
            trust_env=self.uses_proxy,
            transport=http,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Params | None = None, patience: Patience = CALL) -> Any:
        """Read something. Raises ClientError."""
        return self._call("GET", path, params=params, patience=patience)

    def post(
        self, path: str, body: Any, *, repeatable: bool = False, key: str | None = None
    ) -> Any:
        """Send something; `repeatable` says that twice is as good as once. Raises ClientError.

        With an idempotency `key` twice is as good as once.
        """
        return self._call(
            "POST", path, body=body, repeatable=repeatable or key is not None, key=key
        )

    def put(self, path: str, body: Any) -> Any:
        """Replace something. Raises ClientError."""
        return self._call("PUT", path, body=body)

    def delete(self, path: str) -> None:
        """Take something away. Raises ClientError."""
        self._call("DELETE", path)

    def url(self, path: str) -> str:
        """Where a path of the API is."""
        return f"{self.base_url}{PREFIX}{path}"

    def socket_url(self, path: str, params: Params) -> str:
        """Where a WebSocket of the API is."""
        return f"ws{self.url(path).removeprefix('http')}?{urlencode(_given(params))}"

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = _NO_BODY,
        repeatable: bool = False,
        key: str | None = None,
        patience: Patience = CALL,
    ) -> Any:
        has_body = body is not _NO_BODY
        headers = {"Content-Type": "application/json"} if has_body else {}
        request = self._http.build_request(
            method,
            self.url(path),
            params=_given(params or {}),
            # All in ASCII: half of a surrogate pair is then for the API to refuse.
            content=json.dumps(body, allow_nan=False) if has_body else None,
            headers=headers if key is None else {**headers, "Idempotency-Key": key},
        )
        failures = 0
        while True:
            outcome = self._try(request, repeatable=repeatable or method in _REPEATABLE)
            if not isinstance(outcome, Retry):
                return outcome
            failures += 1
            if failures >= patience.attempts:
                raise outcome.error
            self.pause(patience.pause_s(failures, outcome.after_s))

    def _try(self, request: httpx.Request, *, repeatable: bool) -> Any:
        try:
            answer = self._http.send(request)
        except httpx.TransportError as error:
            unreachable = ServerUnreachable(f"{self.base_url} can't be reached: {_reason(error)}")
            if repeatable or isinstance(error, _NEVER_SENT):
                return Retry(unreachable)
            raise unreachable from error
        except httpx.DecodingError as error:
            raise UnexpectedAnswer(f"{request.url} answers what can't be read: {error}") from error
        if answer.is_success:
            return _decoded(answer)
        problem = read_problem(answer.status_code, answer.content, str(request.url))
        if answer.status_code == TOO_MANY_REQUESTS or (
            answer.status_code == SERVICE_UNAVAILABLE and repeatable
        ):
            return Retry(problem, read_retry_after(answer.headers))
        raise problem


class Retry:
    """A try that failed with an error that the next one may not meet, after so many seconds."""

    def __init__(self, error: ClientError, after_s: float | None = None) -> None:
        self.error = error
        self.after_s = after_s


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


def _decoded(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise UnexpectedAnswer(f"{answer.url} answers, and not as the API does") from error


def _given(params: Params) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
