"""What is run: flows of many kinds, and what is true of each execution of one that completes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.system.ledger import effects_in_a_row

Document = dict[str, Any]
#: The event that drives an execution; None where none does.
Event = str | None

#: What a signal is called that somebody sends, and one that nobody does.
GO, NEVER = "go", "never"
#: The queue of their own that some nodes have.
QUEUE = "gpu"
#: How many items a flow runs for, and the text that goes through a stream.
ITEMS = 5
WORDS = "to be or not to be"


@dataclass(frozen=True)
class Kind:
    """A stored flow, and what holds of its completed executions, by the event that drives them."""

    name: str
    flow_id: str
    #: The status of each node; the others are idle.
    ends: Mapping[Event, Mapping[str, str]]
    #: How many children it makes.
    children: Mapping[Event, int] = field(default_factory=dict)
    #: Outputs: node, port, value.
    values: Sequence[tuple[str, str, object]] = ()
    #: Nodes that are tried again by themselves.
    retried: frozenset[str] = frozenset()
    #: How many signals it waits for.
    signals: int = 0
    #: Where it may be told to pause.
    breakpoints: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it runs through, without children and without signals."""
        return not self.children and not self.signals


def store_kinds(ledger_url: str, store: Callable[[Document], str]) -> dict[str, Kind]:
    """Store all flows; their effects go to the ledger."""
    makers = _Makers(ledger_url, store)
    kinds = [*makers.plain(), *makers.waiting(), *makers.trees()]
    return {kind.name: kind for kind in kinds}


def all_completed(node_ids: Iterable[str]) -> dict[Event, dict[str, str]]:
    """Each of these is completed where no event drives."""
    return {None: dict.fromkeys(node_ids, "completed")}


