"""A user's own `app`, `tasks` and `web` beside an install of ours: neither is in the other's way.

What is quick runs in the editable install that these tests run in. A wheel in an environment of its
own, and all processes together, are asked for: `pytest -m soak`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from app.config import child_environ
from app.embedded.ports import free_port
from app.supervisor.guardian import Guardian
from packing.names import FACE
from tests.system.shop import OUTPUTS, RESULT, SAID, SETTINGS, in_shop, open_shop
from tests.system.sources import INSTALL_WITHIN_S, copy_sources
from tests.waiting import wait_until

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return open_shop(tmp_path)


@contextmanager
def running(
    shop: Path, guardian: Guardian, *command: Path | str, **given: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the shop's folder for as long as the block lasts."""
    with (shop / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=log,
            stderr=log,
            cwd=shop,
            env=child_environ(**{**SETTINGS, **given}),
            start_new_session=True,
        )
    guardian.watch(process.pid, SIGTERM, rank=1)
    try:
        yield process
    finally:
        process.send_signal(SIGINT)
        process.wait()
        guardian.forget(process.pid)


def test_a_script_runs_nodes_that_use_them(shop: Path) -> None:
    assert in_shop(shop, PROGRAMS / "python", "script.py") == SAID


def test_so_does_pytest(shop: Path) -> None:
    assert "2 passed" in in_shop(shop, PROGRAMS / "python", "-m", "pytest", "-q")


def test_so_does_the_command_line(shop: Path) -> None:
    assert in_shop(shop, PROGRAMS / "chaingraph", "run", "flow.json", "--local") == RESULT


def test_so_does_a_worker(
    shop: Path, database_url: str, redis_url: str, guardian: Guardian
) -> None:
    servers = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    celery = (PROGRAMS / "celery", "-A", f"{FACE}.tasks", "worker", "-c1", "-P", "threads")
    with running(shop, guardian, *celery, **servers):
        assert in_shop(shop, PROGRAMS / "python", "service.py", **servers) == OUTPUTS


def test_at_the_root_of_the_checkout_its_files_are_what_runs(tmp_path: Path) -> None:
    """A program that is started there: it looks beside itself first, and there is none of ours."""
    program = PROGRAMS / f"where-{tmp_path.name}"
    program.write_text("import web, chaingraph; print(chaingraph.node.__module__)\n")
    try:
        root = Path(__file__).parents[2]
        assert in_shop(root, PROGRAMS / "python", program, NODE_MODULES="") == "app.nodes.sdk\n"
        elsewhere = tmp_path / "script.py"
        elsewhere.write_text("import chaingraph; print(chaingraph.node.__module__)\n")
        said = in_shop(root, PROGRAMS / "python", elsewhere)
        assert said == "chaingraph.app.nodes.sdk\n"
    finally:
        program.unlink()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel with its extra `server`."""
    directory = tmp_path_factory.mktemp("wheel")
    sources = copy_sources(directory / "sources")
    there = directory / "venv" / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(there.parent)], check=True)
    pip = [str(there / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"{sources}[server]"], check=True, timeout=INSTALL_WITHIN_S)
    subprocess.run([*pip, "pytest"], check=True, timeout=INSTALL_WITHIN_S)
    shutil.rmtree(sources)
    return there


@pytest.mark.soak
@pytest.mark.timeout(2 * INSTALL_WITHIN_S)
def test_a_wheel_takes_one_name(programs: Path, tmp_path: Path) -> None:
    names = (
        "import importlib.metadata as m\n"
        "files = m.files('chaingraph-celery')\n"
        "print(sorted({each.parts[0] for each in files if '-info' not in each.parts[0]}))"
    )
    assert in_shop(tmp_path, programs / "python", "-c", names) == "['..', 'chaingraph']\n"


@pytest.mark.soak
@pytest.mark.timeout(2 * INSTALL_WITHIN_S)
def test_a_wheel_runs_the_shop(programs: Path, shop: Path, guardian: Guardian) -> None:
    assert in_shop(shop, programs / "python", "script.py") == SAID
    assert "2 passed" in in_shop(shop, programs / "python", "-m", "pytest", "-q")
    assert in_shop(shop, programs / "chaingraph", "run", "flow.json", "--local") == RESULT
    port = str(free_port())
    given = {
        "PORT": port,
        "FLOWER_PORT": str(free_port()),
        "DEV_ECHO_PORT": str(free_port()),
        "DATA_DIR": str(shop / "data"),
        "WORKER_CONCURRENCY": "2",
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }
    with running(shop, guardian, programs / "python", "-m", FACE, "dev", **given) as dev:
        said = shop / "log"
        wait_until(
            lambda: dev.poll() is not None or b"Everything runs" in said.read_bytes(),
            f"everything runs; see {said}",
            INSTALL_WITHIN_S,
        )
        assert dev.poll() is None, said.read_text()
        api = {"CHAINGRAPH_URL": f"http://127.0.0.1:{port}"}
        assert in_shop(shop, programs / "chaingraph", "run", "flow.json", **api) == RESULT
        sample = "import chaingraph.app.config.places as p; print(p.shipped('samples'))"
        samples = Path(in_shop(shop, programs / "python", "-c", sample).strip())
        assert "greeting = " in in_shop(
            shop, programs / "chaingraph", "run", samples / "greeting.json", **api
        )
