"""The benchmarks as code: they import, count and print. What they measure is no test's business."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import benchmarks
from app.flows import prepare
from app.nodes.registry import load_catalogue
from benchmarks import flows, profile, report, table
from benchmarks.engine import run_through
from benchmarks.figures import Costs, Figure, Results, percentile, quantiles, spread
from benchmarks.options import PARTS, read_options
from benchmarks.relay_client import Watcher
from benchmarks.scale import saturation
from benchmarks.stack import kind_of

#: It runs in an environment of its own, with libraries that aren't ours; the other runs at import.
APART = {"peer_dbos", "__main__"}

MODULES = sorted(
    each.name for each in pkgutil.iter_modules(benchmarks.__path__) if each.name not in APART
)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.__doc__


def test_percentiles_are_samples() -> None:
    samples = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert percentile(samples, 50) == 3.0
    assert percentile(samples, 99) == 5.0
    assert percentile([7.0], 50) == 7.0


def test_a_spread_shows_the_median_and_the_extremes_of_several_rounds() -> None:
    assert spread([381.4], "/s") == "381/s"
    assert spread([300.0, 412.3, 381.4], "/s") == "381/s (300 to 412)"
    assert quantiles([1.23456] * 10) == "p50 1.23 ms, p99 1.23 ms"


def test_a_table_is_aligned_and_leaves_out_empty_columns() -> None:
    shown = table.of_figures([Figure("W5", "400/s", "600/s"), Figure("start", "3 ms")])
    assert shown.splitlines() == [
        "| what  | measured | budget |",
        "| ----- | -------- | ------ |",
        "| W5    | 400/s    | 600/s  |",
        "| start | 3 ms     |        |",
    ]


def test_costs_have_a_column_for_each_kind_of_process() -> None:
    costs = [
        Costs("ours", {"web": 0.5, "workers": 1.5}, 8.04, 7.0, 8192),
        Costs("peer", {"workers": 9.0}, 27, 20, 5837),
    ]
    head, _, ours, peer = table.of_costs(costs).splitlines()
    assert "web" in head
    assert _cells(ours) == ["ours", "2.00", "0.50", "1.50", "8.0", "7.0", "8.0"]
    assert _cells(peer) == ["peer", "9.00", "", "9.00", "27.0", "20.0", "5.7"]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_measured_part_of_the_page_is_replaced() -> None:
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    results = Results([Figure("W5", "400/s")], notes=["a note"])
    found = profile.Profile([], [], [profile.Statement("claim", 100.0, 0.2)])
    written = report.insert(page, report.render(results, found, ["Date: today"], "make bench"))
    assert written.startswith(f"before\n{report.BEGIN}\n\n- Date: today\n- Command: `make bench`")
    assert "old" not in written
    assert "| claim" in written
    assert written.endswith(f"{report.END}\nafter\n")
    assert (
        report.insert(written, "new") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    )


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(report.NoMarks):
        report.insert("no marks", "new")


def test_stacks_are_counted_by_function_wherever_it_is_installed() -> None:
    lines = [
        "main (tasks/process.py:3);execute (/somewhere/site-packages/redis/client.py:10) 30",
        "main (tasks/process.py:4);write (app/store/runs.py:8) 10",
    ]
    found = {line.what: (line.share, line.total) for line in profile.read_stacks(lines)}
    assert found == {
        "main (tasks/process.py)": (0.0, 100.0),
        "execute (site-packages/redis/client.py)": (75.0, 75.0),
        "write (app/store/runs.py)": (25.0, 25.0),
    }


def test_statements_are_added_up_by_name() -> None:
    log = """
LOG:  duration: 0.500 ms  statement: EXECUTE claim_next ('a', 'b', 1)
LOG:  duration: 0.500 ms  bind write_boundary:
	WITH guard AS (
LOG:  duration: 2.000 ms  execute write_boundary:
	WITH guard AS (
LOG:  duration: 1.000 ms  execute write_boundary:
LOG:  checkpoint starting: time
"""
    first, second = profile.read_statements(log)
    assert (first.what, first.mean_ms, first.share) == ("write_boundary", 1.75, 87.5)
    assert (second.what, second.share) == ("claim_next", 12.5)


def test_processes_are_told_apart_by_their_command_lines() -> None:
    assert kind_of(["/opt/bin/postgres", "-D", "x"]) == "postgres"
    assert kind_of(["python", "-m", "celery", "-A", "tasks", "worker"]) == "workers"
    assert kind_of(["python", "-E", "guardian.py"]) == "supervisor"


def test_saturation_names_who_uses_the_machine() -> None:
    said = saturation({"web": 0.002, "postgres": 0.3, "workers": 0.6})
    assert said == "CPU 90 % used: workers 60 %, postgres 30 %"


def test_options_come_from_variables_and_the_command_line() -> None:
    options = read_options(["--rounds", "1"], {"N": "300", "ROUNDS": "5", "PEERS": "1"})
    assert (options.rounds, options.count, options.peers) == (1, 300, True)
    assert options.writes_docs
    assert all(options.includes(part) for part in PARTS)


def test_a_part_of_the_benchmarks_leaves_the_page_alone() -> None:
    assert not read_options(["--only", "engine"], {}).writes_docs
    assert read_options([], {"SCALE": "1,2,4"}).scale == (1, 2, 4)
    assert not read_options([], {"SCALE": "1"}).writes_docs


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--rounds", "0"]])
def test_wrong_options_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_options(arguments, {})
    assert "usage" in capsys.readouterr().err


def test_the_flows_can_run() -> None:
    catalogue = load_catalogue(["benchmarks.nodes"])
    ticking = flows.with_values(flows.row("V2tick", "BenchTickNode", 1), {"count": 2, "gap_ms": 1})
    sleeping = flows.with_values(flows.row("V2sleep", "BenchSleepNode", 5), {"ms": 300})
    for document in (flows.w5(), flows.w5_pure(), ticking, sleeping):
        assert len(prepare(document, catalogue).plan.nodes) == len(document["nodes"])


def test_the_engine_is_walked_to_the_end_of_a_row() -> None:
    from app.engine import Wiring

    plan = prepare(flows.row("V2row", flows.PURE, 7), load_catalogue()).plan
    run_through(Wiring(plan))


@pytest.mark.parametrize("size", [10, 300, 70_000])
def test_the_relay_client_reads_frames_of_every_length(size: int) -> None:
    text = b'{"events":[],"nextIndex":-1,"pad":"%s"}' % (b"x" * size)
    length = len(text)
    if length < 126:
        head = bytes([0x81, length])
    elif length < 65_536:
        head = bytes([0x81, 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x81, 127]) + length.to_bytes(8, "big")
    watcher = Watcher.__new__(Watcher)
    watcher.next_index, watcher._is_whole = -1, True
    watcher._read = bytearray(head + text)
    frame = watcher.take()
    assert frame is not None
    assert not frame.end
    watcher._read = bytearray((head + text)[:-1])
    assert watcher.take() is None
