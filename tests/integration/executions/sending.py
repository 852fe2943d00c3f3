"""Steps that are sent, without a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.executions.run import RunEnd
from tests.integration.executions.process import Process


@dataclass
class Sent:
    """Runs an execution whose steps are sent; what was sent is run when the test says so."""

    process: Process
    targets: tuple[Callable[..., Any], ...]
    sends_all: bool = True
    steps: list[tuple[str, str]] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        def send(execution_id: str, queues: Mapping[str, str]) -> None:
            self.steps.extend((execution_id, each) for each in queues)
            self.queues.extend(queues.values())

        self.around = self.process.around(*self.targets, send=send, sends_all=self.sends_all)
        self.executor = self.process.executor(self.around)

    def advance(self, execution: str) -> RunEnd:
        return self.process.claim(self.around, execution).drive()

    def run_step(self) -> bool:
        return self.executor.work_step(*self.steps.pop(0))
