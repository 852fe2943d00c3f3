"""The clients."""

from __future__ import annotations

from typing import Generic

from app.client.address import Address
from app.client.closing import AsyncClosing, Closing
from app.client.executions import Executions
from app.client.flows import Flows
from app.client.methods import Way
from app.client.node_types import NodeTypes
from app.client.retrying import CALL, Patience
from app.client.secrets import Secrets
from app.client.servers import HealthChecks, Workers
from app.client.transport import AsyncTransport, Transport
from app.config import load_caller

#: Seconds that one call may take.
TIMEOUT_S = 30.0


class _Calls(Generic[Way]):
    """Everything that can be called, by what it is about."""

    def __init__(self, transport: Way) -> None:
        self._transport = transport
        self.flows = Flows(transport)
        self.executions = Executions(transport)
        self.node_types = NodeTypes(transport)
        self.secrets = Secrets(transport)
        self.workers = Workers(transport)
        self.health = HealthChecks(transport)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return self._transport.address.base_url


class Client(_Calls[Transport], Closing):
    """The API at `base_url`, as one caller.

        with Client() as client:
            flow = client.flows.store(document)
            execution = client.executions.create(flow.id, autostart=True)
            for event in client.executions.events(execution.id):
                print(event.type, event.data)
            print(client.executions.get(execution.id).outputs)

    Without a `base_url` it goes where CHAINGRAPH_URL says, with CHAINGRAPH_TOKEN; a token of the
    environment is sent nowhere else. Every method raises ClientError: ApiProblem where the API
    says no, ServerUnreachable where nobody answers: after so many `attempts`, about 1.5 s with five,
    of a call that may be sent again. A client may be used by several threads.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = CALL.attempts,
    ) -> None:
        super().__init__(
            Transport(_address(base_url, token), timeout_s=timeout_s, patience=Patience(attempts))
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class AsyncClient(_Calls[AsyncTransport], AsyncClosing):
    """The same for asyncio: methods are awaited, lists and events are read with `async for`.

        async with AsyncClient() as client:
            execution = await client.executions.create(flow_id, autostart=True)
            async for event in client.executions.events(execution.id):
                print(event.type, event.data)

    A client belongs to the event loop that first used it, where any number of tasks may use it.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        attempts: int = CALL.attempts,
    ) -> None:
        super().__init__(
            AsyncTransport(
                _address(base_url, token), timeout_s=timeout_s, patience=Patience(attempts)
            )
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def _address(base_url: str | None, token: str | None) -> Address:
    if base_url is not None:
        return Address(base_url, token)
    found = load_caller()
    return Address(found.url, token or found.token)
