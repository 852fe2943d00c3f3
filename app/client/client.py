"""The client."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from app.client.executions import Executions
from app.client.flows import Flows
from app.client.node_types import NodeTypes
from app.client.secrets import Secrets
from app.client.transport import Transport

#: Seconds that one call may take.
TIMEOUT_S = 30.0


class Client:
    """The API at `base_url`, as one caller.

        with Client("http://127.0.0.1:4021") as client:
            flow = client.flows.store(document)
            execution = client.executions.create(flow.id, autostart=True)
            for event in client.executions.events(execution.id):
                print(event.type, event.data)
            print(client.executions.get(execution.id).outputs)

    Every method raises ClientError: ApiProblem where the API says no, ServerUnreachable where
    nobody answers. A client may be used by several threads.
    """

    def __init__(
        self, base_url: str, token: str | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._transport = Transport(base_url, token, timeout_s=timeout_s)
        self.flows = Flows(self._transport)
        self.executions = Executions(self._transport, time.monotonic)
        self.node_types = NodeTypes(self._transport)
        self.secrets = Secrets(self._transport)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._transport.base_url

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
