"""Secrets, as a caller sees them: never what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from app.client.paging import pages
from app.client.shapes import Secret
from app.client.transport import Transport


class Secrets:
    """The secrets of the caller. Every method raises ClientError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def store(self, name: str, data: Any, secret_type: str = "string") -> Secret:  # noqa: S107
        """Store a secret, a string or an object, under a name that is not taken."""
        body = {"name": name, "secretType": secret_type, "data": data}
        return Secret.from_json(self._transport.post("/secrets", body))

    def replace(
        self,
        secret_id: str,
        name: str,
        data: Any = None,
        secret_type: str = "string",  # noqa: S107
    ) -> Secret:
        """Replace a secret; without `data` what it holds stays."""
        body = {"name": name, "secretType": secret_type, "data": data}
        return Secret.from_json(self._transport.put(_path(secret_id), body))

    def get(self, secret_id: str) -> Secret:
        """Read one."""
        return Secret.from_json(self._transport.get(_path(secret_id)))

    def list(self) -> Iterator[Secret]:
        """Give all, newest first."""
        return map(Secret.from_json, pages(self._transport, "/secrets"))

    def delete(self, secret_id: str) -> None:
        """Delete one for good."""
        self._transport.delete(_path(secret_id))


def _path(secret_id: str) -> str:
    return f"/secrets/{quote(secret_id, safe='')}"
