"""Dockerfile and compose.yaml name what is there, and run what the Procfile runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.config import load_settings
from app.config.settings import variables

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
#: Those that are ours, by their image.
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "chaingraph-celery"}

#: What stands for a variable that the operator sets, and says what it is to be.
GIVEN = re.compile(r"\$\{(\w+):\?[^}]*\}")
VALUES = {
    "SECRET_KEY": "k" * 32,
    "POSTGRES_PASSWORD": "secret",
    "FLOWER_BASIC_AUTH": "ada:secret",
}


def copied() -> list[str]:
    lines = re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def procfile() -> dict[str, list[str]]:
    """The commands of the Procfile, as they are without a virtual environment."""
    commands = {}
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(": ")
        command = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", command.replace(".venv/bin/", ""))
        commands[name] = shlex.split(command.replace("${FLOWER_PORT}", "5555"))
    return commands


def environ_of(service: str) -> dict[str, str]:
    environ: dict[str, str] = OURS[service]["environment"]
    return {name: GIVEN.sub(lambda given: VALUES[given[1]], it) for name, it in environ.items()}


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert kept == set(copied())


def test_every_package_is_copied() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"benchmarks", "tests"} <= set(copied())


def test_the_image_runs_the_api_unless_it_is_told_otherwise() -> None:
    [command] = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert json.loads(command) == SERVICES["web"]["command"] == procfile()["web"]


@pytest.mark.parametrize("name", ["web", "worker", "flower"])
def test_a_container_runs_what_the_procfile_runs(name: str) -> None:
    told = [
        re.sub(r"^(--address=)0\.0\.0\.0$", r"\g<1>127.0.0.1", part)
        for part in SERVICES[name]["command"]
    ]
    assert told == procfile()[name]


@pytest.mark.parametrize("service", OURS)
def test_its_settings_exist_and_go_together(service: str, tmp_path: Path) -> None:
    environ = environ_of(service)
    assert environ.keys() <= {each.name for each in variables()}
    settings = load_settings({**environ, "DATA_DIR": str(tmp_path)})
    assert settings.database_url == "postgresql://chaingraph:secret@postgres/chaingraph"


def test_addresses_are_those_of_the_other_containers() -> None:
    for service in OURS:
        environ = environ_of(service)
        for variable in ("DATABASE_URL", "REDIS_URL"):
            host = re.split(r"[@/:]+", environ[variable].split("://")[1].split("@")[-1])[0]
            assert host in SERVICES


def test_ports_are_the_ones_that_are_served() -> None:
    web, flower = (load_settings(environ_of(each)) for each in ("web", "flower"))
    assert SERVICES["web"]["ports"] == [f"127.0.0.1:{web.port}:{web.port}"]
    port = flower.flower_port
    assert SERVICES["flower"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"EXPOSE {web.port}" in DOCKERFILE


def test_a_worker_is_given_the_time_that_it_may_take_to_end() -> None:
    settings = load_settings(environ_of("worker"))
    grace = SERVICES["worker"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > settings.worker_drain_timeout_ms / 1000
