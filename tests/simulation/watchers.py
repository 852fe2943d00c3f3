"""Those who watch executions, the sockets between them and the relay, and what they check.

A watcher comes at some time and at some position, reads as fast as it likes, is cut off, comes
again at `nextIndex`, perhaps at another API process, until it has the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from app.caller import LOCAL
from app.errors import NotFound, ServiceUnavailable, StoreUnavailable
from app.events.log import FINAL_STATUSES
from app.streams.delivery import NORMAL_CLOSURE, RESTARTING
from app.streams.frames import end_frame, events_frame
from app.streams.reader import hub_over
from app.streams.relay import End, Events, Wanted
from tests.simulation.invariants import Violation
from tests.simulation.scheduler import Host
from tests.simulation.threads import SimFlag, threads_of
from web.access import Ticket
from web.relay import Relay

if TYPE_CHECKING:
    from app.events.log import EventSource
    from app.store.events import EventLog
    from tests.simulation.world import World

#: Frames that are on their way before there is no room for more.
ROOM = 3
#: Nobody is asked for a token.
TICKET = Ticket(None, "", LOCAL)
#: Sockets of one API process.
MAX_SOCKETS = 100
#: What some watchers want to see; the others want all.
FILTERS = (
    None,
    None,
    None,
    frozenset({"node:completed"}),
    frozenset({"node:started", "flow:paused"}),
    frozenset({"execution:completed", "execution:failed", "execution:stopped"}),
)
#: One frame in so many is read late, is the last one before the cable breaks.
SLOW_ONE_IN = 8
CUT_ONE_IN = 10
#: How long (s) a watcher waits before it tries again.
AGAIN_S = 0.5
#: How many of the rows that are to be marked as watched are locked just then: the part of all.
LOCKED = 0.3


@dataclass(frozen=True, slots=True)
class Refused:
    """The handshake was answered with a problem."""

    status: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The socket was closed with this code; None: it broke."""

    code: int | None


class Wire:
    """One WebSocket: frames on their way to a watcher, and the server's end of it
    (app.streams.delivery.Outlet).
    """

    def __init__(self, world: World, host: Host) -> None:
        self._scheduler = world.scheduler
        self._host = host
        self._frames: deque[bytes | Refused | Closed] = deque()
        self._came: SimFlag = world.flag()
        self._is_closed = False
        self._is_broken = False
        self._on_writable: Callable[[], object] = lambda: None
        self._on_end: Callable[[], object] = lambda: None

    # -- the server's end

    @property
    def is_open(self) -> bool:
        return not (self._is_closed or self._is_broken)

    @property
    def is_writable(self) -> bool:
        return len(self._frames) < ROOM

    def begin(self, on_writable: Callable[[], object], on_end: Callable[[], object]) -> None:
        self._on_writable, self._on_end = on_writable, on_end
        if self._is_broken:
            self._end()

    def send_events(self, events: Events) -> None:
        lines = [each.envelope for each in events.events]
        self._send(events_frame(lines, events.next_index))

    def send_end(self, end: End) -> None:
        self._send(end_frame(end.status, end.next_index))

    def close(self, code: int, _reason: str = "") -> None:
        if self.is_open:
            self._is_closed = True
            self.put(Closed(code))

    def cut(self, *, loses: bool = False) -> None:
        """Break it, with what is on its way lost or not."""
        self._is_broken = True
        if loses:
            self._frames.clear()
        self._came.set()
        self._end()

    def put(self, frame: bytes | Refused | Closed) -> None:
        """Have something arrive."""
        self._frames.append(frame)
        self._came.set()

    def _send(self, frame: bytes) -> None:
        self._scheduler.point()
        if self.is_open:
            assert self.is_writable
            self.put(frame)

    def _end(self) -> None:
        self._tell(self._on_end)
        self._on_end = lambda: None

    def _tell(self, what: Callable[[], object]) -> None:
        """Have the server's process learn of something."""
        if not self._host.dead:
            self._scheduler.spawn(self._host, "loop", what)

    # -- the watcher's

    def take(self) -> bytes | Refused | Closed:
        """Wait for the next one."""
        while not self._frames and not self._is_broken:
            self._came.clear()
            self._came.wait()
        self._scheduler.point()
        if not self._frames:
            return Closed(None)
        was_full = not self.is_writable
        frame = self._frames.popleft()
        if isinstance(frame, Closed):
            # Who was said goodbye to hangs up.
            self.cut()
        elif was_full:
            self._tell(self._on_writable)
        return frame


