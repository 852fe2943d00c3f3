"""Compiled plans by flow version: made once per process, since a version never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import orjson

from app.engine.wiring import Wiring
from app.flows import prepare
from app.nodes.spec import Catalogue

#: Plans kept; a plan is about 2 KB per node.
KEPT_PLANS = 256


class PlanCache:
    """Plans of flow versions, the least recently used ones forgotten first."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans: OrderedDict[tuple[str, int], Wiring] = OrderedDict()
        self._lock = Lock()

    def get(self, flow_id: str, version: int, read: Callable[[str, int], str]) -> Wiring:
        """The plan of a flow version; `read` gives its document where it isn't known yet.

        Raises ValidationFailed where the version can't run here any more, because a node
        type is gone, say.
        """
        key = (flow_id, version)
        with self._lock:
            if key in self._plans:
                self._plans.move_to_end(key)
                return self._plans[key]
        wiring = Wiring(prepare(orjson.loads(read(flow_id, version)), self._catalogue).plan)
        with self._lock:
            self._plans[key] = wiring
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return wiring
