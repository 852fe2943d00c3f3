"""Flows end as they did on the original engine."""

from __future__ import annotations

import pytest

from app.engine import RunOptions
from app.local import run_in_process
from app.nodes.registry import builtin_catalogue
from tests.corpus_cases import Case, all_cases
from tests.corpus_outcomes import differences

CONTINUE = RunOptions(fail_on_error=False)

#: How many cases there are.
COUNT = 219


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: f"{case.folder}-{case.name}")
def test_a_flow_ends_as_on_the_original(case: Case) -> None:
    result = run_in_process(case.flow, builtin_catalogue(), options=CONTINUE, event=case.event)

    assert case.flow_event == "flow:completed"
    assert result.status == "completed"
    assert differences(case, result.nodes) == []
    assert [{"type": name, "data": payload} for name, payload in result.emitted] == case.emitted


def test_no_case_is_left_out() -> None:
    assert len(all_cases()) == COUNT