class SimRelay:
    """The production relay of one API process."""

    def __init__(self, world: World, host: Host, log: EventLog) -> None:
        self._world = world
        self._host = host
        self._threads = threads_of(world.scheduler)
        client: Any = world.redis
        self._watch_rows = log.watch
        watch = self._watch if world.only_watched else None
        self.hub = hub_over(world.connect, client, log, self._threads, watch)
        self.relay = Relay(self.hub, MAX_SOCKETS, self._threads)
        self._wires: dict[Wire, None] = {}

    def _watch(self, execution_ids: Collection[str]) -> list[str]:
        """Mark what is watched, but for rows that somebody happens to have locked."""
        random = self._world.scheduler.random
        locked = [each for each in execution_ids if random.random() < LOCKED]
        free = [each for each in execution_ids if each not in locked]
        return locked + self._watch_rows(free)

    def open(self, execution_id: str, wanted: Wanted) -> Wire:
        """A watcher knocks."""
        wire = Wire(self._world, self._host)
        if self._host.dead:
            wire.cut(loses=True)
            return wire
        self._wires[wire] = None
        self._threads_of_host("socket", lambda: self._serve(wire, execution_id, wanted))
        return wire

    def _threads_of_host(self, name: str, body: Any) -> None:
        self._world.scheduler.spawn(self._host, name, body)

    def _serve(self, wire: Wire, execution_id: str, wanted: Wanted) -> None:
        """What the routes do (web.event_sockets, web.event_streams)."""
        try:
            head = self.relay.head(execution_id, LOCAL)
            self.relay.take_place()
        except NotFound:
            wire.put(Refused(404))
            return
        except (StoreUnavailable, ServiceUnavailable):
            wire.put(Refused(503))
            return
        self.relay.serve(wire, execution_id, head, wanted, TICKET)

    def drain(self) -> None:
        """Do as on SIGTERM."""
        self._threads_of_host("drain", self.relay.drain)

    def died(self) -> None:
        """The kernel closes what the process had open."""
        for wire in self._wires:
            wire.cut(loses=self._world.scheduler.random.random() < 0.5)


