"""The documents of the reference outcomes against the built-in library."""

from __future__ import annotations

import pytest

from app.flows.compile import prepare
from app.flows.document import Form
from app.nodes.registry import builtin_catalogue
from app.values.checks import check_value
from tests.corpus_cases import FOLDERS, Case, all_cases, load_cases


def by_name(case: Case) -> str:
    return f"{case.folder}/{case.name}"


def test_the_corpus_is_all_there() -> None:
    assert {folder: len(load_cases(folder)) for folder in FOLDERS} == {
        "hand": 66,
        "random": 150,
        "exports": 3,
    }


@pytest.mark.parametrize("case", all_cases(), ids=by_name)
def test_a_document_is_compiled_without_fault(case: Case) -> None:
    prepared = prepare(case.flow, builtin_catalogue())
    plan = prepared.plan
    assert prepared.document.form is Form.EXPORT
    assert [node.id for node in plan.nodes] == [node["id"] for node in case.flow["nodes"]]
    assert [edge.id for edge in plan.edges] == [edge["id"] for edge in case.flow["edges"]]
    assert not [each for each in prepared.warnings if "bound" in each.message]


@pytest.mark.parametrize("case", all_cases(), ids=by_name)
def test_what_is_said_to_never_run_never_ran(case: Case) -> None:
    for warning in prepare(case.flow, builtin_catalogue()).warnings:
        if "can never run" in warning.message:
            node_id = case.flow["nodes"][int(warning.pointer.rpartition("/")[2])]["id"]
            assert case.nodes[node_id].status in ("initialized", "skipped")


@pytest.mark.parametrize("case", all_cases(), ids=by_name)
def test_what_went_into_and_came_out_of_a_node_is_what_its_ports_allow(case: Case) -> None:
    plan = prepare(case.flow, builtin_catalogue()).plan
    for node_id, expected in case.nodes.items():
        node = plan.nodes[plan.index_of[node_id]]
        for port, value in expected.outputs.items() if expected.status == "completed" else ():
            # What an export states of an output's items isn't kept by the original either.
            config = (node.ports if node.ports[port].takes_input else node.spec.ports)[port]
            # The original writes what is not there as null.
            if value is not None:
                assert check_value(config, value) is None, (node_id, port)
