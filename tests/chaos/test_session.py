"""Under load, whatever can be lost is lost for a while; then every promise is held against it.

The seed is fixed: it draws the same losses each time. `make chaos` draws others, for longer.
"""

from __future__ import annotations

import pytest

from tests.chaos.place import Plan
from tests.chaos.report import lines
from tests.chaos.session import run

SEED, SECONDS = 3, 30.0


@pytest.mark.timeout(400)
def test_whatever_is_lost_every_promise_is_kept() -> None:
    told = run(Plan(SEED, SECONDS, "prefork", "message", limit=0, alive=12), print)
    print(*lines(told), sep="\n")  # noqa: T201 — to understand it

    assert told.violations == []
    assert told.kills_in_all
    assert told.recoveries
    assert told.executions["completed"]
    assert told.clients["events watched"]
