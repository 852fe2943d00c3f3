"""Where the API is, and what every request to it has in common."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.client.calls import NO_BODY, Call, Params, given


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API is, and who calls."""

    base_url: str
    token: str | None = field(repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"base_url begins with http:// or https:// and a host: {self.base_url!r}"
            )
        object.__setattr__(self, "base_url", self.base_url.rstrip("/"))

    @property
    def headers(self) -> dict[str, str]:
        """What tells who calls."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def uses_proxy(self) -> bool:
        """Whether a proxy may be on the way: one of this machine's is no way to this machine."""
        return not _is_loopback(urlsplit(self.base_url).hostname or "")

    def url(self, path: str) -> str:
        """Where a path is."""
        return f"{self.base_url}{path}"

    def socket_url(self, path: str, params: Params) -> str:
        """Where a WebSocket is."""
        return f"ws{self.url(path).removeprefix('http')}?{urlencode(given(params))}"

    def options(self, timeout_s: float) -> dict[str, Any]:
        """What an HTTP client of either kind is made with."""
        return {
            "headers": {"Accept": "application/json", **self.headers},
            "timeout": timeout_s,
            "trust_env": self.uses_proxy,
        }

    def request(self, call: Call[Any]) -> dict[str, Any]:
        """A call as an HTTP client of either kind takes it."""
        has_body = call.body is not NO_BODY
        return {
            "method": call.method,
            "url": self.url(call.path),
            "params": call.params,
            # All in ASCII: half of a surrogate pair is then for the API to refuse.
            "content": json.dumps(call.body, allow_nan=False) if has_body else None,
            "headers": {"Content-Type": "application/json", **call.headers}
            if has_body
            else call.headers,
        }


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
