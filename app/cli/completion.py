"""What a shell offers for an argument: what the server has, where it says so at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from app.client import Client, ClientError
from app.config import load_caller
from app.errors import SettingsError

#: Seconds that whoever presses a key waits for the server.
TIMEOUT_S = 1.0
#: The newest so many are offered.
MOST_OFFERED = 50

#: What is offered, and what it is.
Offer = tuple[str, str]


def executions(incomplete: str) -> list[Offer]:
    """Ids of executions, newest first."""
    return _offered(incomplete, _executions)


def flows(incomplete: str) -> list[Offer]:
    """Ids of flows, newest first."""
    return _offered(incomplete, _flows)


def node_types(incomplete: str) -> list[Offer]:
    """Types of nodes."""
    return _offered(incomplete, _node_types)


def secrets(incomplete: str) -> list[Offer]:
    """Names of secrets."""
    return _offered(incomplete, _secrets)


def _executions(client: Client) -> Iterator[Offer]:
    for each in client.executions.list():
        yield each.id, f"{each.status}, {each.flow_id}"


def _flows(client: Client) -> Iterator[Offer]:
    for each in client.flows.list():
        yield each.id, each.name


def _node_types(client: Client) -> Iterator[Offer]:
    for each in client.node_types.list():
        yield each.type, each.title


def _secrets(client: Client) -> Iterator[Offer]:
    for each in client.secrets.list():
        yield each.name, each.secret_type


def _offered(incomplete: str, ask: Callable[[Client], Iterable[Offer]]) -> list[Offer]:
    try:
        caller = load_caller()
        with Client(caller.url, caller.token, timeout_s=TIMEOUT_S, attempts=1) as client:
            fitting = (offer for offer in ask(client) if offer[0].startswith(incomplete))
            return list(islice(fitting, MOST_OFFERED))
    except (ClientError, SettingsError):
        # There is nobody to tell: the shell takes what it gets.
        return []
