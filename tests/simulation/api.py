"""An API process of the world: the production service, and the clients that call it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.caller import LOCAL
from app.errors import Conflict, StoreUnavailable
from app.executions.control import Control
from app.executions.effects import Effects
from app.executions.service import ExecutionService, NewExecution
from app.executions.signalling import Signalling
from app.executions.views import loaded
from app.store.commands import PgCommandStore
from app.store.events import EventLog
from app.store.keys import RequestKey
from app.store.signals import SignalStore
from tasks.dispatcher import Dispatcher
from tests.simulation.books import State
from tests.simulation.nodes import PLANS, SIGNALLED
from tests.simulation.scheduler import Host
from tests.simulation.signalling import NAME
from tests.simulation.watchers import SimRelay
from tests.simulation.worker import signals_of
from tests.world import OPTIONS

if TYPE_CHECKING:
    from tests.simulation.world import World

#: How many executions are commanded, and how many have a deadline.
COMMANDED = 0.4
LIMITED = 0.1
#: How many signals are sent until there is an answer.
KEYED = 0.5
#: How long (s) at most until a command, one of these.
SOON_S = (0.02, 0.5, 2.0)


class SimApi:
    """One API process."""

    def __init__(self, world: World, host: Host) -> None:
        self.host = host
        self._world = world
        database: Any = world.database()
        table = world.backend.table(database)
        signals = signals_of(world)
        publisher: Any = world.publisher()
        dispatcher: Any = Dispatcher(world.celery, world.redis, table.slots, world.clock)  # type: ignore[arg-type]
        self.service = ExecutionService(
            table,
            EventLog(database),
            PLANS,
            publisher,
            signals,
            dispatcher,
            world.fresh_id,
            start_ttl_ms=60_000,
            publishes=not world.only_watched,
        )
        effects = Effects(publisher, signals, dispatcher)
        self.signalling = Signalling(
            self.service, SignalStore(database), effects, max_value_bytes=1024
        )
        self.control = Control(
            self.service,
            PgCommandStore(database),
            signals,
            effects,
            clock=world.clock,
            pause=world.scheduler.sleep,
        )

        if world.is_watched:
            self.relay = world.relays[host] = SimRelay(world, host, EventLog(database))

    def begin_client(self, number: int) -> None:
        """Have a client create an execution and see it on its way."""
        self._world.scheduler.spawn(self.host, f"client {number}", self._call)

    def _call(self) -> None:
        world, random = self._world, self._world.scheduler.random
        world.scheduler.sleep(random.random() * 2)
        is_started = random.random() < 0.7
        wanted = NewExecution(
            flow_id=random.choice(world.scenario.flows),
            flow_version=1,
            inputs=None,
            options=self._options(),
            integration=None,
            events=None,
            autostart=is_started,
        )
        try:
            [shown] = self.service.create([wanted], LOCAL, lambda _: "")
        except StoreUnavailable:
            world.scheduler.note("create is answered with 503")
            return
        execution_id = str(shown["id"])
        world.promise(execution_id, "created")
        if not is_started:
            world.scheduler.sleep(random.random() * 2)
            self.start(execution_id)
        if wanted.flow_id in SIGNALLED:
            world.scheduler.spawn(self.host, "signals", lambda: self._signal(execution_id))
        if world.scenario.commands and random.random() < COMMANDED:
            self._command(execution_id)

    def _signal(self, execution_id: str) -> None:
        """Send some signals, half of them until there is an answer."""
        scheduler = self._world.scheduler
        for _ in range(scheduler.random.choice((1, 2, 4))):
            scheduler.sleep(scheduler.random.choice(SOON_S) * scheduler.random.random())
            if scheduler.random.random() < KEYED:
                self._insist_on_signal(execution_id)
                continue
            try:
                self._send(execution_id, self._world.next_number(), None)
            except StoreUnavailable:
                scheduler.note("a signal is answered with 503")
            except Conflict:
                return

    def _insist_on_signal(self, execution_id: str) -> None:
        payload = self._world.next_number()
        key = RequestKey("local", f"POST {execution_id}", str(payload), "hash")
        self._insist(lambda: self._send(execution_id, payload, key))

    def _send(self, execution_id: str, payload: int, key: RequestKey | None) -> None:
        sent = self.signalling.send(execution_id, LOCAL, NAME, payload, key)
        now = self._world.scheduler.now
        self._world.scheduler.note(f"signal {payload} went to {sent.delivered}")
        self._world.signals.answered(execution_id, payload, sent.delivered, now)

    def _options(self) -> dict[str, Any]:
        options = copy.deepcopy(OPTIONS)
        if self._world.scheduler.random.random() < LIMITED:
            options["execution"]["flowTimeoutMs"] = 2000
        return options

    def start(self, execution_id: str) -> None:
        """Start an execution; trying again until there is an answer."""
        if self._insist(lambda: self.service.start(execution_id, LOCAL)):
            self._world.promise(execution_id, "started")

    def _command(self, execution_id: str) -> None:
        """Give some commands, and leave nothing paused."""
        scheduler = self._world.scheduler
        for _ in range(scheduler.random.choice((1, 2, 4))):
            scheduler.sleep(scheduler.random.choice(SOON_S) * scheduler.random.random())
            command = scheduler.random.choice(("pause", "pause", "step", "resume", "stop"))
            try:
                shown = getattr(self.control, command)(execution_id, LOCAL)
            except Conflict:
                continue
            except StoreUnavailable:
                scheduler.note(f"{command} is answered with 503")
                continue
            self._world.promise(execution_id, f"told to {command}")
            self._world.invariants.commanded(execution_id, command, shown)
        scheduler.sleep(scheduler.random.random())
        self._insist(lambda: self.control.resume(execution_id, LOCAL))

    def set_going(self, execution_id: str, state: State) -> None:
        """Give an execution what it waits for."""
        if state.start_requested_at is None:
            self.start(execution_id)
        elif state.status == "paused":
            self._insist(lambda: self.control.resume(execution_id, LOCAL))
        elif state.is_parked and "'signal'" in str(loaded(state.waiting)):
            self._insist_on_signal(execution_id)

    def _insist(self, call: Callable[[], object]) -> bool:
        """Call until there is an answer; whether it is a 2xx."""
        while True:
            try:
                call()
            except StoreUnavailable:
                self._world.scheduler.sleep(0.3)
            except Conflict:
                return False
            else:
                return True
