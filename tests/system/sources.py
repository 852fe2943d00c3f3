"""What a wheel is made of, copied: as it lies here, and as it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from packing import INSTALLED, renamed

ROOT = Path(__file__).parents[2]

PACKAGES = ("app", "chaingraph", "migrations", "samples", "tasks", "web")
FILES = (
    *("pyproject.toml", "setup.py", "packing.py"),
    *("README.md", "requirements.txt", "requirements-otel.txt"),
)

#: How long (s) making a wheel and installing it may take.
INSTALL_WITHIN_S = 600


def copy_sources(sources: Path) -> Path:
    """Copy them, for building leaves its marks where the sources are; returns where."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, sources / name)
    return sources


def copy_installed(place: Path) -> Path:
    """Copy the packages to where a wheel would have them, under `place`; returns `place`."""
    for folder, package in INSTALLED.items():
        target = place.joinpath(*package.split("."))
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, target, ignore=ignored, dirs_exist_ok=True)
    for module in place.rglob("*.py"):
        module.write_bytes(renamed(module.read_bytes()))
    return place
