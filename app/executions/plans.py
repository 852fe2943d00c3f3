"""Compiled plans by flow version: made once per process, since a version never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

import orjson

from app.engine.wiring import Wiring
from app.flows import prepare
from app.nodes.spec import Catalogue

#: Plans kept.
KEPT_PLANS = 256

#: Characters that the documents of the kept plans may have together. A plan is up to twenty times
#: as large in memory as its document in characters: many small nodes, or arrays in arrays.
KEPT_CHARACTERS = 16 * 2**20


class PlanCache:
    """Plans of flow versions, the least recently used ones forgotten first.

    The last one stays, however large it is.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans: OrderedDict[tuple[str, int], tuple[Wiring, int]] = OrderedDict()
        self._characters = 0
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
                return self._plans[key][0]
        document = read(flow_id, version)
        wiring = Wiring(prepare(orjson.loads(document), self._catalogue).plan)
        with self._lock:
            self._keep(key, wiring, len(document))
        return wiring

    def _keep(self, key: tuple[str, int], wiring: Wiring, characters: int) -> None:
        # Another thread may have made it meanwhile.
        _, former = self._plans.pop(key, (None, 0))
        self._plans[key] = (wiring, characters)
        self._characters += characters - former
        while len(self._plans) > 1 and (
            len(self._plans) > KEPT_PLANS or self._characters > KEPT_CHARACTERS
        ):
            _, (_, forgotten) = self._plans.popitem(last=False)
            self._characters -= forgotten
