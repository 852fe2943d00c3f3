"""Flows, as a caller sees them."""

from __future__ import annotations

from app.client.calls import Listing, at, delete, get, post, put
from app.client.methods import Group, Way, listing, method
from app.client.procedures import Procedure
from app.client.shapes import Flow, Json, Validation


class Flows(Group[Way]):
    """The flows of the caller. Every method raises ClientError."""

    @method
    def store(self, document: Json) -> Procedure[Flow]:
        """Store a document: a new flow, or the next version of the one whose id it brings."""
        return self.ask(post(at("flows"), Flow.from_json, document))

    @method
    def replace(
        self, flow_id: str, document: Json, *, version: int | None = None
    ) -> Procedure[Flow]:
        """Store a document as the next version of a flow that is there.

        With a `version` only over that one: an ApiProblem with status 412 where there is a newer.
        It isn't sent again when its answer is lost: that would make another version, or meet its
        own.
        """
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return self.ask(put(at("flows", flow_id), Flow.from_json, document, headers=headers))

    @method
    def get(self, flow_id: str, version: int | None = None) -> Procedure[Flow]:
        """Read a flow with its document, the newest version unless another is asked for."""
        return self.ask(get(at("flows", flow_id), Flow.from_json, {"version": version}))

    @listing
    def list(self) -> Listing[Flow]:
        """Give all flows, newest first, without their documents."""
        return Listing(at("flows"), Flow.from_json)

    @method
    def validate(self, document: Json) -> Procedure[Validation]:
        """Check a document without storing it."""
        path = at("flows", "validate")
        return self.ask(post(path, Validation.from_json, document, is_repeatable=True))

    @method
    def hide(self, flow_id: str) -> Procedure[None]:
        """Hide a flow; its executions stay readable."""
        return self.ask(delete(at("flows", flow_id)))
