"""Those who are sent events by one API process.

Their connections are taken out of the server's hands: one thread watches all of them (web.loop),
and a few send what there is (app.streams.pump).
"""

from __future__ import annotations

from functools import partial

from app.caller import Caller
from app.errors import NotFound, ServiceUnavailable
from app.events.log import Head
from app.streams.counted_outlet import CountedOutlet, RelayMeter
from app.streams.delivery import REFUSED, RESTARTING, Delivery, Outlet
from app.streams.hub import Hub
from app.streams.permits import Permits
from app.streams.pump import Pump
from app.streams.relay import Feed, Wanted
from app.streams.threads import THREADS, Threads
from web.access import Ticket
from web.loop import SocketLoop

#: How long (s) clients have to take their goodbye before they are cut, and then to be gone.
DRAIN_S = 0.9
GONE_WITHIN_S = 1.0


class Relay:
    """Those who are sent events by one API process, by WebSocket or however else."""

    def __init__(
        self,
        hub: Hub,
        max_clients: int,
        threads: Threads = THREADS,
        loop: SocketLoop | None = None,
        meter: RelayMeter | None = None,
    ) -> None:
        self._hub = hub
        self._meter = meter
        self._loop = loop
        self._max_clients = max_clients
        self._pump = Pump(threads)
        self._permits = Permits(threads)
        self._places_taken = 0
        self._open: dict[Outlet, tuple[Delivery, Feed]] = {}
        self._changed = threads.condition()
        self._draining = False

    @property
    def open_sockets(self) -> int:
        """How many clients are served now."""
        return len(self._open)

    def head(self, execution_id: str, caller: Caller) -> Head:
        """Where a caller's execution stands. Raises NotFound, StoreUnavailable."""
        head = None if "\0" in execution_id else self._hub.head(execution_id)
        if head is None or not caller.may_see(head.owner_id):
            raise NotFound(f"There is no execution '{execution_id}'")
        return head

    def take_place(self) -> None:
        """Make sure that one more socket may be served. Raises ServiceUnavailable."""
        with self._changed:
            if self._draining:
                raise ServiceUnavailable("The server is shutting down.")
            if self._places_taken >= self._max_clients:
                raise ServiceUnavailable("All sockets are taken.")
            self._places_taken += 1

    def give_place_back(self) -> None:
        """A socket is no longer served."""
        with self._changed:
            self._places_taken -= 1

    def serve(
        self, client: Outlet, execution_id: str, head: Head, wanted: Wanted, ticket: Ticket
    ) -> None:
        """Have a client be sent events from now on. It gives its place back when it is gone."""
        if self._meter is not None:
            client = CountedOutlet(client, self._meter, head)
        feed = self._hub.open(execution_id, head, wanted)
        delivery = Delivery(feed, client, self._pump)
        with self._changed:
            self._open[client] = delivery, feed
        if ticket.tokens is not None:
            self._permits.keep(
                client, ticket, partial(client.close, REFUSED, "the token was revoked")
            )
        delivery.begin(lambda: self._forget(client))
        if self._draining:
            client.close(RESTARTING, "restarting")

    def drain(self) -> None:
        """Say goodbye to every client within a second: they resume elsewhere."""
        with self._changed:
            self._draining = True
            clients = list(self._open)
        for client in clients:
            client.close(RESTARTING, "restarting")
        self._hub.interrupt()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, DRAIN_S)
            late = list(self._open)
        for client in late:
            client.cut()
        with self._changed:
            self._changed.wait_for(lambda: not self._open, GONE_WITHIN_S)

    def close(self) -> None:
        """End the threads that send, once it is drained."""
        self._pump.close()
        self._permits.close()
        if self._loop is not None:
            self._loop.close()

    def _forget(self, client: Outlet) -> None:
        with self._changed:
            delivery, feed = self._open.pop(client)
            self._changed.notify_all()
        self._permits.drop(client)
        delivery.end()
        self._hub.release(feed)
        self.give_place_back()
