"""A copy of what a wheel is made of: building leaves its marks where the sources are."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGES = ("app", "chaingraph", "migrations", "packing", "samples", "tasks", "web")
FILES = ("pyproject.toml", "README.md", "requirements.txt", "requirements-otel.txt", "setup.py")

#: How long (s) making a wheel and installing it may take.
INSTALL_WITHIN_S = 600


def copy_sources(sources: Path) -> Path:
    """Copy them; returns where."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, sources / name)
    return sources
