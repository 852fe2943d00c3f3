"""What can go wrong for a caller of the API.

ClientError
├── ServerUnreachable   nobody answers, after all tries
├── ApiProblem          the API says no, and why
├── UnexpectedAnswer    somebody answers, but not as the API does
└── WaitTimeout         an execution isn't final in time; a TimeoutError, too
"""

from __future__ import annotations

from collections.abc import Sequence

from app.client.shapes import Fault
from app.errors import ChainGraphError


class ClientError(ChainGraphError):
    """A call of the API failed."""


class ServerUnreachable(ClientError):
    """Nobody answers there."""


class ApiProblem(ClientError):
    """The API refused a call: its status, its code, and each fault of what was sent."""

    def __init__(
        self, status: int, code: str, detail: str, errors: Sequence[Fault] = (), title: str = ""
    ) -> None:
        self.status = status
        self.code = code
        #: What the status means, in words; the code where the answer has none.
        self.title = title or code
        self.detail = detail
        self.errors = tuple(errors)
        faults = [f"{fault.pointer or 'the whole'}: {fault.message}" for fault in self.errors]
        super().__init__("; ".join([f"{status} {code}: {detail}", *faults]))


class UnexpectedAnswer(ClientError):
    """What answers there is not the API."""


class WaitTimeout(ClientError, TimeoutError):
    """The execution is not final yet."""
