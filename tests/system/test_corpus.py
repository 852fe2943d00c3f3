"""The reference outcomes over REST: stored, run by workers in both ways of dispatch, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from redis import Redis

from app.embedded.valkey import EmbeddedValkey
from app.supervisor.guardian import Guardian
from tests.corpus_cases import Case, all_cases
from tests.corpus_outcomes import differences, same
from tests.system.stack import Stack, run_stack
from tests.waiting import wait_until

FLOWS = "/api/v1/flows"
EXECUTIONS = "/api/v1/executions"
UNFINISHED = ("created", "running", "paused")

#: With a message for each step a node costs Celery many times as much, so that way every
#: so-many-th case runs, and all that emit. (tests/unit/executions/test_corpus_steps.py sends the
#: steps of all, without a broker.)
ONE_OF = {"inline": 1, "message": 5}

#: Requests under way at once: the API has no use for more.
AT_ONCE = 3

Each = TypeVar("Each")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What REST says of a node."""

    status: str
    outputs: dict[str, Any]
    error: Any


class Corpus:
    """All cases on a stack, each stored once; `refused` says why those were that are missing."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.flow_ids: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        answers = self.each(
            lambda case: stack.http.post(FLOWS, json=case.flow), cases := all_cases()
        )
        for case, answer in zip(cases, answers, strict=True):
            if answer.status_code == 201:
                self.flow_ids[case.name] = answer.json()["id"]
            else:
                self.refused[case.name] = answer.text
        self.cases = [case for case in cases if case.name in self.flow_ids]

    @staticmethod
    def each(ask: Callable[[Each], Result], things: tuple[Each, ...] | list[Each]) -> list[Result]:
        """Ask the same for each thing, a few at once; answers in order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, things))

    def document(self, case: Case) -> Any:
        """The document of a case as the API gives it back."""
        return self._get(f"{FLOWS}/{self.flow_ids[case.name]}", format="chaingraph")

    def run(self, cases: list[Case]) -> list[str]:
        """Run cases to their ends, with all that they emit; gives their executions' ids."""
        items = [self._item(case) for case in cases]
        created = self.stack.http.post(f"{EXECUTIONS}/batch", json={"items": items})
        assert created.status_code == 201, created.text
        wait_until(self._is_idle, "everything has ended", 90)
        return [item["id"] for item in created.json()["items"]]

    def _item(self, case: Case) -> dict[str, Any]:
        return {
            "flowId": self.flow_ids[case.name],
            "options": {"execution": {"onNodeError": "continue"}},
            "events": [case.event] if case.event else None,
            "autostart": True,
        }

    def _is_idle(self) -> bool:
        return not any(
            self._get(EXECUTIONS, status=status, limit=1)["items"] for status in UNFINISHED
        )

    def differences(self, case: Case, execution_id: str) -> list[str]:
        """What differs between a case and its execution."""
        execution = self._get(f"{EXECUTIONS}/{execution_id}")
        if execution["status"] != "completed":
            return [f"it is {execution['status']}: {execution['errorMessage']}"]
        items = self._get(f"{EXECUTIONS}/{execution_id}/nodes")["items"]
        outcomes = {
            node["id"]: Outcome(node["status"], node["outputs"] or {}, node["error"])
            for node in items
        }
        return differences(case, outcomes) + self._emitted(case, execution_id)

    def _emitted(self, case: Case, execution_id: str) -> list[str]:
        """What differs in the children: as many as events were emitted, in that order."""
        if "EventEmitterNode" not in case.node_types:
            return []
        told = self._get(f"{EXECUTIONS}/{execution_id}/events", eventTypes="child:spawned")
        children = [
            self._get(f"{EXECUTIONS}/{event['data']['childExecutionId']}")
            for event in told["events"]
        ]
        emitted = [
            {"type": event["eventName"], "data": event["payload"]}
            for child in children
            for event in child["externalEvents"]
        ]
        assert all(child["parentExecutionId"] == execution_id for child in children)
        return [] if same(case.emitted, emitted) else [f"{emitted} was emitted, not {case.emitted}"]

    def _get(self, path: str, **query: Any) -> Any:
        answer = self.stack.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def corpus(
    new_database: Callable[[], str],
    valkey: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
    guardian: Guardian,
) -> Iterator[Corpus]:
    """One API for the module, with all flows; each test brings its worker along."""
    with Redis.from_url(valkey.url()) as client:
        client.flushall()
    directory = tmp_path_factory.mktemp("corpus")
    with run_stack(new_database(), valkey.url(), directory, guardian, workers=0) as stack:
        yield Corpus(stack)


def test_no_flow_is_refused(corpus: Corpus) -> None:
    assert corpus.refused == {}


def test_documents_come_back_as_they_were_stored(corpus: Corpus) -> None:
    def put(case: Case) -> int:
        answer = corpus.stack.http.put(f"{FLOWS}/{corpus.flow_ids[case.name]}", json=case.flow)
        return answer.status_code

    stored = corpus.each(corpus.document, corpus.cases)
    assert set(corpus.each(put, corpus.cases)) == {200}
    replaced = corpus.each(corpus.document, corpus.cases)

    for case, first, second in zip(corpus.cases, stored, replaced, strict=True):
        assert first == second == case.flow, case.name


@pytest.fixture(params=ONE_OF)
def dispatch(corpus: Corpus, request: pytest.FixtureRequest) -> Iterator[str]:
    """A way of dispatch, with a worker that has it."""
    worker = corpus.stack.start_worker(env={"STEP_DISPATCH": request.param})
    yield request.param
    worker.kill_all()


def test_flows_end_as_on_the_original(corpus: Corpus, dispatch: str) -> None:
    drawn = corpus.cases[:: ONE_OF[dispatch]]
    cases = [case for case in corpus.cases if case in drawn or case.emitted]
    executions = corpus.run(cases)

    found = corpus.each(
        lambda each: corpus.differences(*each), list(zip(cases, executions, strict=True))
    )

    different = {case.name: each for case, each in zip(cases, found, strict=True) if each}
    assert different == {}
