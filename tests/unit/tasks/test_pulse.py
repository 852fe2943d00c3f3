"""When a process is replaced because nodes in it don't yield."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tasks.pulse import Pulse


@dataclass
class Process:
    """A process that bears one stuck node; `asked` is what was asked of it."""

    stuck_nodes: list[Any] = field(default_factory=list)
    is_idle: bool = False
    asked: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        watch: Any = self
        self.pulse = Pulse(
            watch,
            most_stuck=2,
            beat=lambda: None,
            retire=lambda: self.asked.append("retire"),
            is_idle=lambda: self.is_idle,
            end=lambda: self.asked.append("end"),
        )

    def look(self) -> None:
        self.looks += 1

    def stuck(self) -> list[Any]:
        return self.stuck_nodes


def node(name: str) -> Any:
    return SimpleNamespace(execution_id="EX1", node_id=name)


def test_some_stuck_nodes_are_borne() -> None:
    process = Process([node("a")], is_idle=True)

    for _ in range(3):
        process.pulse.look()

    assert process.asked == []
    assert process.looks == 3


def test_a_process_with_too_many_retires_once_and_ends_when_it_runs_nothing_more() -> None:
    process = Process([node("a"), node("b")])

    for _ in range(3):
        process.pulse.look()
    assert process.asked == ["retire"]

    process.is_idle = True
    process.pulse.look()
    assert process.asked == ["retire"]
    process.pulse.look()
    assert process.asked == ["retire", "end"]


def test_a_process_that_retires_does_not_change_its_mind() -> None:
    process = Process([node("a"), node("b")], is_idle=True)
    process.pulse.look()

    process.stuck_nodes = []
    process.pulse.look()
    process.pulse.look()

    assert process.asked == ["retire", "end"]
