"""The documents name what is there, tell all that is not built, and are what the code cites."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from typer.main import get_command

from app.cli.root import cli
from app.config import load_settings
from app.engine import NodeStatus
from app.events.types import EventType
from app.executions.views import created_row, execution_json
from app.flows.compile import prepare
from app.nodes.registry import builtin_catalogue
from app.store.records import NewExecution
from tests.generate_node_docs import DOCUMENT, node_docs
from tests.unit.web.fakes import fake_services
from web.factory import build_app
from web.problems import STATUS_OF

ROOT = Path(__file__).parents[2]
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    ROOT / "samples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

FOLDERS = "app|benchmarks|chaingraph|docs|migrations|samples|tasks|tests|web"
#: Whatever is read by people: where a citation of a document may stand.
SUFFIXES = {".py", ".md", ".sql", ".lua", ".toml", ".html", ".css", ".js", ".txt"}
WRITTEN = [
    path
    for folder in (".", *(f"{name}/**" for name in FOLDERS.split("|")))
    for path in ROOT.glob(f"{folder}/*")
    if path.suffix in SUFFIXES or path.name == "Makefile"
]

CITATION = re.compile(r"[\w./-]*\w\.md\b")
RULE = re.compile(r"docs/flows\.md,\s+rules? (\d+)(?: and (\d+))?")
SECTION = re.compile(r"docs/([\w-]+\.md), ([A-Z]\w*(?: \w+)?)")

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

#: What looks like a file or a folder of this project, in text and in commands.
PATH = re.compile(rf"(?<![\w./-])(?:(?:{FOLDERS})/[\w./*-]*|\.ci/\w+)")
TOP_LEVEL = re.compile(r"`(Makefile|Procfile|pyproject\.toml|[\w-]+\.txt)`")
TARGET = re.compile(r"\bmake ([a-z-]+)\b")
COMMAND = re.compile(r"(?:\bin/|`)chaingraph ([a-z]+)\b(?: ([a-z]+)(?= |`|$))?", re.MULTILINE)
VARIABLE = re.compile(r"`([A-Z][A-Z_]{3,}[A-Z])[`=]")

#: Of how this came to be, or of one machine.
FORBIDDEN = re.compile(
    r"\bsessions? of (?:work|the project)|\bhelpers?\b|\bsub-?agents?\b|\bassistant\b"
    r"|\bissue #?\d|(?<!\w)#\d{1,5}\b|(?<![\w.])/(?:work|root|home)\b"
    r"|pypi\.org|pythonhosted|npmjs|registry\.|proxy\.golang|artifactory",
    re.IGNORECASE,
)


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def text(path: Path) -> str:
    return path.read_text()


def between(text: str, name: str) -> str:
    """What stands between the marks of a list."""
    _, _, rest = text.partition(f"<!-- {name} -->")
    return rest.partition(f"<!-- /{name} -->")[0]


def anchor(heading: str) -> str:
    """How a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            if method not in ("HEAD", "OPTIONS"):
                yield call(f"{method} {rule.rule}")


def command_line() -> dict[str, list[str]]:
    """The commands of `chaingraph`, and of each group of them those below it."""
    root: Any = get_command(cli)
    return {name: list(getattr(each, "commands", ())) for name, each in root.commands.items()}


