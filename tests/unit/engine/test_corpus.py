"""Flows without emitters end as they did on the original engine."""

from __future__ import annotations

from collections import Counter

import pytest

from app.engine import RunOptions
from app.local import run_in_process
from app.nodes.registry import builtin_catalogue
from tests.corpus_cases import FOLDERS, Case, all_cases, load_cases
from tests.corpus_outcomes import differences

CONTINUE = RunOptions(fail_on_error=False)

#: Node types that leave a case out, by what is not there yet.
LEFT_OUT_TYPES = {"EventEmitterNode": "emitters"}

#: How many cases of a folder run, and how many are left out for which reasons.
COUNTS = {
    "hand": Counter({"run": 61, "emitters": 5}),
    "random": Counter({"run": 150}),
    "exports": Counter({"run": 1, "emitters": 2}),
}


def why_left_out(case: Case) -> str:
    """What the case needs that is not built, or ''."""
    reasons = {LEFT_OUT_TYPES[kind] for kind in case.node_types & LEFT_OUT_TYPES.keys()}
    return ", ".join(sorted(reasons))


RUN = [case for case in all_cases() if not why_left_out(case)]


@pytest.mark.parametrize("case", RUN, ids=[f"{case.folder}-{case.name}" for case in RUN])
def test_a_flow_ends_as_on_the_original(case: Case) -> None:
    result = run_in_process(case.flow, builtin_catalogue(), options=CONTINUE, event=case.event)

    assert case.flow_event == "flow:completed"
    assert result.status == "completed"
    assert differences(case, result.nodes) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_case_is_left_out_but_by_a_rule(folder: str) -> None:
    counted = Counter(why_left_out(case) or "run" for case in load_cases(folder))

    assert counted == COUNTS[folder]
