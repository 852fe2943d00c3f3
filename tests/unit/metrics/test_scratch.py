"""What a family of processes counts is one sum, whoever of them dies, and leaves no files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.metrics.scratch import Scratch
from tests.reading_metrics import value

#: A parent that counts once; children that count twice each and are killed; one that lives on.
FAMILY = """
import os, signal, sys
from pathlib import Path
from app.metrics.exposition import Exposition
from app.metrics.groups import WorkerMetrics
from app.metrics.scratch import Scratch

scratch = Scratch(Path(sys.argv[1]))

def begin():
    with scratch.entered():
        return WorkerMetrics()

def child(then):
    pid = os.fork()
    if not pid:
        runs = begin().runs
        runs.claimed("execution")
        runs.claimed("execution")
        runs.node_ended("TextNode", "completed", 0.002)
        then()
    return pid

def die():
    os.kill(os.getpid(), signal.SIGKILL)

metrics = begin()
metrics.runs.claimed("execution")
for _ in range(3):
    os.waitpid(child(die), 0)
told, tell = os.pipe()
def live():
    os.write(tell, b".")
    signal.pause()
living = child(live)
os.read(told, 1)
exposition = Exposition(metrics.registry, scratch)
for _ in range(2):
    text = exposition.text()
sys.stdout.buffer.write(text)
print("# files", *sorted(f.name.split("_")[0] + "_" + f.stem.split("_")[-1] for f in
    scratch.path.glob("*.db")))
print("# family", os.getpid(), living, scratch.path)
sys.stdout.flush()
os.kill(living, signal.SIGKILL)
os.waitpid(living, 0)
if sys.argv[2] == "good order":
    scratch.remove()
else:
    die()
"""


def run_family(directory: Path, end: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", FAMILY, str(directory), end],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout


def test_a_family_counts_as_one_and_its_dead_leave_their_counts(tmp_path: Path) -> None:
    told = run_family(tmp_path, "good order")
    text = told[: told.index("# files")]
    assert value(text, "chaingraph_claims_total", kind="execution") == 1 + 4 * 2
    nodes = {"type": "TextNode", "outcome": "completed"}
    assert value(text, "chaingraph_node_duration_seconds_count", **nodes) == 4
    assert value(text, "chaingraph_node_duration_seconds_bucket", le="0.005", **nodes) == 4
    # What the dead had running runs no more.
    assert value(text, "chaingraph_slots_busy") == 1 + 2

    [files] = [line.split()[2:] for line in told.splitlines() if line.startswith("# files")]
    [family] = [line.split()[2:] for line in told.splitlines() if line.startswith("# family")]
    parent, living, directory = family
    assert set(files) <= {
        f"{kind}_{who}"
        for kind in ("counter", "histogram", "gauge")
        for who in (parent, living, "gone")
    }
    assert not Path(directory).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_family_left_goes_with_the_next_one(tmp_path: Path) -> None:
    run_family(tmp_path, "killed")
    [left] = tmp_path.iterdir()
    told = run_family(tmp_path, "good order")
    assert str(left) not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cg-metrics-unfinished", "other"])
def test_other_directories_are_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    run_family(tmp_path, "good order")
    assert [path.name for path in tmp_path.iterdir()] == [name]


#: A user that owns nothing.
NOBODY = 65534


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A directory like the system's for such things: whoever comes makes things there."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


def test_what_may_not_be_looked_into_is_in_nobodys_way(everybodys: Path) -> None:
    closed = everybodys / "cg-metrics-closed"
    closed.mkdir(mode=0)
    with without_rights():
        Scratch(everybodys).remove()
    assert list(everybodys.iterdir()) == [closed]


@contextmanager
def without_rights() -> Iterator[None]:
    """Have the system's superuser, who may look into everything, be nobody for the block."""
    user = os.geteuid()
    if user:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
