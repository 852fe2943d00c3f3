"""What follows from what is resolved, or never will be: nodes become ready, or are skipped."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.narrator import Narrator
from app.engine.ports import PortStates
from app.engine.queue import StartQueue
from app.engine.state import NodeStatus, Tally
from app.engine.stuck import unfed_for_good
from app.engine.transfers import Transfers
from app.engine.wiring import Wiring
from app.values.paths import format_path


class Propagation:
    """Queues the nodes of a run that are ready, and skips those that can't run, all the way down.

    `status`, `tally`, `ports`, `transfers`, `queue` and `tell` are the engine's own. Of a node
    that is skipped the status is entered here, of any other by the engine.
    """

    def __init__(
        self,
        wiring: Wiring,
        status: list[NodeStatus],
        tally: Tally,
        ports: PortStates,
        transfers: Transfers,
        queue: StartQueue,
        tell: Narrator,
    ) -> None:
        self._wiring = wiring
        self._status = status
        self._tally = tally
        self._ports = ports
        self._transfers = transfers
        self._queue = queue
        self._tell = tell

    def open(self, resolving: Sequence[int], closing: Sequence[int]) -> None:
        """Begin with what is known before any node runs: edges that resolve, or never will."""
        # All at once: none of them completed before another.
        self._ports.resolve(resolving)
        unfed = self._ports.close(closing)
        for node, missing in enumerate(self._ports.missing):
            if not missing:
                self._admit(node)
        self._skip_all(unfed)
        self._count_the_left()

    def feed(self, edges: Sequence[int]) -> None:
        """Resolve edges of a node that runs on."""
        for target in self._ports.resolve(edges):
            self._admit(target)
        self._count_the_left()

    def settle(self, node: int, resolving: Sequence[int], closing: Sequence[int]) -> None:
        """A node has run: some of its edges resolve, the others never will."""
        self._ports.leave(node)
        # Edges that were resolved early are fed again, or closed too late: that changes nothing.
        fed = self._ports.resolve(resolving)
        unfed = self._ports.close(closing)
        self._queue.release()
        for target in fed:
            self._admit(target)
        self._skip_all(unfed)
        self._count_the_left()

    def skip_the_unfed(self) -> None:
        """Skip the nodes of cycles that nothing set going, until something is ready or all settled.

        For when nothing runs or waits. Ready may be a group that waited for such a child.
        """
        while (left := self._tally.left) and self._queue.first() is None:
            stuck = [n for n, status in enumerate(self._status) if status is NodeStatus.INITIALIZED]
            self._skip_all(unfed_for_good(self._wiring, stuck, self._ports.chosen))
            self._count_the_left()
            # Each turn skips somebody; else it would be the same turn for ever.
            assert self._tally.left < left, f"{left} nodes are unsettled, and none can be skipped"

    def _count_the_left(self) -> None:
        """Make groups ready whose children have all settled.

        Last of all, and not while they are skipped: so a group is admitted once, and groups in
        groups don't deepen the stack.
        """
        for group in self._ports.take_left():
            self._admit(group)

    def _admit(self, node: int) -> None:
        """Make a node ready whose ports are all resolved, or skip it (rules 3 and 4).

        Decided at once and not when it starts, so that a replay decides the same.
        """
        if self._status[node] is not NodeStatus.INITIALIZED:
            return
        failed = self._transfers.failed(node)
        if failed is not None:
            port = format_path(self._wiring.plan.edges[failed].target_path)
            self._tell.transfer_failed(failed, f"null into the required port '{port}'")
            self._skip(node, f"the transfer into port '{port}' failed")
        elif self._transfers.execute_value(node) is not True:
            self._skip(node, "__execute is not true")
        else:
            self._queue.add(node)

    def _skip(self, node: int, reason: str) -> None:
        self._skip_one(node, reason)
        self._skip_all(self._ports.close(self._wiring.edges_out(node)))

    def _skip_one(self, node: int, reason: str) -> None:
        self._status[node] = NodeStatus.SKIPPED
        self._tally.skipped += 1
        self._ports.leave(node)
        self._tell.skipped(node, reason)

    def _skip_all(self, unfed: list[int]) -> None:
        """Skip the nodes of ports that can't be fed; the list grows downstream (rule 5)."""
        for port in unfed:
            node = self._wiring.port_node[port]
            if self._status[node] is NodeStatus.INITIALIZED:
                path = format_path(self._wiring.ports[port].path)
                self._skip_one(node, f"no source of port '{path}' was resolved")
                unfed.extend(self._ports.close(self._wiring.edges_out(node)))
