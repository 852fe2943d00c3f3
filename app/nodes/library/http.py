"""The node that speaks HTTP."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn
from urllib.parse import urlsplit, urlunsplit

from app.errors import NodeError
from app.nodes.outbound.policy import AddressPolicy
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.nodes.spec import NodeSpec
from app.values.javascript import to_json

if TYPE_CHECKING:
    from app.nodes.outbound.connection import Resolve
    from app.nodes.outbound.exchange import Answer

CATEGORY = "utilities"

#: Bytes of an answer: what a port value may hold by default.
MAX_ANSWER_BYTES = 1024 * 1024

#: Milliseconds between two attempts at most: a day.
MAX_DELAY_MS = 86_400_000

Method = Literal["GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"]
ResponseType = Literal["json", "text", "blob", "html-to-markdown"]

#: Methods that change nothing there, and carry no body.
_SAFE_METHODS = frozenset({"GET", "HEAD"})

#: Headers that say how the body is framed; the client writes them itself.
_FRAMING = frozenset({"content-length", "transfer-encoding"})

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Headers = list[tuple[str, bytes]]


class HttpResult(NamedTuple):
    """What the server said."""

    status_code: Annotated[float, Port("statusCode")]
    response: str


def http_nodes(
    allow: Sequence[str] = (),
    *,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
    resolve: Resolve | None = None,
) -> list[NodeSpec]:
    """Give HttpRequestNode, which may reach what `allow` names although it is not public.

    `resolve` looks names up instead of the system.
    """
    policy = AddressPolicy.from_entries(allow)

    @node(
        "HttpRequestNode",
        category=CATEGORY,
        title="HTTP Request",
        tags=("http", "api", "request", "web"),
    )
    async def http_request(
        ctx: NodeContext,
        base_uri: Annotated[str, Port("baseUri", required=True)],
        path: Annotated[str, Port(required=True)],
        method: Annotated[Method, Port(required=True)] = "GET",
        headers: str | None = None,
        body: str | None = None,
        response_type: Annotated[ResponseType, Port("responseType", required=True)] = "text",
        timeout: Annotated[float, Port(required=True)] = 30_000,  # noqa: ASYNC109 - a port
        retries: float | None = 0,
    ) -> HttpResult:
        """Sends an HTTP request; any status is an answer.

        Ports: `baseUri` where the server is, `path` is joined onto it, `method` GET, POST, PUT,
        PATCH, HEAD or DELETE, `headers` one "Name: value" a line, `body` goes out as it is,
        `responseType` how the answer becomes a text, `timeout` in milliseconds (0: none),
        `retries` after a network error or a timeout, 1 s, 2 s, 4 s … apart, `statusCode` of the
        answer, `response` its body.
        """
        # Imported when first needed: no process starts slower for a node that it never runs.
        from app.nodes.outbound.connection import GuardedBackend, look_up
        from app.nodes.outbound.exchange import NetworkFailure, Question, exchange

        question = Question(
            method=method,
            url=joined(base_uri, path),
            headers=_headers(headers or "", body or "", method, ctx.idempotency_key),
            body=b"" if method in _SAFE_METHODS else (body or "").encode(),
            timeout_s=timeout / 1000 if timeout > 0 else None,
            max_bytes=max_answer_bytes,
        )
        try:
            answer = await exchange(question, GuardedBackend(policy, resolve or look_up))
        except NetworkFailure as failure:
            _fail_or_retry(failure, ctx.attempt, int(retries or 0))
        return HttpResult(answer.status, _READERS[response_type](answer))

    spec = spec_of(http_request)
    assert spec is not None, "node() has just set it"
    return [spec]


def joined(base_uri: str, path: str) -> str:
    """Put a path (and its query) behind a base URI, keeping the path (and the query) of that."""
    try:
        base, tail = urlsplit(base_uri.strip()), urlsplit("x:/" + path.strip().lstrip("/"))
    except ValueError as error:
        raise NodeError(f"baseUri and path make no URL: {error}") from error
    if base.scheme not in {"http", "https"} or not base.hostname:
        raise NodeError("baseUri must begin with http:// or https:// and a host")
    whole = base.path if tail.path == "/" else base.path.rstrip("/") + tail.path
    query = "&".join(filter(None, (base.query, tail.query)))
    return urlunsplit((base.scheme, base.netloc, whole, query, ""))


def _fail_or_retry(failure: NodeError, attempt: int, retries: int) -> NoReturn:
    if attempt > retries:
        raise failure
    # A float of a large power would overflow before the limit is applied.
    delay_ms = min(1000 * 2 ** min(attempt - 1, 40), MAX_DELAY_MS)
    raise RetryAfter(failure.message, delay_ms=delay_ms) from failure


def _headers(text: str, body: str, method: str, idempotency_key: str) -> Headers:
    headers = _parsed(text)
    given = {name.lower() for name, _ in headers}
    if "user-agent" not in given:
        headers.append(("User-Agent", b"chaingraph"))
    if method in _SAFE_METHODS:
        return headers
    if "idempotency-key" not in given:
        headers.append(("Idempotency-Key", idempotency_key.encode()))
    if body and "content-type" not in given:
        headers.append(("Content-Type", _content_type(body)))
    return headers


def _parsed(text: str) -> Headers:
    headers: Headers = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value):
            raise NodeError(f"line {number} of the headers is not 'Name: value'")
        if name.lower() not in _FRAMING:
            headers.append((name, value.encode()))
    return headers


def _content_type(body: str) -> bytes:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return b"text/plain;charset=UTF-8"
    return b"application/json"


def _json(answer: Answer) -> str:
    """Compact JSON; an error page that is no JSON is handed on as it is."""
    if not answer.body:
        return ""
    try:
        return to_json(json.loads(answer.text, parse_constant=_no_json))
    except (ValueError, RecursionError) as error:
        if answer.status >= 400:
            return answer.text
        raise NodeError(f"the answer (status {answer.status}) is not JSON: {error}") from error


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _markdown(answer: Answer) -> str:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    page = BeautifulSoup(answer.text, "html.parser")
    for hidden in page(["script", "style", "head", "noscript", "template"]):
        hidden.decompose()
    try:
        text: str = MarkdownConverter(heading_style="ATX").convert_soup(page)
    except RecursionError as error:
        raise NodeError("the page is nested too deeply") from error
    return text.strip()


_READERS: Mapping[str, Callable[[Answer], str]] = {
    "text": lambda answer: answer.text,
    "json": _json,
    "blob": lambda answer: base64.b64encode(answer.body).decode(),
    "html-to-markdown": _markdown,
}
