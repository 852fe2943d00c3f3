"""Connections to the store: what is sent, what the server does with it, what comes back.

Between the three anything may happen: others' statements, the client's death, a cut. A
statement that was sent may be done although its client is gone, and at any later time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.errors import StoreUnavailable
from app.store.records import Fence
from tests.simulation.scheduler import Host, Killed, Scheduler, Task

#: So late (s) what was sent may be done once its connection is cut.
LATE_S = (0.0, 0.0, 0.5, 2.0)

#: Hears of each statement when its effect is there: who sent it, its name, under which fence.
Done = Callable[[Host, str, Fence | None], None]


class _Lost:
    """What a client gets instead of a reply."""


_LOST = _Lost()


class Line:
    """One connection of a process; for one task at a time."""

    def __init__(self, server: StoreServer, host: Host) -> None:
        self.host = host
        self.is_cut = False
        #: Called once the server has let the session go.
        self.on_end: Callable[[], None] = lambda: None
        self._server = server
        self._client: Task | None = None
        self._request: Task | None = None
        self._is_done = False

    def ask(self, name: str, execute: Callable[[], Any], fence: Callable[[], Fence | None]) -> Any:
        """Have a statement executed and give what it gives. Raises StoreUnavailable.

        `fence` gives the one that it was asked for under, once it is done.
        """
        scheduler = self._server.scheduler
        if scheduler.current.host.dead:
            raise Killed
        if self.is_cut:
            scheduler.point()
            raise StoreUnavailable(f"{name}: the connection is lost")
        self._is_done = False
        self._client = scheduler.current
        label = f"{name} for {self._client}"

        def serve() -> None:
            self._serve(name, execute, fence)

        self._request = scheduler.spawn(self._server, label, serve)
        reply = scheduler.block()
        self._client = None
        if reply is _LOST:
            raise StoreUnavailable(f"{name}: the connection is lost")
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def _serve(
        self, name: str, execute: Callable[[], Any], fence: Callable[[], Fence | None]
    ) -> None:
        request = self._request
        try:
            reply = execute()
        except StoreUnavailable as error:
            reply = error
        self._is_done = True
        self._server.done(self.host, name, fence())
        self._server.scheduler.note(f"{self.host.name}: {name} {_shown(fence())} {_rows(reply)}")
        if self._request is request:
            self._request = None
        if self.is_cut:
            self.on_end()
        elif self._client is not None:
            self._server.scheduler.wake(self._client, reply)

    def cut(self, *, executes: bool) -> None:
        """Break the connection. What was sent and not begun is done all the same, or never."""
        if self.is_cut:
            return
        self.is_cut = True
        self._server.lines.pop(self, None)
        scheduler, request = self._server.scheduler, self._request

        def late(body: Callable[[], object]) -> Callable[[], object]:
            delay_s = scheduler.random.choice(LATE_S)

            def wait_and_serve() -> None:
                scheduler.sleep(delay_s)
                body()

            return wait_and_serve

        if request is not None and request.greenlet is None:
            scheduler.discard(request)
            self._request = None
            if executes:
                self._request = scheduler.spawn(
                    self._server, f"late {request.name}", late(request.body)
                )
        if self._client is not None and not self.host.dead:
            if self._is_done:
                # The reply was under way.
                self._client.value = _LOST
            else:
                scheduler.wake(self._client, _LOST)
        if self._request is None:
            self.on_end()

    def close(self) -> None:
        """The client says good-bye: nothing is under way."""
        if not self.is_cut:
            self.is_cut = True
            self._server.lines.pop(self, None)
            self.on_end()

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits for a reply on it."""
        return self._client is not None

    def __str__(self) -> str:
        doing = "idle" if self._request is None else self._request.name
        return f"{self.host.name} ({doing})"


class StoreServer(Host):
    """The database server, as the network sees it."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__("postgres")
        self.scheduler = scheduler
        self.is_up = True
        self.lines: dict[Line, None] = {}
        self.done: Done = lambda *_: None

    def connect(self) -> Line:
        """Open a connection for the process whose task runs. Raises StoreUnavailable."""
        self.scheduler.point()
        if not self.is_up:
            raise StoreUnavailable("nobody listens")
        line = Line(self, self.scheduler.current.host)
        self.lines[line] = None
        return line

    def cut_all(self, host: Host | None = None, *, executes: bool = False) -> None:
        """Break the connections of a process, or all."""
        for line in list(self.lines):
            if host is None or line.host is host:
                line.cut(executes=executes)


def _shown(fence: Fence | None) -> str:
    if fence is None:
        return ""
    return f"[{fence.execution_id[-4:]}{'/' + fence.node_id if fence.node_id else ''} epoch {fence.epoch}]"


def _rows(reply: Any) -> str:
    if isinstance(reply, BaseException):
        return f"raised {reply}"
    if reply == []:
        return "-> void"
    return "" if isinstance(reply, list) else f"-> {reply}"
