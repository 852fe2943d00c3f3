"""A node context that stands alone: it remembers what the node told it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import NodeCancelled
from app.nodes.emission import emission
from app.nodes.invoke import run_node_function
from app.nodes.spec import NodeSpec
from app.nodes.streams import OutputStream
from app.values.ports import PortConfig, Value


class SentStream(OutputStream):
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.is_closed = False

    def send(self, item: Any) -> None:
        self.items.append(item)

    def close(self) -> None:
        self.is_closed = True

    def reach(self, position: int, within_s: float | None = None) -> bool:
        return position < len(self.items)

    def item(self, position: int) -> Any:
        return self.items[position]


@dataclass
class FakeContext:
    """Answers as the runner would; `cancelled` is set by the test."""

    execution_id: str = "execution"
    root_execution_id: str = "execution"
    node_id: str = "node"
    attempt: int = 1
    idempotency_key: str = "execution/node"
    owner_id: str = "local"
    integrations: Mapping[str, Value] = field(default_factory=dict)
    event: Mapping[str, Value] | None = None
    is_child: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    schemas: dict[str, PortConfig] = field(default_factory=dict)
    logs: list[tuple[str, str]] = field(default_factory=list)
    shares: list[tuple[float, str]] = field(default_factory=list)
    sleeps: list[int] = field(default_factory=list)
    streams: dict[str, SentStream] = field(default_factory=dict)
    resolved: list[tuple[str, Value]] = field(default_factory=list)
    emitted: list[tuple[str, Any]] = field(default_factory=list)
    secrets: dict[str, Value] = field(default_factory=dict)

    def log(self, text: str, level: str = "info") -> None:
        self.logs.append((level, text))

    def progress(self, fraction: float, message: str = "") -> None:
        self.shares.append((fraction, message))

    def emit(self, name: str, payload: Mapping[str, Value] | None = None) -> None:
        self.emitted.append(tuple(emission(name, payload)))

    def check(self) -> None:
        if self.cancelled.is_set():
            raise NodeCancelled

    def sleep(self, ms: int) -> None:
        self.check()
        self.sleeps.append(ms)

    def stream(self, port: str) -> SentStream:
        return self.streams.setdefault(port, SentStream())

    def resolve(self, port: str, value: Value) -> None:
        self.resolved.append((port, value))

    def secret(self, secret: Value) -> Value:
        return self.secrets[secret["$secret"]]

    def schema(self, port: str) -> PortConfig:
        return self.schemas[port]


def run(spec: NodeSpec, context: FakeContext | None = None, /, **inputs: Any) -> dict[str, Value]:
    """Run a node type on inputs by port id."""
    return run_node_function(spec, inputs, context or FakeContext(schemas=dict(spec.ports)))
