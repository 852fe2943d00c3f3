"""The REST API over one kept connection, at little cost of CPU."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from app.embedded.ports import LOOPBACK

PREFIX = "/api/v1"
TIMEOUT_S = 60


class Refused(Exception):
    """The API said no."""


class Api:
    """Not for several threads at once."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S)

    def get(self, path: str) -> Any:
        """Read a resource."""
        return self._call("GET", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make something, or command it."""
        return self._call("POST", path, body or {})

    def store(self, document: Mapping[str, Any]) -> str:
        """Store a flow; return its id."""
        return str(self.post("/flows", document)["id"])

    def create(self, flow_id: str, *, autostart: bool) -> str:
        """Create an execution; return its id."""
        body = {"flowId": flow_id, "autostart": autostart}
        return str(self.post("/executions", body)["id"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        encoded = None if body is None else json.dumps(body).encode()
        headers = {} if encoded is None else {"Content-Type": "application/json"}
        try:
            answer = self._ask(method, path, encoded, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closes what was idle for long; nothing was done then.
            self._connection.close()
            answer = self._ask(method, path, encoded, headers)
        data = answer.read()
        if answer.status >= 300:
            raise Refused(f"{method} {path}: {answer.status} {data[:500].decode(errors='replace')}")
        return json.loads(data)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, PREFIX + path, body, headers)
        return self._connection.getresponse()
