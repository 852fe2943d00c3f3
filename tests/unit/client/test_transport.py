"""Calls of the API: what is tried again and what isn't, and what an error tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import httpx
import pytest

from app.client import ApiProblem, Client, ClientError, ServerUnreachable, UnexpectedAnswer
from app.client.address import Address
from app.client.errors import WaitTimeout
from app.client.executions import MOST_EVENTS, Executions
from app.client.flows import Flows
from app.client.node_types import NodeTypes
from app.client.retrying import LONGEST_PAUSE_S, Patience
from app.client.secrets import Secrets
from app.client.servers import HealthChecks, Workers
from app.client.shapes import Fault
from app.client.transport import AsyncTransport, Transport
from tests.ways import WAYS, Waited

AT = "2026-01-02T03:04:05.678Z"

EXECUTION = {
    "id": "EX1",
    "flowId": "V21",
    "flowVersion": 3,
    "status": "running",
    "requested": None,
    "waiting": None,
    "progress": {"total": 5, "completed": 1, "failed": 1, "skipped": 1},
    "outputs": None,
    "errorMessage": None,
    "errorNodeId": None,
    "createdAt": AT,
    "startedAt": AT,
    "completedAt": None,
    "lastEventIndex": 4,
}


def problem(status: int, code: str = "X", **more: Any) -> httpx.Response:
    headers = more.pop("headers", None)
    body = {"status": status, "code": code, "detail": "why", **more}
    return httpx.Response(status, json=body, headers=headers)


class Server:
    """Gives the answers it was told, in order; the last one again and again."""

    def __init__(
        self, way: str, runner: asyncio.Runner, *answers: Any, token: str | None = None
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self._answers = list(answers)
        options: dict[str, Any] = {
            "timeout_s": 1,
            "clock": lambda: sum(self.pauses),
            "new_key": lambda: "made",
            "http": httpx.MockTransport(self._answer),
        }
        address = Address("http://api.test/base/", token)
        transport: Any
        if way == "sync":
            transport = Transport(address, pause=self.pauses.append, **options)
        else:
            transport = AsyncTransport(address, pause=self._pause, **options)
        groups: list[Any] = [
            each(transport)
            for each in (Executions, Flows, Secrets, NodeTypes, Workers, HealthChecks)
        ]
        if way == "async":
            groups = [Waited(group, runner) for group in groups]
        self.executions, self.flows, self.secrets, self.node_types, self.workers, self.health = (
            groups
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A client reads an answer once.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


#: Makes a server with its answers.
Serve = Callable[..., Server]


@pytest.fixture(params=WAYS)
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    with asyncio.Runner() as runner:
        yield partial(Server, request.param, runner)


def ok(value: Any = None) -> httpx.Response:
    return httpx.Response(200, json=EXECUTION if value is None else value)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
def test_what_was_never_sent_is_tried_again(serve: Serve, error: Exception) -> None:
    server = serve(error, error, ok())
    assert server.executions.create("V21").id == "EX1"
    assert len(server.requests) == 3
    assert server.pauses[0] < server.pauses[1]


def test_a_server_that_stays_away_is_told_of_after_five_tries(serve: Serve) -> None:
    server = serve(httpx.ConnectError("refused"))
    with pytest.raises(ServerUnreachable, match=r"http://api\.test/base can't be reached: refused"):
        server.executions.get("EX1")
    assert len(server.requests) == 5
    assert sum(server.pauses) < 2


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed")])
def test_a_lost_answer_is_asked_for_again_but_nothing_is_commanded_twice(
    serve: Serve, lost: Exception
) -> None:
    server = serve(lost, ok())
    assert server.executions.get("EX1").status == "running"
    server = serve(lost, ok())
    with pytest.raises(ServerUnreachable):
        server.executions.stop("EX1")
    assert len(server.requests) == 1


SECRET = {
    "id": "SE1",
    "name": "n",
    "secretType": "string",
    "ownerId": "o",
    "createdAt": AT,
    "updatedAt": AT,
}


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), problem(503)])
@pytest.mark.parametrize("version", [None, 3])
def test_a_flow_gets_no_second_version_because_the_first_answer_was_lost(
    serve: Serve, lost: Any, version: int | None
) -> None:
    server = serve(lost, ok())
    with pytest.raises((ServerUnreachable, ApiProblem)):
        server.flows.replace("V21", {"nodes": []}, version=version)
    assert len(server.requests) == 1
    server = serve(lost, ok(SECRET))
    assert server.secrets.replace("SE1", "n", "data").id == "SE1"


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), problem(503)])
def test_what_is_gone_after_a_lost_answer_was_deleted(serve: Serve, lost: Any) -> None:
    server = serve(lost, httpx.ConnectError("refused"), problem(404, "NOT_FOUND"))
    assert server.flows.hide("V21") is None
    server = serve(lost, problem(404, "NOT_FOUND"))
    assert server.secrets.delete("SE1") is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("first", [httpx.ConnectError("refused"), problem(429)])
def test_what_was_never_there_is_not_found(serve: Serve, first: Any) -> None:
    server = serve(first, problem(404, "NOT_FOUND"))
    with pytest.raises(ApiProblem) as caught:
        server.flows.hide("V21")
    assert caught.value.status == 404
    server = serve(httpx.ReadError("reset"), problem(404, "NOT_FOUND"))
    with pytest.raises(ApiProblem):
        server.flows.get("V21")
    server = serve(httpx.ReadError("reset"), httpx.Response(404, json={"message": "no route"}))
    with pytest.raises(UnexpectedAnswer):
        server.secrets.delete("SE1")


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), problem(503)])
def test_what_makes_something_is_tried_again_under_the_same_key(serve: Serve, lost: Any) -> None:
    server = serve(lost, ok())
    assert server.executions.create("V21").id == "EX1"
    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["made"] * 2
    server = serve(lost, ok())
    assert server.executions.create("V21", idempotency_key="k1").id == "EX1"
    assert [request.headers["Idempotency-Key"] for request in server.requests] == ["k1", "k1"]
    server = serve(lost, ok({"items": [EXECUTION] * 2}))
    assert len(server.executions.create_batch([{"flowId": "V21"}] * 2, idempotency_key="k2")) == 2
    assert json.loads(server.requests[1].content) == {"items": [{"flowId": "V21"}] * 2}


def test_a_database_that_is_away_is_waited_for_where_twice_is_no_harm(serve: Serve) -> None:
    away = problem(503, headers={"Retry-After": "2"})
    server = serve(away, ok())
    server.executions.get("EX1")
    assert 2 <= server.pauses[0] <= 2.5
    server = serve(httpx.Response(502, text="<html>bad gateway</html>"), ok())
    assert server.executions.get("EX1").id == "EX1"
    server = serve(away, ok({"valid": True, "errors": [], "warnings": []}))
    assert server.flows.validate({}).is_valid
    server = serve(away, ok())
    with pytest.raises(ApiProblem) as caught:
        server.executions.pause("EX1")
    assert caught.value.status == 503


def test_whoever_is_over_the_rate_waits_as_long_as_told_within_reason(serve: Serve) -> None:
    server = serve(problem(429, headers={"Retry-After": "3600"}), ok())
    server.executions.create("V21")
    assert LONGEST_PAUSE_S <= server.pauses[0] <= LONGEST_PAUSE_S * 1.25


@pytest.mark.parametrize("date", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "٣"])
def test_a_retry_after_that_is_no_number_of_seconds_counts_as_none(serve: Serve, date: str) -> None:
    server = serve(problem(429, headers=[(b"Retry-After", date.encode())]), ok())
    server.executions.get("EX1")
    assert server.pauses[0] < 1


def test_a_refusal_is_an_exception_with_everything_the_api_said(serve: Serve) -> None:
    faults = [{"pointer": "/nodes/0/type", "message": "unknown"}]
    server = serve(problem(422, "VALIDATION_ERROR", errors=faults))
    with pytest.raises(ApiProblem) as caught:
        server.flows.store({})
    assert caught.value.status == 422
    assert caught.value.code == "VALIDATION_ERROR"
    assert caught.value.detail == "why"
    assert caught.value.errors == (Fault("/nodes/0/type", "unknown"),)
    assert str(caught.value) == "422 VALIDATION_ERROR: why; /nodes/0/type: unknown"
    assert isinstance(caught.value, ClientError)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(404, json=["not", "ours"]),
        httpx.Response(200, text="hello"),
        httpx.Response(200, json={"not": "ours"}),
        httpx.Response(200),
    ],
)
def test_somebody_else_at_the_address_is_told_apart(serve: Serve, answer: httpx.Response) -> None:
    with pytest.raises(UnexpectedAnswer):
        serve(answer).executions.get("EX1")


def test_a_request_is_what_the_api_takes(serve: Serve) -> None:
    server = serve(ok(), token="t0ken")
    server.executions.create("V21", inputs={"a": {"text": "\ud800"}}, autostart=True)
    request = server.requests[0]
    assert str(request.url) == "http://api.test/base/api/v1/executions"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Content-Type"] == "application/json"
    body = {"flowId": "V21", "inputs": {"a": {"text": "\ud800"}}, "autostart": True}
    assert json.loads(request.content) == body


@pytest.mark.parametrize("payload", [{"by": "Ada"}, [], 0, "", None])
def test_a_signal_carries_any_json(serve: Serve, payload: Any) -> None:
    server = serve(ok({"delivered": "wait"}), ok({"delivered": None}))

    assert server.executions.signal("EX1", "go/on", payload) == "wait"
    assert server.executions.signal("EX1", "go", payload, idempotency_key="k1") is None

    first, second = server.requests
    assert first.url.raw_path == b"/base/api/v1/executions/EX1/signals/go%2Fon"
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Idempotency-Key"] == "made"
    assert json.loads(first.content) == payload
    assert second.headers["Idempotency-Key"] == "k1"


def test_ids_are_steps_of_the_path_whatever_they_hold(serve: Serve) -> None:
    server = serve(ok())
    server.executions.get("a/../b?c")
    assert server.requests[0].url.raw_path == b"/base/api/v1/executions/a%2F..%2Fb%3Fc"


def test_an_execution_is_read_with_types_and_keeps_what_came(serve: Serve) -> None:
    execution = serve(ok()).executions.get("EX1")
    assert execution.progress.settled == 3
    assert execution.started_at is not None
    assert execution.started_at.isoformat() == "2026-01-02T03:04:05.678000+00:00"
    assert not execution.is_final
    assert execution.raw == EXECUTION


def test_lists_go_on_to_the_last_page(serve: Serve) -> None:
    pages = [
        ok({"items": [EXECUTION, EXECUTION], "nextCursor": "c1"}),
        ok({"items": [EXECUTION], "nextCursor": None}),
    ]
    server = serve(*pages)
    assert len(list(server.executions.list(status="running"))) == 3
    queries = [dict(request.url.params) for request in server.requests]
    assert queries == [{"status": "running"}, {"status": "running", "cursor": "c1"}]


def page(item: dict[str, Any]) -> httpx.Response:
    return ok({"items": [item], "nextCursor": None})


def test_trees_and_recoveries_are_read_with_types(serve: Serve) -> None:
    server = serve(page({"execution": EXECUTION, "levels": 2, "totalNested": 5}))
    after = datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    [root] = server.executions.roots("V2/1", after=after)
    assert (root.execution.id, root.levels, root.total_nested) == ("EX1", 2, 5)
    url = server.requests[0].url
    assert url.raw_path.startswith(b"/base/api/v1/flows/V2%2F1/executions?")
    assert dict(url.params) == {"after": "2026-01-02T01:00:00+00:00"}
    server = serve(page({"id": "EX1", "parentId": "EX0", "level": 1, "execution": EXECUTION}))
    [member] = server.executions.tree("EX0")
    assert (member.execution.id, member.parent_id, member.level) == ("EX1", "EX0", 1)
    recovery = {
        "recoveredAt": AT,
        "recoveredByWorker": "w2",
        "recoveryReason": "worker_died",
        "previousStatus": "running",
        "previousWorkerId": "w1",
    }
    [told] = serve(page(recovery)).executions.recoveries("EX1")
    assert (told.reason, told.previous_worker_id) == ("worker_died", "w1")


def test_events_so_far_end_with_the_first_page_that_is_not_full(serve: Serve) -> None:
    event = {"type": "t", "timestamp": AT, "executionId": "EX1", "data": {}}
    full = [event | {"index": index} for index in range(3, 3 + MOST_EVENTS)]
    last = event | {"index": 2000}
    server = serve(
        ok({"events": full, "nextIndex": 1500, "end": False}),
        ok({"events": [last], "nextIndex": 2001, "end": False}),
    )
    found = server.executions.recorded_events("EX1", 3, types=["t", "u"])
    assert [each.index for each in found] == [*range(3, 3 + MOST_EVENTS), 2000]
    asked = [dict(request.url.params) for request in server.requests]
    assert [each["fromIndex"] for each in asked] == ["3", "1500"]
    assert {(each["limit"], each["eventTypes"]) for each in asked} == {("1000", "t,u")}


def test_one_node_is_asked_for_by_its_id(serve: Serve) -> None:
    names = ("id", "type", "status", "attempt", "inputs", "outputs", "error")
    server = serve(ok(dict.fromkeys(names) | {"id": "a/b"}))
    assert server.executions.node("EX1", "a/b").id == "a/b"
    assert server.requests[0].url.raw_path == b"/base/api/v1/executions/EX1/nodes/a%2Fb"


def test_node_types_are_read_with_their_ports(serve: Serve) -> None:
    raw = {
        "type": "T",
        "category": "c",
        "title": "t",
        "description": "d",
        "deprecated": False,
        "effects": True,
        "ports": [{"id": "p"}],
    }
    server = serve(ok({"items": [raw], "nextCursor": None}), ok(raw))
    [listed] = server.node_types.list()
    assert server.node_types.get("T") == listed
    assert listed.ports == ({"id": "p"},)
    assert [request.url.path for request in server.requests] == [
        "/base/api/v1/nodes",
        "/base/api/v1/nodes/T",
    ]


def test_a_flow_is_replaced_only_over_the_version_that_was_seen(serve: Serve) -> None:
    server = serve(problem(412, "PRECONDITION_FAILED"))
    with pytest.raises(ApiProblem) as caught:
        server.flows.replace("V2/1", {"nodes": []}, version=3)
    assert caught.value.code == "PRECONDITION_FAILED"
    [request] = server.requests
    assert (request.method, request.url.raw_path) == ("PUT", b"/base/api/v1/flows/V2%2F1")
    assert request.headers["If-Match"] == '"3"'


def test_workers_are_read_with_types(serve: Serve) -> None:
    raw = {
        "workerId": "w1",
        "hostname": "h",
        "pid": 7,
        "pool": "prefork",
        "concurrency": 10,
        "queues": ["default"],
        "active": ["EX1"],
        "status": "running",
        "startedAt": AT,
        "lastHeartbeatAt": AT,
    }
    [worker] = serve(page(raw)).workers.list()
    assert (worker.id, worker.queues, worker.active) == ("w1", ("default",), ("EX1",))
    assert worker.started_at.year == 2026


def test_a_server_that_is_not_ready_is_an_answer_and_tried_no_more(serve: Serve) -> None:
    raw = {"status": "unavailable", "postgres": "down", "redis": "up", "schema": "unknown"}
    server = serve(httpx.Response(503, json=raw))
    health = server.health.ready()
    assert (health.is_ready, health.postgres) == (False, "down")
    [request] = server.requests
    assert request.url.path == "/base/health/ready"
    assert serve(ok({"status": "ok"})).health.live() is None


def test_a_command_to_many_names_what_it_is_for(serve: Serve) -> None:
    server = serve(ok({"matched": 3, "accepted": 2}))
    assert server.executions.bulk("stop", status=["running"], ids=["EX1"]).accepted == 2
    body = {"action": "stop", "filter": {"status": ["running"], "ids": ["EX1"]}}
    assert json.loads(server.requests[0].content) == body


def test_waiting_ends_with_the_execution(serve: Serve) -> None:
    server = serve(ok(), ok(), ok(EXECUTION | {"status": "failed"}))
    assert server.executions.wait("EX1").status == "failed"
    assert len(server.requests) == 3


def test_waiting_survives_a_restart_of_the_server_but_not_its_absence_at_first(
    serve: Serve,
) -> None:
    refused = httpx.ConnectError("refused")
    server = serve(ok(), *[refused] * 12, ok(EXECUTION | {"status": "completed"}))
    assert server.executions.wait("EX1").is_final
    server = serve(refused)
    with pytest.raises(ServerUnreachable):
        server.executions.wait("EX1")
    assert len(server.requests) == 5


def test_waiting_ends_in_time(serve: Serve) -> None:
    server = serve(ok())
    with pytest.raises(WaitTimeout, match="EX1 is running after 3 s") as caught:
        server.executions.wait("EX1", 3)
    assert isinstance(caught.value, TimeoutError)
    assert sum(server.pauses) == pytest.approx(3)


def test_pauses_double_up_to_a_limit() -> None:
    patience = Patience(first_pause_s=1, longest_pause_s=4)
    for failures, pause in enumerate([1, 2, 4, 4, 4], start=1):
        assert pause <= patience.pause_s(failures) <= pause * 1.25
    assert patience.pause_s(100_000) <= 5


@pytest.mark.parametrize("url", ["", "127.0.0.1:4021", "ftp://host", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="base_url begins with http"):
        Client(url)


@pytest.fixture
def proxy_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_no_proxy_stands_between_this_machine_and_itself(host: str, proxy_is_set: None) -> None:
    assert not Address(f"http://{host}:1", None).uses_proxy
    assert Address("http://example.test", None).uses_proxy


def test_a_password_in_the_address_is_not_told() -> None:
    with Client("http://ada:hidden@127.0.0.1:1", attempts=1) as client:
        for call in (client.health.live, lambda: next(iter(client.executions.events("EX1")))):
            with pytest.raises(ServerUnreachable, match=r"ada:\*+@127\.0\.0\.1:1 can't") as refused:
                call()
            assert "hidden" not in str(refused.value)
