"""The one tree of errors; a class's docstring is its default message.

ChainGraphError
├── SettingsError               a setting is wrong: the process does not start
│   └── NodeDefinitionError     … because a node is written wrongly, or can't be loaded
├── RequestError                what the caller sent can't be done; has a code of docs/api.md
│   ├── ValidationFailed        VALIDATION_ERROR, with its faults
│   ├── BadRequest              BAD_REQUEST
│   ├── Unauthorized            UNAUTHORIZED
│   ├── Forbidden               FORBIDDEN
│   ├── NotFound                NOT_FOUND
│   ├── Conflict                CONFLICT
│   ├── TooManyRequests         TOO_MANY_REQUESTS
│   ├── SecretKeyMissing        SECRET_KEY_MISSING
│   └── ServiceUnavailable      SERVICE_UNAVAILABLE
├── NodeError                   a node failed; `type` and `message` reach the events
│   ├── NonRetryableError       … and trying again can't help
│   │   └── StreamFailed        … because the node failed whose stream it read
│   ├── NodeTimeout             … because its time was up
│   └── NodeCancelled           … because the execution stopped
├── SecretUnreadable            a secret can't be decrypted here
└── StoreUnavailable            PostgreSQL can't be reached
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class ChainGraphError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n")[0]
        super().__init__(self.message)


class SettingsError(ChainGraphError):
    """A setting is wrong."""


class NodeDefinitionError(SettingsError):
    """A node is written wrongly."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document: where (a JSON pointer, RFC 6901) and what."""

    pointer: str
    message: str


class RequestError(ChainGraphError):
    """The request can't be carried out."""

    code: ClassVar[str] = "BAD_REQUEST"


class ValidationFailed(RequestError):
    """The document is not valid."""

    code = "VALIDATION_ERROR"

    def __init__(self, faults: list[Fault], message: str | None = None) -> None:
        self.faults = faults
        super().__init__(message)


class BadRequest(RequestError):
    """The request can't be read."""


class Unauthorized(RequestError):
    """A valid token is needed."""

    code = "UNAUTHORIZED"


class Forbidden(RequestError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class NotFound(RequestError):
    """There is no such resource."""

    code = "NOT_FOUND"


class Conflict(RequestError):
    """The resource is in another status."""

    code = "CONFLICT"


class TooManyRequests(RequestError):
    """There is no room for another one."""

    code = "TOO_MANY_REQUESTS"

    def __init__(self, message: str | None = None, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class SecretKeyMissing(RequestError):
    """Secrets can't be kept: SECRET_KEY is not set."""

    code = "SECRET_KEY_MISSING"


class ServiceUnavailable(RequestError):
    """The database can't be reached."""

    code = "SERVICE_UNAVAILABLE"


class NodeError(ChainGraphError):
    """The node failed."""

    @property
    def type(self) -> str:
        """The name that `error.type` of the node's events carries."""
        return type(self).__name__


class NonRetryableError(NodeError):
    """The node failed, and trying again can't help."""


class StreamFailed(NonRetryableError):
    """The stream ended with an error."""


class NodeTimeout(NodeError):
    """The node's time was up."""


class NodeCancelled(NodeError):
    """The execution was stopped."""


class SecretUnreadable(ChainGraphError):
    """The secret can't be decrypted: it was encrypted under another SECRET_KEY, or another's."""


class StoreUnavailable(ChainGraphError):
    """PostgreSQL can't be reached."""
