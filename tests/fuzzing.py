"""Requests that schemathesis draws from what an API says of itself, and its checks of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from flask import Flask
from schemathesis import openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.generation.case import Case
from schemathesis.transport.wsgi import WSGI_TRANSPORT

#: Beside its own, statuses that say no for good reasons: what opaque cursors name (400), and what
#: documents, inputs and filters mean (422), is more than a schema can say; 412: another version.
REJECTED = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429]
ACCEPTED = ["2xx", "3xx", 401, 403, 404, 409, 429]
MEANT: dict[str, list[int]] = {
    "GET /api/v1/executions": [400],
    "GET /api/v1/executions/{executionId}/nodes": [400],
    "GET /api/v1/executions/{executionId}/recoveries": [400],
    "GET /api/v1/executions/{executionId}/tree": [400],
    "GET /api/v1/flows": [400],
    "GET /api/v1/flows/{flowId}/executions": [400],
    "GET /api/v1/nodes": [400],
    "GET /api/v1/secrets": [400],
    "GET /api/v1/workers": [400],
    "POST /api/v1/executions": [422],
    "POST /api/v1/executions/batch": [422],
    "POST /api/v1/executions/bulk": [422],
    "POST /api/v1/executions/{executionId}/fork": [422],
    # The key of another call before it.
    "POST /api/v1/executions/{executionId}/signals/{name}": [422],
    "POST /api/v1/flows": [422],
    "PUT /api/v1/flows/{flowId}": [412, 422],
}

#: Settings that mean nothing inside of a process.
OF_SOCKETS = {"max_redirects", "verify", "cert", "proxies"}


def faults_of(
    app: Flask,
    document: dict[str, Any],
    *paths: str,
    examples: int,
    headers: dict[str, str] | None = None,
    at_bounds: bool = True,
    stateful: bool = False,
) -> Iterator[str]:
    """What is wrong with the answers of the operations of these paths; of all without any.

    `examples` says how many requests of each kind are drawn for an operation, beside those for
    every bound and type, unless not `at_bounds`; `stateful`, whether answers lead to more.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "continue-on-failure": True,
            "headers": headers or {},
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "database": "none",
                # PostgreSQL keeps none; the rule has tests of its own.
                "allow-x00": False,
            },
            "phases": {
                "coverage": {"enabled": at_bounds},
                "stateful": {"enabled": stateful},
            },
            "checks": {"negative_data_rejection": {"expected-statuses": REJECTED}},
            "operations": [
                {
                    "include-name": label,
                    "checks": {
                        "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *statuses]}
                    },
                }
                for label, statuses in MEANT.items()
            ],
        }
    )
    described = {path: document["paths"][path] for path in paths or document["paths"]}
    schema = openapi.from_dict({**document, "paths": described}, config=config)
    schema.app = app
    with _without_sockets():
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    yield from _failures(event)
                case events.NonFatalError():
                    yield f"{event.label}: {event.info.format()}"
                case events.FatalError():
                    raise event.exception


@contextmanager
def _without_sockets() -> Iterator[None]:
    """Have what is sent again without its token reach an application of this process.

    Schemathesis (4.32) hands on settings of sockets with it, which such an application refuses.
    """
    send = WSGI_TRANSPORT.send

    def send_bare(case: Case, **settings: Any) -> Response:
        return send(case, **{name: settings[name] for name in settings.keys() - OF_SOCKETS})

    with patch.object(WSGI_TRANSPORT, "send", send_bare):
        yield


def _failures(finished: events.ScenarioFinished) -> Iterator[str]:
    for checks in finished.recorder.checks.values():
        for check in checks:
            if (found := check.failure_info) is not None:
                said = f"{found.failure.title}: {found.failure.message}"
                yield f"{finished.recorder.label}: {said}\n{found.code_sample}"
