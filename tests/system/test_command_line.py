"""Every command of `chaingraph executions`, `flows` and `nodes` against an API in its process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.cli import main
from app.config import child_environ
from app.embedded.ports import LOOPBACK, free_port
from app.supervisor.guardian import Guardian
from tests.system.ledger import Ledger, run_ledger
from tests.system.stack import Stack, run_stack

NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"}
SAMPLES = Path(__file__).parents[2] / "samples"
WITHIN_S = 150


class Said(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def row(self, beginning: str) -> list[str]:
        """The words of the line of a table that begins with this."""
        [line] = [line for line in self.out.splitlines() if line.split()[:1] == [beginning]]
        return line.split()


class CommandLine:
    """The command line in this process, as `chaingraph` calls it."""

    def __init__(self, patch: pytest.MonkeyPatch, said: pytest.CaptureFixture[str]) -> None:
        self._patch = patch
        self._said = said

    def __call__(self, *arguments: str) -> Said:
        self._patch.setattr(sys, "argv", ["chaingraph", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *self._said.readouterr())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, guardian: Guardian) -> Iterator[Stack]:
    """One API for the module: it runs nodes itself, and needs no other process."""
    environ = {"EXECUTION_MODE": "local", "HTTP_NODE_ALLOW": LOOPBACK}
    directory = tmp_path_factory.mktemp("api")
    with run_stack(
        *NOWHERE.values(), directory, guardian, workers=0, environ=environ, databases=1
    ) as stack:
        yield stack


@pytest.fixture
def chaingraph(
    api: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    monkeypatch.setenv("CHAINGRAPH_URL", api.url)
    monkeypatch.setenv("CHAINGRAPH_TOKEN", "")
    # Wide enough to break no sentence.
    monkeypatch.setenv("COLUMNS", "200")
    return CommandLine(monkeypatch, capsys)


@pytest.fixture(scope="module")
def flow_id(api: Stack, echo_url: str) -> str:
    """Two calls in a row that take no time."""
    values = {"baseUri": echo_url, "path": "/"}
    nodes = [{"id": each, "type": "HttpRequestNode", "values": values} for each in ("one", "two")]
    edge = {"source": "one.__success", "target": "two.__execute"}
    return api.store({"metadata": {"name": "Quick"}, "nodes": nodes, "edges": [edge]})


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """Where effects go that come to no end."""
    with run_ledger() as ledger:
        ledger.hold()
        yield ledger
        ledger.let_go()


@pytest.fixture
def done(api: Stack, flow_id: str) -> str:
    """An execution that is completed."""
    execution_id = api.run(flow_id)
    api.await_status(execution_id, "completed")
    return execution_id


@pytest.fixture
def failed(api: Stack, flow_id: str) -> str:
    """An execution whose first node failed."""
    execution_id = api.run(flow_id, inputs={"one": {"baseUri": "no address"}})
    api.await_status(execution_id, "failed")
    return execution_id


@pytest.fixture
def created(api: Stack, flow_id: str) -> str:
    """An execution that nobody started."""
    return api.run(flow_id, autostart=False)


@pytest.fixture
def paused(api: Stack, flow_id: str) -> str:
    """An execution that stands before its second node."""
    execution_id = api.run(flow_id, options={"breakpoints": ["two"]})
    api.await_status(execution_id, "paused")
    return execution_id


@pytest.fixture
def busy(api: Stack, ledger: Ledger) -> Iterator[str]:
    """An execution in the middle of its first node."""
    execution_id = api.run(api.store(ledger.chain(2)))
    ledger.await_effect(execution_id, "n00")
    yield execution_id
    if api.execution(execution_id)["completedAt"] is None:
        api.http.post(f"/api/v1/executions/{execution_id}/stop", json={})


def test_executions_are_listed_newest_first(
    chaingraph: CommandLine, done: str, failed: str, flow_id: str
) -> None:
    shown = chaingraph("executions", "list", "--flow", flow_id, "--limit", "2")
    headings, newest, older = shown.out.splitlines()
    assert headings.split() == ["ID", "STATUS", "FLOW", "NODES", "CREATED", "TOOK", "WHY"]
    assert newest.split()[:4] == [failed, "failed", flow_id, "2/2"]
    assert newest.endswith("(node one)")
    assert older.split()[:4] == [done, "completed", flow_id, "2/2"]


def test_what_a_limit_leaves_out_is_said(chaingraph: CommandLine, done: str, failed: str) -> None:
    shown = chaingraph("executions", "list", "--limit", "1")
    assert len(shown.out.splitlines()) == 2
    assert shown.err == "there are more than 1: --limit 2\n"


def test_a_list_is_what_a_filter_leaves(chaingraph: CommandLine, done: str, failed: str) -> None:
    by_status = chaingraph("executions", "list", "--status", "failed", "--json").json
    assert failed in [each["id"] for each in by_status]
    assert {each["status"] for each in by_status} == {"failed"}
    [tree] = chaingraph("executions", "list", "--root", done, "--json").json
    assert tree["id"] == done


def test_an_execution_is_shown_with_its_outputs(chaingraph: CommandLine, done: str) -> None:
    shown = chaingraph("executions", "show", done)
    assert shown.row("status") == ["status", "completed"]
    assert shown.row("nodes") == ["nodes", "2/2", "(2", "completed)"]
    assert shown.row("two")[:2] == ["two", "="]
    assert chaingraph("executions", "show", done, "--json").json["outputs"]["two"]


def test_nodes_are_listed_in_document_order(chaingraph: CommandLine, failed: str) -> None:
    shown = chaingraph("executions", "nodes", failed)
    assert [line.split()[0] for line in shown.out.splitlines()] == ["ID", "one", "two"]
    assert shown.row("one")[1:4] == ["HttpRequestNode", "error", "1"]
    listed = chaingraph("executions", "nodes", failed, "--json").json
    assert [node["id"] for node in listed] == ["one", "two"]


def test_one_node_is_shown_with_its_values(chaingraph: CommandLine, done: str) -> None:
    shown = chaingraph("executions", "nodes", done, "one")
    assert "input method = GET" in shown.out.splitlines()
    assert "output statusCode = 200" in shown.out.splitlines()
    node = chaingraph("executions", "nodes", done, "one", "--json").json
    assert node["outputs"]["statusCode"] == 200


def test_a_tree_is_the_execution_itself_where_nothing_descends(
    chaingraph: CommandLine, done: str
) -> None:
    assert chaingraph("executions", "tree", done).row(done)[1] == "completed"
    [top] = chaingraph("executions", "tree", done, "--json").json
    assert (top["id"], top["parentId"], top["level"]) == (done, None, 0)


def test_a_recovery_is_listed(chaingraph: CommandLine, busy: str) -> None:
    assert chaingraph("executions", "recoveries", busy, "--json").json == []
    taken = chaingraph("executions", "recover", busy)
    assert (taken.status, taken.out.split()[:2]) == (0, [busy, "running:"])
    [recovery] = chaingraph("executions", "recoveries", busy, "--json").json
    assert recovery["recoveryReason"] == "requested"
    _, line = chaingraph("executions", "recoveries", busy).out.splitlines()
    assert line.split()[2:4] == ["requested", "running"]


def test_what_was_created_is_started(chaingraph: CommandLine, created: str, api: Stack) -> None:
    started = chaingraph("executions", "start", created)
    assert (started.status, started.out.split()[0]) == (0, created)
    api.await_status(created, "completed")


def test_an_execution_is_paused_and_goes_on(
    chaingraph: CommandLine, created: str, paused: str, busy: str, api: Stack
) -> None:
    assert chaingraph("executions", "show", paused).row("why")[1:4] == [
        "waits",
        "for",
        "breakpoint",
    ]
    assert chaingraph("executions", "resume", paused, "--json").json["id"] == paused
    api.await_status(paused, "completed")
    asked = chaingraph("executions", "pause", busy, "--reason", "lunch")
    assert (asked.status, asked.out) == (0, f"{busy} running: pause requested\n")
    assert chaingraph("executions", "resume", busy).out == f"{busy} running\n"
    assert chaingraph("executions", "pause", created).status == 1


def test_a_step_runs_one_node(chaingraph: CommandLine, paused: str, api: Stack) -> None:
    assert chaingraph("executions", "step", paused).out.startswith(f"{paused} running")
    assert api.await_status(paused, "completed")["progress"]["completed"] == 2


def test_a_stop_says_why(chaingraph: CommandLine, busy: str) -> None:
    stopped = chaingraph("executions", "stop", busy, "--reason", "enough")
    assert (stopped.status, stopped.out) == (0, f"{busy} stopped: enough\n")
    again = chaingraph("executions", "stop", busy)
    assert again.status == 1
    assert again.err == "chaingraph: Conflict: Cannot stop execution in status stopped\n"


def test_a_fork_runs_anew_from_a_node_on(
    chaingraph: CommandLine, failed: str, api: Stack, echo_url: str
) -> None:
    mended = f"one.baseUri={echo_url}"
    forked = chaingraph("executions", "fork", failed, "--input", mended, "--start", "--json").json
    assert forked["forkedFrom"] == failed
    api.await_status(forked["id"], "completed")
    told = chaingraph("executions", "fork", forked["id"], "--from", "two")
    assert told.out.split()[1] == "created:"
    assert chaingraph("executions", "fork", failed, "--input", "nonsense").status == 2


def test_a_signal_goes_to_the_node_that_waits(chaingraph: CommandLine, api: Stack) -> None:
    waiter = {"id": "wait", "type": "WaitForSignalNode", "values": {"name": "go"}}
    flow = {"metadata": {"name": "approval"}, "nodes": [waiter], "edges": []}
    execution = api.run(api.store(flow), autostart=False)

    kept = chaingraph("executions", "signal", execution, "go", "--data", '{"by": "Ada"}')
    assert (kept.status, kept.out) == (0, "kept: no node waits for it\n")
    assert chaingraph("executions", "signal", execution, "on", "--json").json == {"delivered": None}
    assert chaingraph("executions", "start", execution).status == 0

    outputs = api.await_status(execution, "completed")["outputs"]
    assert outputs == {"wait": {"payload": {"by": "Ada"}, "timedOut": False}}
    late = chaingraph("executions", "signal", execution, "go")
    assert (late.status, late.err.splitlines()) == (
        1,
        ["chaingraph: Conflict: Cannot signal execution in status completed"],
    )


@pytest.mark.parametrize("data", ["{", "hello", "NaN"])
def test_what_is_no_json_is_no_data(chaingraph: CommandLine, paused: str, data: str) -> None:
    told = chaingraph("executions", "signal", paused, "go", "--data", data)
    assert told.status == 2
    assert "is not JSON" in told.err


def test_many_are_commanded_at_once(chaingraph: CommandLine, api: Stack, flow_id: str) -> None:
    ids = [api.run(flow_id, autostart=False) for _ in range(3)]
    named = [argument for each in ids for argument in ("--id", each)]
    told = chaingraph("executions", "bulk", "stop", *named, "--status", "created")
    assert (told.status, told.out) == (0, "3 matched, 3 accepted\n")
    assert {api.execution(each)["status"] for each in ids} == {"stopped"}
    again = chaingraph("executions", "bulk", "start", *named, "--json")
    assert again.json == {"matched": 3, "accepted": 0}


def test_many_without_a_filter_is_usage(chaingraph: CommandLine) -> None:
    told = chaingraph("executions", "bulk", "stop")
    assert told.status == 2
    assert "give at least one of" in told.err


def test_events_so_far_are_printed(chaingraph: CommandLine, paused: str) -> None:
    lines = chaingraph("executions", "events", paused).out.splitlines()
    assert [line.split()[1] for line in lines] == [
        "execution:created",
        "flow:started",
        "node:started",
        "node:completed",
        "debug:breakpoint-hit",
        "flow:paused",
    ]
    some = chaingraph("executions", "events", paused, "--from", "2", "--types", "flow:paused")
    assert [line.split()[1] for line in some.out.splitlines()] == ["flow:paused"]


@pytest.mark.parametrize(("which", "status"), [("done", 0), ("failed", 1)])
def test_followed_events_end_with_the_execution(
    chaingraph: CommandLine, request: pytest.FixtureRequest, which: str, status: int
) -> None:
    execution_id = request.getfixturevalue(which)
    followed = chaingraph("executions", "events", execution_id, "--follow", "--json")
    events = [json.loads(line) for line in followed.out.splitlines()]
    assert [event["index"] for event in events] == list(range(-1, len(events) - 1))
    assert followed.status == status
    rest = chaingraph("executions", "events", execution_id, "--follow", "--from", "1")
    assert len(rest.out.splitlines()) == len(events) - 2
    assert rest.status == status


def test_who_stops_following_is_told_how_to_go_on(api: Stack, busy: str) -> None:
    follow = ["executions", "events", busy, "--follow"]
    process = subprocess.Popen(
        [sys.executable, "-m", "app", *follow],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environ(CHAINGRAPH_URL=api.url, CHAINGRAPH_TOKEN=""),
        start_new_session=True,
    )
    assert process.stdout is not None
    shown = [process.stdout.readline()]
    while "node:started" not in shown[-1]:
        assert process.poll() is None
        shown.append(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    # Not by `communicate`, which passes over what was read ahead with the last line.
    rest = process.stdout.read()
    _, stderr = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130
    told, _, index = stderr.rpartition(" --from ")
    assert told == f"to go on: chaingraph {' '.join(follow)}"
    # The last one may come again, if it was being shown; none is left out.
    last = len(shown) + len(rest.splitlines()) - 2
    assert int(index) in {last, last + 1}


def test_a_flow_is_pushed_once_and_again_when_it_has_changed(
    chaingraph: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "greeting.json"
    document = json.loads((SAMPLES / "greeting.json").read_text())
    said = []
    for name in ("First", "First", "Second"):
        document["metadata"]["name"] = name
        file.write_text(json.dumps(document))
        said.append(chaingraph("flows", "push", str(file)).out)
    assert said == [
        "V2greeting is at version 1: First\n",
        "V2greeting is at version 1 already: First\n",
        "V2greeting is at version 2: Second\n",
    ]
    assert chaingraph("flows", "push", str(file), "--json").json["version"] == 2
    assert chaingraph("flows", "list").row("V2greeting")[1] == "2"
    assert "V2greeting" in {each["id"] for each in chaingraph("flows", "list", "--json").json}
    assert chaingraph("flows", "show", "V2greeting").row("who") == ["who", "TextNode"]
    older = chaingraph("flows", "show", "V2greeting", "--version", "1", "--json").json
    assert older["name"] == "First"
    assert chaingraph("flows", "show", "V2greeting", "--document").json == document


def test_a_flow_with_faults_is_refused_line_by_line(
    chaingraph: CommandLine, tmp_path: Path
) -> None:
    file = tmp_path / "bad.json"
    file.write_text('{"metadata": {"name": "x"}, "edges": [],\n "nodes": [\n  {"id": "a"}]}')
    fault = f"{file}:3: /nodes/0/type: is missing\n"
    assert chaingraph("flows", "push", str(file)) == (2, "", fault)
    assert chaingraph("flows", "validate", str(file)) == (2, f"{file} is not valid\n", fault)
    found = chaingraph("flows", "validate", str(file), "--json")
    assert found.status == 2
    assert found.json["errors"] == [{"pointer": "/nodes/0/type", "message": "is missing"}]
    file.write_text("{")
    unread = chaingraph("flows", "validate", str(file))
    assert unread.status == 2
    assert unread.err.startswith(f"{file}:1:2: is not JSON")


def test_a_flow_without_faults_is_valid(chaingraph: CommandLine) -> None:
    file = str(SAMPLES / "greeting.json")
    assert chaingraph("flows", "validate", file) == (0, f"{file} is valid\n", "")
    found = chaingraph("flows", "validate", file, "--json").json
    assert found == {"valid": True, "errors": [], "warnings": []}


def test_node_types_are_listed_and_shown(chaingraph: CommandLine) -> None:
    assert chaingraph("nodes").row("TextNode")[1:3] == ["basic-values", "no"]
    assert "TextNode" in {each["type"] for each in chaingraph("nodes", "--json").json}
    assert chaingraph("nodes", "TextNode").row("text")[1:3] == ["passthrough", "string"]
    assert chaingraph("nodes", "TextNode", "--json").json["category"] == "basic-values"


def test_a_secret_is_set_listed_and_deleted(
    chaingraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in ("sk-plain\n", '{"apiKey": "sk-plain"}'):
        monkeypatch.setattr(sys, "stdin", StringIO(given))
        told = chaingraph("secrets", "set", "mine", "--type", "openai", "--json")
        assert (told.status, told.json["name"], told.json["secretType"]) == (0, "mine", "openai")
    [listed] = chaingraph("secrets", "list", "--json").json
    row = chaingraph("secrets", "list").row(listed["id"])
    assert row[1:3] == ["mine", "openai"]
    assert chaingraph("secrets", "delete", "mine").status == 0
    assert chaingraph("secrets", "delete", "mine").status == 1
    assert chaingraph("secrets", "list", "--json").json == []


def test_a_key_is_not_rotated_without_both_keys(chaingraph: CommandLine) -> None:
    told = chaingraph("secrets", "rotate")
    assert (told.status, told.out) == (2, "")
    assert "needs both keys" in told.err


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("executions", "show", "EXnone"), 1, "Not Found: There is no execution 'EXnone'"),
        (("executions", "events", "EXnone", "--follow"), 1, "Not Found: "),
        (("flows", "show", "V2none"), 1, "Not Found: "),
        (("nodes", "NoNode"), 1, "Not Found: "),
        (("executions", "show", ".."), 2, "names nothing"),
        (("executions", "list", "--status", "odd"), 2, "'odd' is not one of"),
        (("executions", "events", "EXnone", "--types", "odd"), 2, "  /eventTypes: names no event"),
        (("flows", "push", "none.json"), 2, "none.json: can't be read: No such file"),
        (("executions", "show", "\udcff"), 2, "is not UTF-8"),
        (("executions", "list", "--flow", "\udcff"), 2, "is not UTF-8"),
        (("executions", "nodes", "EXnone", "\udcff"), 2, "is not UTF-8"),
        (("executions", "events", "EXnone", "--types", "\udcff"), 2, "is not UTF-8"),
        (("executions", "bulk", "stop", "--id", "\udcff"), 2, "/filter/ids/0: "),
        (("nodes", "\udcff"), 2, "is not UTF-8"),
        (("flows", "nonsense"), 2, "No such command"),
    ],
)
def test_what_can_not_be_done_is_told_in_words_and_by_status(
    chaingraph: CommandLine, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    told = chaingraph(*arguments)
    assert (told.status, told.out) == (status, "")
    assert complaint in told.err


def test_without_a_server_the_status_is_3(
    chaingraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINGRAPH_URL", f"http://127.0.0.1:{free_port()}")
    told = chaingraph("executions", "list")
    assert (told.status, told.out) == (3, "")
    assert "can't be reached" in told.err
