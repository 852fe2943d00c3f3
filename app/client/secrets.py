"""Secrets, as a caller sees them: never what they hold."""

from __future__ import annotations

from typing import Any

from app.client.calls import Listing, at, delete, get, post, put
from app.client.methods import Group, Way, listing, method
from app.client.procedures import Procedure
from app.client.shapes import Secret


class Secrets(Group[Way]):
    """The secrets of the caller. Every method raises ClientError."""

    @method
    def store(
        self,
        name: str,
        data: Any,
        secret_type: str = "string",  # noqa: S107
    ) -> Procedure[Secret]:
        """Store a secret, a string or an object, under a name that is not taken."""
        body = {"name": name, "secretType": secret_type, "data": data}
        return self.ask(post(at("secrets"), Secret.from_json, body))

    @method
    def replace(
        self,
        secret_id: str,
        name: str,
        data: Any = None,
        secret_type: str = "string",  # noqa: S107
    ) -> Procedure[Secret]:
        """Replace a secret; without `data` what it holds stays."""
        body = {"name": name, "secretType": secret_type, "data": data}
        path = at("secrets", secret_id)
        return self.ask(put(path, Secret.from_json, body, is_repeatable=True))

    @method
    def get(self, secret_id: str) -> Procedure[Secret]:
        """Read one."""
        return self.ask(get(at("secrets", secret_id), Secret.from_json))

    @listing
    def list(self) -> Listing[Secret]:
        """Give all, newest first."""
        return Listing(at("secrets"), Secret.from_json)

    @method
    def delete(self, secret_id: str) -> Procedure[None]:
        """Delete one for good."""
        return self.ask(delete(at("secrets", secret_id)))
