"""`chaingraph run` as a user types it, against a real stack."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config import child_environ
from app.embedded.ports import free_port
from tests.system.stack import Stack
from tests.waiting import wait_until

WITHIN_S = 150

Completed = subprocess.CompletedProcess[str]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "app", "run", *arguments]


def environ(url: str) -> dict[str, str]:
    return child_environ(CHAINGRAPH_URL=url, CHAINGRAPH_TOKEN="")


class Desk:
    """A directory with a flow in it, and the command line."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        self.file = directory / "flow.json"
        self.stack = stack
        self.flow_id = f"V2{uuid.uuid4().hex}"

    def write(self, nodes: list[dict[str, Any]], edges: tuple[tuple[str, str], ...] = ()) -> None:
        document = {
            "id": self.flow_id,
            "metadata": {"name": "On the desk"},
            "nodes": nodes,
            "edges": [{"source": source, "target": target} for source, target in edges],
        }
        self.file.write_text(json.dumps(document, indent=1))

    def run(self, *arguments: str, url: str | None = None) -> Completed:
        return subprocess.run(
            command(str(self.file), *arguments),
            capture_output=True,
            text=True,
            env=environ(url or self.stack.url),
            timeout=WITHIN_S,
            check=False,
        )

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(str(self.file), *arguments),
            text=True,
            env=environ(self.stack.url),
            start_new_session=True,
            **options,
        )

    def version(self) -> int:
        version: int = self.stack.http.get(f"/api/v1/flows/{self.flow_id}").json()["version"]
        return version


@pytest.fixture
def desk(tmp_path: Path, stack: Stack) -> Desk:
    return Desk(tmp_path, stack)


def text(node_id: str, value: str = "") -> dict[str, Any]:
    return {"id": node_id, "type": "TextNode", "values": {"text": value}}


def slow(node_id: str, echo_url: str, delay_ms: int) -> dict[str, Any]:
    values = {"baseUri": echo_url, "path": f"/?delayMs={delay_ms}"}
    return {"id": node_id, "type": "HttpRequestNode", "values": values}


def waiter(node_id: str) -> dict[str, Any]:
    """A node that waits until the test has sent the signal."""
    return {"id": node_id, "type": "WaitForSignalNode", "values": {"name": "go"}}


def send(stack: Stack, execution_id: str) -> None:
    answer = stack.http.post(f"/api/v1/executions/{execution_id}/signals/go", json={})
    assert answer.status_code == 202, answer.text


def test_outputs_are_printed_and_the_status_is_0(desk: Desk) -> None:
    desk.write([text("a", "one\ntwo\n"), {"id": "n", "type": "NumberNode", "values": {"num": 3}}])
    ran = desk.run("--input", "n.num=7")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "a.text = one\n    two\nn.num = 7\n"
    *_warnings, began, ended = ran.stderr.splitlines()
    execution_id = began.split()[0]
    assert began == f"{execution_id} runs {desk.flow_id} version 1"
    assert ended == f"{execution_id} completed; nodes: 2 completed"


def test_the_same_document_makes_no_new_version_a_changed_one_does(desk: Desk) -> None:
    for value, version in [("a", 1), ("a", 1), ("b", 2), ("b", 2)]:
        desk.write([text("a", value)])
        assert desk.run().returncode == 0
        assert desk.version() == version


def test_following_prints_each_event_as_a_line(desk: Desk) -> None:
    desk.write(
        [text("a", "x"), {"id": "log", "type": "DebugLogNode"}], (("a.text", "log.message"),)
    )
    ran = desk.run("--follow")
    assert ran.returncode == 0, ran.stderr
    types = [line.split()[1] for line in ran.stdout.splitlines()]
    assert types == [
        "execution:created",
        "flow:started",
        "node:started",
        "node:completed",
        "node:started",
        "node:debug-log-string",
        "node:completed",
        "flow:completed",
        "execution:completed",
    ]


def test_json_is_lines_of_events_and_the_execution_at_the_end(desk: Desk) -> None:
    desk.write([text("a", "x")])
    *events, execution = map(json.loads, desk.run("--follow", "--json").stdout.splitlines())
    assert [event["index"] for event in events] == list(range(-1, len(events) - 1))
    assert execution["outputs"] == {"a": {"text": "x"}}
    only = json.loads(desk.run("--json").stdout)
    assert only["status"] == "completed"


