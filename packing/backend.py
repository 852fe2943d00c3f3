"""What pip calls (PEP 517, PEP 660): setuptools, and for an editable install a pointer to here."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 - the hooks that aren't below

from packing.checkout import copy_of
from packing.names import make_anew

ROOT = Path(__file__).parents[1]

#: The finder's name in the environment that it is installed into.
FINDER = "_chaingraph_checkout"

WHEEL = """\
Wheel-Version: 1.0
Generator: packing.backend
Root-Is-Purelib: true
Tag: py3-none-any
"""


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Make a wheel that holds the finder, and where this checkout is. Returns its name."""
    make_anew(ROOT, Path(copy_of(str(ROOT))))
    about = Path(metadata_directory or _describe(wheel_directory, config_settings))
    files = dict(_finder()) | {f"{about.name}/WHEEL": WHEEL.encode()}
    files |= {f"{about.name}/{each.name}": each.read_bytes() for each in about.iterdir()}
    name = f"{about.name.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
        for place, text in files.items():
            wheel.writestr(place, text)
        wheel.writestr(f"{about.name}/RECORD", _record(files, about.name))
    return name


def _describe(wheel_directory: str, config_settings: dict[str, Any] | None) -> Path:
    described = Path(wheel_directory, "described")
    described.mkdir()
    name: str = build_meta.prepare_metadata_for_build_wheel(str(described), config_settings)
    return described / name


def _finder() -> Iterator[tuple[str, bytes]]:
    """This folder, which imports nothing from outside of it but here; and a line to start it."""
    for each in ("__init__.py", "checkout.py", "names.py"):
        yield f"{FINDER}/{each}", Path(__file__).with_name(each).read_bytes()
    start = f"import {FINDER}.checkout; {FINDER}.checkout.install({str(ROOT)!r})\n"
    yield f"{FINDER}.pth", start.encode()


def _record(files: dict[str, bytes], about: str) -> str:
    """The list of all files, by which pip takes them away again."""
    lines = [f"{place},sha256={_digest(text)},{len(text)}" for place, text in files.items()]
    return "\n".join([*lines, f"{about}/RECORD,,", ""])


def _digest(text: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
