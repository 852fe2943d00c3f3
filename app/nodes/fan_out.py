"""How a node has a flow run for each of its items, and waits for them without holding a worker."""

from __future__ import annotations

#: The input that holds the items, and what such a node gives.
ITEMS = "items"
RESULTS = "results"
FAILED = "failed"
ERRORS = "errors"

#: So many children of one node are unfinished at once, at most.
MOST_AT_ONCE = 1000


class FanningOut(Exception):
    """Raised by a node that wants the flow `flow_id` run once for each of its `ITEMS`.

    Each run is a child execution, whose port `target` (`node.port`; '' for none) takes the item;
    at most `concurrency` are unfinished at once. The node completes once all have ended, and is
    not run again. The time that they take counts towards no limit of the node.
    """

    def __init__(self, flow_id: str, target: str, concurrency: int) -> None:
        super().__init__(f"flow {flow_id}")
        self.flow_id = flow_id
        self.target = target
        self.concurrency = concurrency