def test_a_reader_that_leaves_is_no_crash(desk: Desk) -> None:
    desk.write([text("a", "x")])
    process = desk.start("--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(timeout=WITHIN_S)
    assert "Traceback" not in stderr


def test_a_failed_execution_says_why_and_is_status_1(desk: Desk) -> None:
    desk.write([{"id": "bad", "type": "HttpRequestNode", "values": {"baseUri": "no", "path": "/"}}])
    ran = desk.run()
    assert ran.returncode == 1
    assert "failed: baseUri must begin with http:// or https:// and a host (node bad)" in ran.stderr
    assert json.loads(desk.run("--json").stdout)["errorNodeId"] == "bad"


def test_each_fault_of_a_refused_flow_is_shown_on_its_line(desk: Desk) -> None:
    desk.write([text("a"), text("a"), {"id": "c", "type": "NoNode"}], (("a.text", "c.x"),))
    ran = desk.run()
    assert ran.returncode == 2
    assert ran.stdout == ""
    lines = desk.file.read_text().splitlines()
    shown = {}
    for line in ran.stderr.splitlines():
        place, pointer, _message = line.removeprefix(f"{desk.file}:").split(": ", 2)
        shown[pointer] = lines[int(place) - 1].strip()
    assert shown["/nodes/2/type"] == '"type": "NoNode"'
    assert shown["/nodes/1/id"] == '"id": "a",'


def test_what_is_odd_about_a_flow_is_shown_once_it_is_stored(desk: Desk) -> None:
    desk.write([text("a"), text("b"), text("alone")], (("a.text", "b.text"),))
    ran = desk.run()
    assert ran.returncode == 0
    [warning, _begin, _end] = ran.stderr.splitlines()
    assert warning.startswith(f"{desk.file}:")
    assert ": /nodes/2: warning: " in warning
    assert len(desk.run().stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("a.nothing=1", "--input a.nothing: "),
        ("b.text=1", "--input b: there is no node"),
        ("n.num=many", "--input n.num: "),
        ("a", "--input a: is not written node.port=value"),
    ],
)
def test_an_input_that_does_not_fit_is_usage(desk: Desk, given: str, complaint: str) -> None:
    desk.write([text("a"), {"id": "n", "type": "NumberNode"}])
    ran = desk.run("--input", given)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith(complaint)


def test_a_file_that_is_no_flow_is_usage(desk: Desk) -> None:
    assert desk.run().returncode == 2
    desk.file.write_text('{\n "nodes": [}')
    ran = desk.run()
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"{desk.file}:2:")


def test_without_a_server_the_status_is_3(desk: Desk) -> None:
    desk.write([text("a")])
    ran = desk.run(url=f"http://127.0.0.1:{free_port()}")
    assert ran.returncode == 3
    [line] = ran.stderr.splitlines()
    assert "can't be reached" in line


def test_which_execution_it_is_is_said_while_it_runs(desk: Desk) -> None:
    desk.write([waiter("wait")])
    process = desk.start("--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    # Before it, what is odd about the flow.
    execution_id = next(line.split()[0] for line in process.stderr if " runs " in line)
    stopped = desk.stack.http.post(f"/api/v1/executions/{execution_id}/stop", json={})
    assert stopped.status_code == 202
    stdout, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert json.loads(stdout)["status"] == "stopped"


def test_ctrl_c_leaves_the_execution_running_and_says_where(desk: Desk) -> None:
    desk.write([waiter("wait")])
    process = desk.start("--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while "node:started" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    line = stderr.splitlines()[-1]
    execution_id = line.split()[0]
    assert line.endswith(f": chaingraph executions events {execution_id} --follow")
    assert desk.stack.execution(execution_id)["status"] == "running"
    send(desk.stack, execution_id)
    assert desk.stack.await_status(execution_id)["status"] == "completed"


@pytest.mark.parametrize("options", [(), ("--follow",)])
def test_on_a_terminal_a_bar_shows_how_far_it_is(
    desk: Desk, echo_url: str, options: tuple[str, ...]
) -> None:
    desk.write([text("a", "\x1b[2J"), slow("call", echo_url, 300)])
    terminal, end = pty.openpty()
    process = desk.start(*options, stdin=end, stdout=end, stderr=end)
    os.close(end)
    shown = b"".join(read_to_end(terminal)).decode()
    assert process.wait(WITHIN_S) == 0
    assert "On the desk" in shown
    assert "2/2" in shown
    # Escaped, as JSON or as text.
    assert "1b[2J" in shown
    assert "\x1b[2J" not in shown


def read_to_end(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # how Linux says that nobody has the other end open any more
            break
        if not chunk:
            break
        yield chunk
    os.close(terminal)


def test_following_goes_on_where_the_api_was_restarted(bare_stack: Stack, tmp_path: Path) -> None:
    bare_stack.start_worker()
    desk = Desk(tmp_path, bare_stack)
    desk.write([waiter("wait"), text("after")], (("wait.__success", "after.__execute"),))
    process = desk.start("--follow", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    [web] = [each for each in bare_stack.processes if each.name == "web"]
    assert web.terminate() == 0
    bare_stack.start_web()
    send(bare_stack, json.loads(first)["executionId"])
    wait_until(lambda: process.poll() is not None, "it ends", WITHIN_S)
    # Not by `communicate`, which passes over what was read ahead with the first line.
    rest = process.stdout.read()
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    *events, execution = map(json.loads, [first, *rest.splitlines()])
    assert [event["index"] for event in events] == list(range(-1, len(events) - 1))
    assert events[-1]["type"] == "execution:completed"
    assert execution["status"] == "completed"
