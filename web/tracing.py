"""What requests tell of executions: spans in the executions' traces, linked to the caller's."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.executions.tracing import Tracing

_PROPAGATOR = TraceContextTextMapPropagator()
#: What only looks is not told of.
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


def register_tracing(app: Flask, tracing: Tracing) -> None:
    """Tell of each request that commands an execution; one that creates some tells itself."""

    def begin() -> None:
        g.began_ns = time.time_ns()
        g.caller_trace = context.attach(
            _PROPAGATOR.extract(dict(request.headers.items(lower=True)))
        )

    def tell(response: Response) -> Response:
        began_ns: int | None = g.get("began_ns")
        execution_id = (request.view_args or {}).get("execution_id")
        if began_ns is None or execution_id is None or request.method in _LOOKS:
            return response
        what = f"{request.method} {request.url_rule}"
        if response.status_code < 400:
            tracing.commanded(execution_id, what, began_ns, response.status_code)
        return response

    def end(_error: BaseException | None) -> None:
        token = g.pop("caller_trace", None)
        if token is not None:
            context.detach(token)

    app.before_request(begin)
    app.after_request(tell)
    app.teardown_request(end)