class _Makers:
    def __init__(self, url: str, store: Callable[[Document], str]) -> None:
        self._url = url
        self._store = store

    def plain(self) -> list[Kind]:
        """Flows that run through."""
        return [
            self._row("short", "a"),
            self._row("row", "abcd"),
            self._row("long", "abcdefgh"),
            self._wide(),
            self._branch(),
            self._queued(),
            self._stumbling(),
            self._stream(),
            self._sum(),
        ]

    def waiting(self) -> list[Kind]:
        """Flows that wait in their middle."""
        sleep = {"id": "b", "type": "SleepNode", "values": {"duration": 1500}}
        return [
            self._around("timer", sleep),
            self._around("signal", _signal_node(GO, "b"), signals=1),
            self._kind("hold", [_signal_node(GO, "w"), self._effect("z")], ["w z"], signals=1),
            self._kind("endless", [self._effect("a"), _signal_node(NEVER, "w")], ["a w"]),
        ]

    def trees(self) -> list[Kind]:
        """Flows that make children."""
        item = self._kind(
            "item", [{"id": "number", "type": "NumberNode"}, self._effect("e")], ["number e"]
        )
        part = self._row("part", "ab")
        return [
            item,
            part,
            self._emitting(),
            self._deep(),
            self._running("child", part.flow_id),
            self._for_each(item.flow_id),
        ]

    def _kind(
        self,
        name: str,
        nodes: Sequence[Document],
        successes: Iterable[str],
        edges: Iterable[tuple[str, str]] = (),
        **traits: Any,
    ) -> Kind:
        drawn = [_edge(*_success(*pair.split())) for pair in successes]
        drawn += [_edge(*pair) for pair in edges]
        document = {"metadata": {"name": name}, "nodes": list(nodes), "edges": drawn}
        traits.setdefault("ends", all_completed(node["id"] for node in nodes))
        return Kind(name, self._store(document), **traits)

    def _effect(self, node_id: str, **more: object) -> Document:
        return {**effects_in_a_row(self._url, [node_id])["nodes"][0], **more}

    def _row(self, name: str, node_ids: str) -> Kind:
        flow_id = self._store(effects_in_a_row(self._url, node_ids))
        middle = tuple(node_ids[1:2])
        return Kind(name, flow_id, all_completed(node_ids), breakpoints=middle)

    def _wide(self) -> Kind:
        nodes = [self._effect(each) for each in "abcde"]
        edges = [("a.response", "b.body"), ("a.response", "c.body"), ("a.response", "d.body")]
        return self._kind("wide", nodes, ["b e", "c e"], edges, breakpoints=("d",))

    def _branch(self) -> Kind:
        question = {"leftValue": 1, "operator": "equals", "rightValue": 1}
        nodes = [
            {"id": "test", "type": "BranchNode", "values": question},
            {"id": "not", "type": "NotNode"},
            *(self._effect(each) for each in ("yes", "no", "both")),
        ]
        edges = [
            ("test.result", "not.input"),
            ("test.result", "yes.__execute"),
            ("not.result", "no.__execute"),
            ("no.response", "both.body"),
            ("yes.response", "both.body"),
        ]
        ends = dict.fromkeys(("test", "not", "yes", "both"), "completed") | {"no": "skipped"}
        return self._kind("branch", nodes, [], edges, ends={None: ends})

    def _queued(self) -> Kind:
        nodes = [
            self._effect("a"),
            self._effect("b", queue=QUEUE),
            self._effect("c", queue=QUEUE),
            self._effect("d"),
            self._effect("e"),
        ]
        return self._kind("queued", nodes, ["a b", "a c", "a d", "b e"], breakpoints=("e",))

    def _stumbling(self) -> Kind:
        # An attempt that a death took counts, too.
        retry = {"maxAttempts": 100, "backoffMs": 300}
        nodes = [
            self._effect("a"),
            {"id": "b", "type": "StumbleNode", "retry": retry},
            self._effect("c"),
        ]
        return self._kind("stumbling", nodes, ["a b", "b c"], retried=frozenset("b"))

    def _stream(self) -> Kind:
        nodes = [
            self._effect("a"),
            {"id": "send", "type": "TextStreamNode", "values": {"text": WORDS, "delayMs": 50}},
            {"id": "join", "type": "StreamBufferNode", "values": {"separator": " "}},
            self._effect("z"),
        ]
        edges = [("send.outputStream", "join.inputStream"), ("join.buffer", "z.body")]
        values = [("join", "buffer", WORDS)]
        return self._kind("stream", nodes, ["a send"], edges, values=values)

    def _sum(self) -> Kind:
        nodes = [
            {"id": f"n{place}", "type": "MathNode", "values": {"b": place, "operation": "add"}}
            for place in range(1, 7)
        ]
        edges = [(f"n{place}.result", f"n{place + 1}.a") for place in range(1, 6)]
        return self._kind("sum", nodes, [], edges, values=[("n6", "result", 21)])

    def _around(self, name: str, middle: Document, **traits: Any) -> Kind:
        nodes = [self._effect("a"), middle, self._effect("c")]
        return self._kind(name, nodes, ["a b", "b c"], **traits)

    def _emitting(self) -> Kind:
        nodes = [
            self._effect("a"),
            _emitter("one", "job"),
            _emitter("two", "job"),
            _listener("on", "job"),
            self._effect("z"),
        ]
        return self._kind(
            "emitting",
            nodes,
            ["a one", "one two", "on z"],
            ends={
                None: dict.fromkeys(("a", "one", "two"), "completed"),
                "job": dict.fromkeys(("on", "z"), "completed"),
            },
            children={None: 2},
        )

    def _deep(self) -> Kind:
        """A tree of three levels, slow at its leaves."""
        nodes = [
            _emitter("x", "branch"),
            _emitter("y", "branch"),
            _listener("on", "branch"),
            _emitter("z", "leaf"),
            _listener("in", "leaf"),
            *(self._effect(each) for each in ("p", "q", "r")),
        ]
        return self._kind(
            "deep",
            nodes,
            ["x y", "on z", "in p", "p q", "q r"],
            ends={
                None: dict.fromkeys("xy", "completed"),
                "branch": dict.fromkeys(("on", "z"), "completed"),
                "leaf": dict.fromkeys(("in", "p", "q", "r"), "completed"),
            },
            children={None: 2, "branch": 1},
        )

    def _running(self, name: str, flow_id: str) -> Kind:
        node = {"id": "b", "type": "RunFlowNode", "values": {"flowId": flow_id}}
        return self._around(name, node, children={None: 1})

    def _for_each(self, flow_id: str) -> Kind:
        values = {
            "flowId": flow_id,
            "items": list(range(ITEMS)),
            "itemTarget": "number.num",
            "concurrency": 2,
        }
        nodes = [{"id": "each", "type": "ForEachNode", "values": values}, self._effect("z")]
        wanted = [("each", "failed", 0), ("each", "errors", [])]
        return self._kind("each", nodes, ["each z"], children={None: ITEMS}, values=wanted)


def _signal_node(name: str, node_id: str) -> Document:
    return {"id": node_id, "type": "WaitForSignalNode", "values": {"name": name}}


def _emitter(node_id: str, event: str) -> Document:
    values = {"eventName": event, "payload": {"from": node_id}}
    return {"id": node_id, "type": "EventEmitterNode", "values": values}


def _listener(node_id: str, event: str) -> Document:
    return {"id": node_id, "type": "EventListenerNodeV2", "values": {"eventName": event}}


def _success(source: str, target: str) -> tuple[str, str]:
    return f"{source}.__success", f"{target}.__execute"


def _edge(source: str, target: str) -> Document:
    return {"source": source, "target": target}
