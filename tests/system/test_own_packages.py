"""A user's own `app`, `tasks` and `web` beside an install of ours: neither is in the other's way.

In every run a copy of what a wheel installs, with the packages that these tests have; a wheel in an
environment of its own, and all processes together, if it is asked for: `pytest -m soak`.
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
from packing import FACE
from tests.system.shop import OUTPUTS, RESULT, SAID, SETTINGS, in_shop, open_shop
from tests.system.sources import INSTALL_WITHIN_S, copy_installed, copy_sources
from tests.waiting import wait_until

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The settings with which Python finds us as a wheel has us."""
    return {"PYTHONPATH": str(copy_installed(tmp_path_factory.mktemp("installed")))}


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


def test_a_script_runs_nodes_that_use_them(shop: Path, installed: dict[str, str]) -> None:
    assert in_shop(shop, PROGRAMS / "python", "script.py", **installed) == SAID


def test_so_does_pytest(shop: Path, installed: dict[str, str]) -> None:
    assert "2 passed" in in_shop(shop, PROGRAMS / "python", "-m", "pytest", "-q", **installed)


def test_so_does_the_command_line(shop: Path, installed: dict[str, str]) -> None:
    run = (PROGRAMS / "chaingraph", "run", "flow.json", "--local")
    assert in_shop(shop, *run, **installed) == RESULT


def test_so_does_a_worker(
    shop: Path, installed: dict[str, str], database_url: str, redis_url: str, guardian: Guardian
) -> None:
    given = {**installed, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    celery = (PROGRAMS / "celery", "-A", f"{FACE}.tasks", "worker", "-c1", "-P", "threads")
    with running(shop, guardian, *celery, **given):
        assert in_shop(shop, PROGRAMS / "python", "service.py", **given) == OUTPUTS


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
