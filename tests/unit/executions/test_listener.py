from __future__ import annotations

import queue
from dataclasses import dataclass, field
from typing import Any

from app.executions.listener import CommandListener
from app.store.records import Fence
from tests.waiting import wait_until


@dataclass
class Inbox:
    woken: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)

    def wait(self) -> str | None:
        return self.woken.get()

    def close(self) -> None:
        self.woken.put(None)


@dataclass
class Running:
    fence: Fence
    alerts: int = 0

    def alert(self) -> None:
        self.alerts += 1


@dataclass
class Commands:
    taken: list[str] = field(default_factory=list)

    def take_commands(self, execution_id: str) -> list[str]:
        self.taken.append(execution_id)
        return ["stop"]


def test_what_runs_of_an_execution_is_alerted_and_nothing_else() -> None:
    run, step = Running(Fence("EX1", 3)), Running(Fence("EX1", 1, "a"))
    beside = Running(Fence("EX2", 1))
    inbox, commands = Inbox(), Commands()
    signals: Any = commands
    listener = CommandListener(inbox, signals, lambda: [run, step, beside])
    listener.start()

    inbox.woken.put("EX1")
    inbox.woken.put("EXgone")

    wait_until(lambda: commands.taken == ["EX1", "EXgone"], "both were taken")
    listener.stop()
    assert (run.alerts, step.alerts, beside.alerts) == (1, 1, 0)
