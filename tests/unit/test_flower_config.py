"""What flowerconfig.py makes of Flower: shut to the outside unless it asks for a password."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import flower.options  # noqa: F401 — defines what can be told
import pytest
from tornado.options import options

CONFIG = Path(__file__).parents[2] / "flowerconfig.py"


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLOWER_ADDRESS", "FLOWER_PORT", "FLOWER_BASIC_AUTH", "HOST", "AUTH_ENABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def told() -> Iterator[Any]:
    """Tell Flower something on its command line."""
    with ExitStack() as stack:
        yield lambda name, value: stack.enter_context(patch.object(options.mockable(), name, value))


def config() -> dict[str, Any]:
    return runpy.run_path(str(CONFIG))


def test_it_listens_on_loopback_and_only_shows() -> None:
    made = config()
    assert (made["address"], made["port"], made["read_only"]) == ("127.0.0.1", 5555, True)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_another_address_needs_a_password(told: Any, address: str) -> None:
    told("address", address)
    with pytest.raises(SystemExit, match="FLOWER_BASIC_AUTH"):
        config()
    told("basic_auth", ["ada:secret"])
    config()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_none(told: Any, address: str) -> None:
    told("address", address)
    config()