class Watcher:
    """One client that reads an execution's events to the end."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._random = world.scheduler.random
        self._name = f"watcher {number}"
        self._execution_id = ""
        self._position = -1
        self.has_end = False

    @property
    def is_waiting_for_its_end(self) -> bool:
        """Whether it watches, and has not read all yet."""
        return bool(self._execution_id) and not self.has_end

    def watch(self) -> None:
        """Come, and stay until the end."""
        scheduler = self._world.scheduler
        scheduler.sleep(self._random.random() * self._random.choice((1, 3, 8)))
        while not self._world.promised:
            scheduler.sleep(AGAIN_S)
        self._execution_id = self._random.choice(list(self._world.promised))
        self._position = self._random.choice((-1, -1, -1, 0, 3, 10))
        while not self.has_end:
            self._read(self._draw_wanted())
            scheduler.sleep(self._random.random() * AGAIN_S)

    def _draw_wanted(self) -> Wanted:
        return Wanted(
            from_index=self._position,
            types=self._random.choice(FILTERS),
            batch_size=self._random.choice((1, 2, 5, 100)),
            batch_timeout_s=self._random.choice((0.0, 0.025, 0.025, 1.0)),
        )

    def _read(self, wanted: Wanted) -> None:
        """Read until the end, or until the cable breaks."""
        self._note(f"comes for {wanted.from_index}")
        wire = self._world.api.relay.open(self._execution_id, wanted)
        while True:
            match wire.take():
                case Refused(404):
                    raise Violation(f"{self._where}: is answered with 404")
                case Refused() | Closed(None):
                    return
                case Closed(code):
                    self._take_close(code)
                    return
                case bytes(message):
                    self._take(orjson.loads(message), wanted)
            if not self._random.randrange(SLOW_ONE_IN):
                self._world.scheduler.sleep(self._random.random() * 2)
            if not self._random.randrange(CUT_ONE_IN):
                wire.cut(loses=False)
                self._go_back()
                return

    def _go_back(self) -> None:
        """Now and then read again what was read."""
        if not self._random.randrange(3):
            self._position = self._random.randrange(-1, self._position + 1)

    def _take(self, frame: Any, wanted: Wanted) -> None:
        if self.has_end:
            raise Violation(f"{self._where}: {frame} after the end")
        if "end" in frame:
            self._take_end(frame, wanted)
            return
        first, following = self._position, frame["nextIndex"]
        self._note(f"reads {first} up to {following}, without it")
        committed = self._world.invariants.known[self._execution_id].events
        if not first < following <= len(committed) - 1:
            raise Violation(f"{self._where}: {following} follows, of {len(committed)} events")
        expected = self._expected(first, following, wanted)
        seen = [(each["index"], each["type"], each["data"]) for each in frame["events"]]
        if seen != expected:
            raise Violation(f"{self._where}: reads {seen}, committed is {expected}")
        if len(seen) > wanted.batch_size:
            raise Violation(f"{self._where}: {len(seen)} events in a frame")
        for each in frame["events"]:
            self._world.reading.seen(self._execution_id, each)
        self._position = following

    def _expected(self, first: int, following: int, wanted: Wanted) -> list[tuple[int, str, Any]]:
        committed = self._world.invariants.known[self._execution_id].events
        return [
            (index, type_, data)
            for index, (type_, data) in enumerate(committed[first + 1 : following + 1], first)
            if wanted.types is None or type_ in wanted.types
        ]

    def _take_end(self, frame: Any, wanted: Wanted) -> None:
        known = self._world.invariants.known[self._execution_id]
        assert known.state is not None
        self._note(f"reads the end: {frame}")
        last = len(known.events) - 2
        if frame["status"] not in FINAL_STATUSES or frame["status"] != known.state.status:
            raise Violation(f"{self._where}: reads {frame}, it is {known.state.status}")
        if frame["nextIndex"] != last + 1:
            raise Violation(f"{self._where}: reads {frame}, and {last} is the last event")
        if missing := self._expected(self._position, last + 1, wanted):
            raise Violation(f"{self._where}: reads the end before {missing}")
        self.has_end = True

    def _take_close(self, code: int | None) -> None:
        if code == NORMAL_CLOSURE and not self.has_end:
            raise Violation(f"{self._where}: is closed before the end")
        if code not in {NORMAL_CLOSURE, RESTARTING}:
            raise Violation(f"{self._where}: is closed with {code}")

    @property
    def _where(self) -> str:
        return f"{self._execution_id}: {self._name} at {self._position}"

    def _note(self, what: str) -> None:
        self._world.scheduler.note(f"{self._name} of {self._execution_id[-4:]} {what}")


class Reading:
    """What all watchers of a world read: an index reads the same for ever, and for everybody."""

    def __init__(self) -> None:
        self._events: dict[tuple[str, int], Any] = {}

    def seen(self, execution_id: str, event: Any) -> None:
        """Somebody read an event."""
        before = self._events.setdefault((execution_id, event["index"]), event)
        if before != event:
            raise Violation(f"{execution_id}: 4: {before} reads {event} now")

    def at_end(self, log: EventSource) -> None:
        """All is over: the log has what was read."""
        for execution_id in {each for each, _ in self._events}:
            for stored in log.read(execution_id, -1, 100_000):
                event = orjson.loads(stored.envelope)
                if self._events.get((execution_id, stored.index), event) != event:
                    raise Violation(f"{execution_id}: 4: was read otherwise than {event}")