def call(text: str) -> str:
    """A call, whatever its parameters are called."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "{}", text)


def test_a_link_leads_somewhere(path: Path, text: str) -> None:
    for target in LINK.findall(text):
        if "://" in target:
            continue
        name, _, fragment = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        if fragment:
            assert fragment in map(anchor, HEADING.findall(file.read_text())), target


def test_files_that_are_named_exist(text: str) -> None:
    for name in PATH.findall(text) + TOP_LEVEL.findall(text):
        wanted = name.rstrip(".,/")
        assert list(ROOT.glob(wanted)), name


def test_commands_that_are_named_exist(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(text)) <= targets
    there = command_line()
    for name, below in COMMAND.findall(text):
        assert name in there
        assert not below or not there[name] or below in there[name], f"{name} {below}"


def test_commands_are_told_as_they_are() -> None:
    told = re.findall(r"^\| `([a-z ]+)", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    wanted = [
        f"{name} {below}".strip()
        for name, group in command_line().items()
        for below in group or [""]
    ]
    assert sorted(each.strip() for each in told) == sorted(wanted)


def options(command: Any) -> set[str]:
    """The options of a command, but those that all have."""
    names = {name for each in command.params for name in each.opts if name.startswith("--")}
    return names - {"--json", "--help"}


def test_options_are_told_as_they_are() -> None:
    rows = re.findall(
        r"^\| `([a-z ]+[a-z])([^|]*\|.*)", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE
    )
    root: Any = get_command(cli)
    for names, rest in rows:
        command = root
        for name in names.split():
            command = command.commands[name]
        assert set(re.findall(r"--[a-z-]+", rest)) == options(command), names


@pytest.mark.parametrize("name", ["README.md", "docs/operations.md"])
def test_settings_that_are_named_exist(name: str) -> None:
    settings = {each.name for each in load_settings({}).describe()}
    named = set(VARIABLE.findall((ROOT / name).read_text()))
    # OpenTelemetry reads its own.
    assert {each for each in named if not each.startswith("OTEL_")} <= settings


def test_nothing_is_said_of_how_it_came_to_be(text: str) -> None:
    assert not FORBIDDEN.search(text)


def test_documents_that_are_cited_exist() -> None:
    for path in WRITTEN:
        for name in CITATION.findall(path.read_text()):
            places = (ROOT / name, ROOT / "docs" / name, path.parent / name)
            assert any(place.is_file() for place in places), f"{name} in {path}"


def test_rules_and_sections_that_are_cited_exist() -> None:
    rules = re.findall(r"^(\d+)\. ", (ROOT / "docs" / "flows.md").read_text(), re.MULTILINE)
    for path in WRITTEN:
        text = path.read_text()
        for cited in RULE.findall(text):
            assert {number for number in cited if number} <= set(rules), path
        for document, section in SECTION.findall(text):
            assert section in HEADING.findall((ROOT / "docs" / document).read_text()), path


def test_calls_are_told_as_they_are() -> None:
    there = set(routes(build_app(fake_services(), max_body_bytes=1)))
    readme = (ROOT / "README.md").read_text()
    told = re.findall(r"^\| `([^`]+)`", between(readme, "calls"), re.MULTILINE)
    # The socket of the same address belongs to the relay, which this app is without.
    assert set(map(call, told)) == there
    described = re.findall(r"^### `([^`]+)`", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(map(call, described)) == sorted(there)


def first_cells(text: str, name: str) -> list[str]:
    """What the first cells of a table name."""
    cells = re.findall(r"^\s*\| (`[^|]*) \|", between(text, name), re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


def test_node_types_are_told_as_they_are() -> None:
    assert DOCUMENT.read_text() == node_docs(builtin_catalogue()), (
        "run python -m tests.generate_node_docs"
    )


def test_the_flow_that_is_shown_can_run() -> None:
    flows = (ROOT / "docs" / "flows.md").read_text()
    [shown] = re.findall(r"^```json\n(.*?)^```", flows, re.MULTILINE | re.DOTALL)
    assert not prepare(json.loads(shown), builtin_catalogue()).warnings


def test_events_are_told_as_they_are() -> None:
    flows = (ROOT / "docs" / "flows.md").read_text()
    assert sorted(first_cells(flows, "events")) == sorted(EventType)


def test_node_statuses_are_told_as_they_are() -> None:
    flows = (ROOT / "docs" / "flows.md").read_text()
    assert sorted(first_cells(flows, "statuses")) == sorted(NodeStatus)


def test_problems_are_told_as_they_are() -> None:
    api = (ROOT / "docs" / "api.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (\d+) \|", between(api, "problems"), re.MULTILINE)
    assert {code: int(status) for code, status in told} == STATUS_OF


def test_an_execution_is_told_as_it_is() -> None:
    new = NewExecution(
        id="EX",
        flow_id="V2",
        flow_version=1,
        owner_id="local",
        priority=5,
        options="{}",
        inputs=None,
        integration=None,
        start_requested=False,
        start_timeout_ms=300_000,
        nodes_total=0,
        created_event="{}",
    )
    shown = execution_json(created_row(new, datetime.now(UTC)))
    api = (ROOT / "docs" / "api.md").read_text()
    assert sorted(first_cells(api, "execution")) == sorted(shown)
