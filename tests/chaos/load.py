"""Clients that create, start and command executions, and insist on answers; others that watch.

What they were answered is noted: it is what the executions are held against in the end.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.system.ledger import Ledger, effects_in_a_row

#: How long (s) a client waits before it asks again.
AGAIN_S = 0.3
#: One execution in so many gets commands, is watched.
COMMANDED, WATCHED = 3, 2
#: Watchers at once, and clients that create.
MOST_WATCHERS, CLIENTS = 16, 3
#: Executions that are under way at once, at most.
MOST_ALIVE = 60

COMMANDS = ("pause", "pause", "step", "resume", "stop")
FINAL = {"completed", "failed", "stopped"}


def flows(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """What is run: effects in a row, side by side, around a timer, and tried again."""
    return {
        "row": effects_in_a_row(ledger.url, ["a", "b", "c", "d"]),
        "wide": _wide(ledger),
        "timer": _around_a_timer(ledger),
        "retry": _tried_again(ledger),
    }


def _effect(ledger: Ledger, node_id: str) -> dict[str, Any]:
    return dict(effects_in_a_row(ledger.url, [node_id])["nodes"][0])


def _wide(ledger: Ledger) -> dict[str, Any]:
    edges = [("a", "b"), ("a", "c"), ("a", "d")]
    return {
        "metadata": {"name": "Effects side by side"},
        "nodes": [_effect(ledger, node_id) for node_id in "abcd"],
        "edges": [{"source": f"{a}.response", "target": f"{b}.body"} for a, b in edges],
    }


def _around_a_timer(ledger: Ledger) -> dict[str, Any]:
    sleep = {"id": "b", "type": "SleepNode", "values": {"duration": 1500}}
    return {
        "metadata": {"name": "Effects around a timer"},
        "nodes": [_effect(ledger, "a"), sleep, _effect(ledger, "c")],
        "edges": [
            {"source": "a.__success", "target": "b.__execute"},
            {"source": "b.__success", "target": "c.__execute"},
        ],
    }


def _tried_again(ledger: Ledger) -> dict[str, Any]:
    # An attempt that a death took counts, too.
    retry = {"maxAttempts": 100, "backoffMs": 300}
    return {
        "metadata": {"name": "An effect around a node that stumbles"},
        "nodes": [
            _effect(ledger, "a"),
            {"id": "b", "type": "StumbleNode", "retry": retry},
            _effect(ledger, "c"),
        ],
        "edges": [
            {"source": "a.__success", "target": "b.__execute"},
            {"source": "b.__success", "target": "c.__execute"},
        ],
    }


class Load:
    """All clients. `stop` ends the creating; whoever waits for an answer goes on insisting."""

    def __init__(self, url: str, flow_ids: Sequence[str], seed: int) -> None:
        self._url = url
        self._flow_ids = flow_ids
        self._seed = seed
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._watching = threading.Semaphore(MOST_WATCHERS)
        self._alive = threading.Semaphore(MOST_ALIVE)
        self._numbers = itertools.count(1)
        self.created: list[str] = []
        self.stopped: set[str] = set()
        self.watched: dict[str, dict[int, Any]] = {}
        self.ends: Counter[str] = Counter()
        self.statuses: dict[str, str] = {}
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Have the clients come."""
        for number in range(CLIENTS):
            self._spawn(self._create_on, random.Random(f"{self._seed}/{number}"))

    def stop(self) -> None:
        """Create no more."""
        self._stop.set()

    def give_up(self) -> None:
        """Insist no more."""
        self._given_up.set()

    def join(self, within_s: float) -> bool:
        """Wait until every client has what it wants; whether that is so."""
        until = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _spawn(self, body: Any, *args: object) -> None:
        thread = threading.Thread(target=body, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _create_on(self, dice: random.Random) -> None:
        with httpx.Client(base_url=f"{self._url}/api/v1", timeout=10) as http:
            while not self._stop.is_set():
                if self._alive.acquire(timeout=AGAIN_S):
                    self._create(http, dice)
                self._stop.wait(dice.random() * 0.3)

    def _create(self, http: httpx.Client, dice: random.Random) -> None:
        is_started = dice.random() < 0.7
        body = {"flowId": dice.choice(self._flow_ids), "autostart": is_started}
        key = {"Idempotency-Key": f"chaos-{self._seed}-{next(self._numbers)}"}
        answer = self._insist(http, "/executions", body, key)
        if answer is None or answer.status_code != 201:
            self._fault(f"create was answered with {answer and answer.text}")
            return
        execution_id = answer.json()["id"]
        with self._lock:
            self.created.append(execution_id)
        if not dice.randrange(WATCHED) and self._watching.acquire(blocking=False):
            self._spawn(self._watch, execution_id, random.Random(execution_id))
        self._spawn(self._see_through, execution_id, is_started, random.Random(execution_id))

    def _see_through(self, execution_id: str, is_started: bool, dice: random.Random) -> None:
        """Start it, command it, and have it end."""
        where = f"/executions/{execution_id}"
        with httpx.Client(base_url=f"{self._url}/api/v1", timeout=10) as http:
            if not is_started:
                self._given_up.wait(dice.random())
                self._insist(http, f"{where}/start", {})
            if not dice.randrange(COMMANDED):
                for _ in range(dice.choice((1, 2, 4))):
                    self._given_up.wait(dice.random())
                    self._command(http, execution_id, dice.choice(COMMANDS))
            while not self._given_up.wait(AGAIN_S * 2):
                shown = self._get(http, where)
                if shown.get("status") in FINAL:
                    break
                if shown.get("status") == "paused":
                    self._insist(http, f"{where}/resume", {})
        self._alive.release()

    def _command(self, http: httpx.Client, execution_id: str, command: str) -> None:
        answer = self._insist(http, f"/executions/{execution_id}/{command}", {})
        self.counts[f"{command} {answer and answer.status_code}"] += 1
        if answer is not None and answer.is_success and command == "stop":
            self.stopped.add(execution_id)

    def _insist(
        self,
        http: httpx.Client,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response | None:
        """Post until it is answered with something else than "not now"."""
        while not self._given_up.is_set():
            try:
                answer = http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.counts["calls that broke"] += 1
            else:
                if answer.status_code < 500:
                    return answer
                self.counts[f"calls answered with {answer.status_code}"] += 1
                if answer.status_code != 503:
                    self._fault(f"{path} was answered with {answer.text}")
            self._given_up.wait(AGAIN_S)
        return None

    def _get(self, http: httpx.Client, path: str) -> dict[str, Any]:
        try:
            answer = http.get(path)
        except httpx.TransportError:
            return {}
        if answer.status_code not in {200, 503}:
            self._fault(f"{path} was answered with {answer.text}")
        return dict(answer.json()) if answer.is_success else {}

    # -- watching

    def _watch(self, execution_id: str, dice: random.Random) -> None:
        """Read all events, wherever the connection breaks."""
        self.watched[execution_id] = {}
        position = -1
        while execution_id not in self.statuses and not self._given_up.is_set():
            try:
                position = self._read(execution_id, position, dice)
            except (OSError, WebSocketException):
                self.counts["sockets that broke"] += 1
            self._given_up.wait(AGAIN_S)
        self._watching.release()

    def _read(self, execution_id: str, position: int, dice: random.Random) -> int:
        address = f"{self._url.replace('http', 'ws', 1)}/api/v1/executions/{execution_id}/events"
        size = dice.choice((1, 3, 100))
        with connect(
            f"{address}?fromIndex={position}&batchSize={size}", open_timeout=10, close_timeout=1
        ) as socket:
            for message in socket:
                frame = json.loads(message)
                if frame.get("end"):
                    self.ends[execution_id] += 1
                    self.statuses[execution_id] = frame["status"]
                else:
                    self._take(execution_id, position, frame)
                    position = frame["nextIndex"]
                if execution_id not in self.statuses and dice.random() < 0.03:
                    return position
        return position

    def _take(self, execution_id: str, position: int, frame: Mapping[str, Any]) -> None:
        indexes = [each["index"] for each in frame["events"]]
        if indexes != list(range(position, frame["nextIndex"])):
            self._fault(f"{execution_id}: frame {indexes} at {position}, then {frame['nextIndex']}")
        for each in frame["events"]:
            self.counts["events watched"] += 1
            if self.watched[execution_id].setdefault(each["index"], each) != each:
                self._fault(f"{execution_id}: event {each['index']} reads otherwise")

    def _fault(self, text: str) -> None:
        with self._lock:
            self.faults.append(text)
