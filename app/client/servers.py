"""The servers themselves: workers that are alive, and whether the API can serve."""

from __future__ import annotations

from typing import Any

from app.client.calls import Call, Listing, at
from app.client.methods import Group, Way, listing, method
from app.client.procedures import SERVICE_UNAVAILABLE, Procedure
from app.client.shapes import Health, Worker


class Workers(Group[Way]):
    """The workers that are alive. Every method raises ClientError."""

    @listing
    def list(self) -> Listing[Worker]:
        """Give all, one for each worker and none for its children."""
        return Listing(at("workers"), Worker.from_json)


class HealthChecks(Group[Way]):
    """How the API is. Every method raises ClientError; no token is needed."""

    @method
    def live(self) -> Procedure[None]:
        """Return if the process answers. Raises ServerUnreachable."""
        return self.ask(Call(method="GET", path="/health/live", read=_nothing))

    @method
    def ready(self) -> Procedure[Health]:
        """Tell whether it can serve, and what is in its way."""
        look = Call(
            method="GET",
            path="/health/ready",
            read=Health.from_json,
            answers_with=SERVICE_UNAVAILABLE,
        )
        return self.ask(look)


def _nothing(_answer: Any) -> None:
    return None
