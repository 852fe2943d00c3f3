"""The streams of a run that are being sent: who reads them, and what has to wait for their end.

What a node made of a stream may not be kept before the stream itself is: if the node that sends
runs anew, it may send something else. So the end of a reader is held until its source is
settled, unless the source, run again, would send the same, or the reader only knows that
something was sent. The end of a source's attempt without an outcome ends its readers' attempts.
"""

from __future__ import annotations

from app.engine import Engine
from app.engine.state import SETTLED, NodeStatus
from app.executions.arrivals import Ended
from app.executions.channels import ChannelReader
from app.executions.ledger import Ledger
from app.executions.steps import Step
from app.executions.writer import GATHER_LIVE_S


class LiveStreams:
    """What the attempts of one run send and read. For the run's own thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._engine: Engine = ledger.engine
        self._sending: dict[int, Step] = {}
        self._reading: dict[int, Step] = {}
        self._held: dict[int, Ended] = {}

    def readers(self, node: int) -> dict[str, ChannelReader]:
        """The live streams that a node is about to read, by its port."""
        edges = [self._engine.plan.edges[each] for each in self._engine.early.open_streams(node)]
        return {
            edge.target_root: ChannelReader(
                edge.source, self._sending[edge.source].channels[edge.source_root]
            )
            for edge in edges
        }

    def begin(self, step: Step) -> None:
        """A node starts."""
        if step.channels:
            self._sending[step.start.node.index] = step
        if step.readers:
            self._reading[step.start.node.index] = step

    def hurry(self) -> None:
        """Something was sent: have it told soon."""
        if any(
            channel.has_untold for s in self._sending.values() for channel in s.channels.values()
        ):
            self._ledger.writer.hurry(GATHER_LIVE_S)

    def tell(self) -> None:
        """Tell what was sent since the last time."""
        for step in self._sending.values():
            if chunks := step.take_chunks():
                self._ledger.note(chunks)

    def hold(self, ended: Ended) -> bool:
        """Keep the end of a node back, if what it read may still become something else."""
        step = self._reading.get(ended.node)
        if step is None or not self._is_bound(step):
            return False
        self._held[ended.node] = ended
        return True

    def _is_bound(self, step: Step) -> bool:
        return any(each.has_read and self._may_differ(each.source) for each in step.readers)

    def _may_differ(self, node: int) -> bool:
        """Whether a source, run again, may send something else."""
        if self._engine.status[node] in SETTLED:
            return False
        step = self._reading.get(node)
        return self._engine.plan.nodes[node].spec.effects or (
            step is not None and any(self._may_differ(reader.source) for reader in step.readers)
        )

    def follow(self, step: Step) -> None:
        """An attempt has ended, in whatever way: what reads it goes on, or is lost with it."""
        node = step.start.node.index
        status = self._engine.status[node]
        for channel in step.channels.values():
            if status is NodeStatus.COMPLETED:
                channel.close()
            elif status is NodeStatus.ERROR:
                channel.fail(self._engine.failures[node])
        self.forget(node)
        for lost in [each for each in self._held if each not in self._engine.running]:
            self.forget(lost)

    def forget(self, node: int) -> None:
        """An attempt was given up."""
        self._sending.pop(node, None)
        self._reading.pop(node, None)
        self._held.pop(node, None)

    @property
    def are_sent(self) -> bool:
        """Whether a node runs here that sends."""
        return bool(self._sending)

    @property
    def are_idle(self) -> bool:
        """Whether nothing is sent and nothing read."""
        return not self._sending and not self._reading

    def take_free(self) -> tuple[Step, Ended] | None:
        """An end that was held and may be kept by now, with its attempt."""
        for node, ended in self._held.items():
            step = self._reading[node]
            if not self._is_bound(step):
                del self._held[node]
                return step, ended
        return None
