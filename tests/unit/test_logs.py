"""What stands in the lines of the log, whoever says them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import structlog
from flask import Flask, jsonify
from structlog.contextvars import get_contextvars

from app.config import load_settings
from app.engine import Start
from app.errors import SettingsError
from app.executions.steps import RunFacts, Step
from app.flows import prepare
from app.logs import bound, logging_config, name_process
from app.nodes.sdk import node, spec_of
from app.store.records import Fence
from tests.unit.web.fakes import fake_services
from web.callers import caller
from web.factory import build_app

Lines = Callable[[], list[dict[str, Any]]]

_log = logging.getLogger("users.module")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "log"
    with pytest.raises(SettingsError, match=f"^LOG_FILE={file} can't be written: No such file"):
        logging_config(load_settings({"LOG_FILE": str(file)}))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged, as LOG_FORMAT=json writes it."""
    config: Any = logging_config(load_settings({"LOG_FORMAT": "json"}))
    made = {name: value for name, value in config["formatters"]["stderr"].items() if name != "()"}
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(**made))
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)
    name_process()


def fields(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: line.get(name) for name in ("workerId", "executionId", "nodeId", "attempt", "epoch")
    }


def test_every_line_names_its_process_whichever_thread_says_it(lines: Lines) -> None:
    name_process(workerId="w1")
    threads = [threading.Thread(target=_log.warning, args=("from beside",)) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    name_process(workerId="w1/12")
    _log.warning("after the fork")
    assert [line["workerId"] for line in lines()] == ["w1", "w1", "w1/12"]


def test_a_line_of_a_run_names_it_to_its_end_and_no_longer(lines: Lines) -> None:
    with bound(executionId="EX1", epoch=3):
        with bound(nodeId="a", attempt=2):
            _log.warning("in the node")
        _log.warning("in the run")
    _log.warning("after it")
    assert [
        (line.get("executionId"), line.get("epoch"), line.get("nodeId")) for line in lines()
    ] == [
        ("EX1", 3, "a"),
        ("EX1", 3, None),
        (None, None, None),
    ]


def test_what_is_raised_ends_it_as_well(lines: Lines) -> None:
    with pytest.raises(ValueError, match="no"), bound(executionId="EX1"):
        raise ValueError("no")
    _log.warning("after it")
    assert "executionId" not in lines()[0]


def test_what_is_told_beside_the_words_stands_in_the_line(lines: Lines) -> None:
    _log.warning("it broke", extra={"errorId": "e1", "secret": "x"})
    [line] = lines()
    assert line["errorId"] == "e1"
    assert "secret" not in line


def test_what_a_node_says_in_its_own_thread_names_node_and_attempt(lines: Lines) -> None:
    @node("SayingNode", category="test")
    def say() -> None:
        _log.warning("by logging")

    spec = spec_of(say)
    assert spec is not None
    document = {"metadata": {"name": "t"}, "nodes": [{"id": "a", "type": "SayingNode"}]}
    plan = prepare(document | {"edges": []}, {"SayingNode": spec}).plan
    facts = RunFacts("EX1", "EX1", "local", {}, is_child=False, fence=Fence("EX1", 7))
    step = Step(facts, Start(plan.nodes[0], 2), {}, SimpleQueue(), lambda: 0.0, 1.0)
    name_process(workerId="w1/12")
    thread = threading.Thread(target=lambda: (step.run(), _log.warning("after it")))
    thread.start()
    thread.join()
    said, after = lines()
    assert fields(said) == {
        "workerId": "w1/12",
        "executionId": "EX1",
        "nodeId": "a",
        "attempt": 2,
        "epoch": 7,
    }
    assert fields(after) == dict.fromkeys(fields(after)) | {"workerId": "w1/12"}


class Asked:
    """An app with a route that logs, and one that fails."""

    def __init__(self) -> None:
        self.app: Flask = build_app(fake_services(), max_body_bytes=1024)
        self.app.add_url_rule("/said", view_func=self._say)
        self.client = self.app.test_client()

    def _say(self) -> Any:
        _log.warning("said for %s", caller().owner_id)
        return jsonify(get_contextvars())


def test_a_line_of_a_request_names_it_and_who_asked(lines: Lines) -> None:
    asked = Asked()
    answers = [asked.client.get("/said") for _ in range(2)]
    told = [(line["requestId"], line["caller"]) for line in lines()]
    assert told == [(answer.headers["X-Request-Id"], "local") for answer in answers]
    assert len(set(told)) == 2
    assert get_contextvars() == {}


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [("abc-1:2.3_4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ('a"', False)],
)
def test_a_request_may_be_named_by_its_caller(given: str, is_taken: bool) -> None:
    answer = Asked().client.get("/said", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is is_taken


def test_what_is_refused_is_named_too(lines: Lines) -> None:
    answer = Asked().client.get("/said", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert answer.headers["X-Request-Id"]
