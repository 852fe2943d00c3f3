"""A user's project: packages `app`, `tasks` and `web` of its own, a node that uses them, a flow."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from app.config import child_environ

ENDS_WITHIN_S = 150

#: What an operator of the shop sets. What a developer may have set has no say in a test.
SETTINGS = {
    "NODE_MODULES": "shop_nodes",
    "PYTHONPATH": "",
    "EXECUTION_MODE": "",
    "BROKER_URL": "",
    # pytest of the shop has none of the plugins that happen to be installed here.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}

PRICES = """
APPLE = 7
"""

NODES = """
from typing import Annotated

import tasks
import web
from chaingraph import Port, node

from app.prices import APPLE


@node("ApplesNode", category="shop")
def apples(count: int = 1) -> Annotated[float, Port("total")]:
    return APPLE * count + tasks.CHARGE + web.CHARGE
"""

SCRIPT = """
import json
from app.prices import APPLE
from chaingraph import Client, ServerUnreachable, run_flow, run_node
from shop_nodes import apples

flow = json.load(open("flow.json"))
print(run_node(apples, count=3).outputs)
print(run_flow(flow).outputs)
try:
    Client("http://127.0.0.1:1", attempts=1).health.live()
except ServerUnreachable:
    print("nobody there")
"""

TEST = """
import pytest
from app.prices import APPLE
from chaingraph import run_node
from shop_nodes import apples


@pytest.mark.parametrize("count", [1, 2])
def test_apples(count):
    assert run_node(apples, count=count).outputs == {"total": APPLE * count + 30}
"""

#: Creates an execution, which a worker runs, and waits for it.
SERVICE = """
import json
from chaingraph import get_execution_service

service = get_execution_service()
execution = service.create(json.load(open("flow.json")), autostart=True)
print(service.wait(execution.id, timeout_s=120).outputs)
"""

FLOW = {
    "id": "V2apples",
    "metadata": {"name": "Apples"},
    "nodes": [{"id": "buy", "type": "ApplesNode", "values": {"count": 2}}],
    "edges": [],
}

#: What the script says, and what comes of the flow.
SAID = "{'total': 51}\n{'buy': {'total': 44}}\nnobody there\n"
OUTPUTS = "{'buy': {'total': 44}}\n"
RESULT = "buy.total = 44\n"


def open_shop(directory: Path) -> Path:
    """Write the project; gives its folder."""
    shop = directory / "shop"
    for name, text in (("app", ""), ("tasks", "CHARGE = 10\n"), ("web", "CHARGE = 20\n")):
        (shop / name).mkdir(parents=True)
        (shop / name / "__init__.py").write_text(text)
    (shop / "app" / "prices.py").write_text(PRICES)
    for file, text in {
        "shop_nodes.py": NODES,
        "script.py": SCRIPT,
        "service.py": SERVICE,
        "test_apples.py": TEST,
        "flow.json": json.dumps(FLOW),
    }.items():
        (shop / file).write_text(text)
    return shop


def in_shop(shop: Path, *command: Path | str, **given: str) -> str:
    """Run a command in the shop's folder; gives what it says. It has to end well."""
    ended = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=shop,
        env=child_environ(**{**SETTINGS, **given}),
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
