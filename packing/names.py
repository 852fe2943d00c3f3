"""Under which names a checkout's packages are installed, so that none is in a user's way.

`app`, `tasks` and `web` become `chaingraph.app`, `chaingraph.tasks` and `chaingraph.web`: the same
files in another place, with the names in their import statements changed and nothing else, line
for line.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

#: The one name that an install takes.
FACE = "chaingraph"

#: Packages that a checkout has beside it.
HIDDEN = ("app", "tasks", "web")

#: Folders that go along, and the package in which each is found (app/config/places.py).
SHIPPED = {"migrations": "app.migrations", "samples": "app.samples"}

#: Each folder's name as it is installed.
INSTALLED = (
    {FACE: FACE}
    | {name: f"{FACE}.{name}" for name in HIDDEN}
    | {folder: f"{FACE}.{package}" for folder, package in SHIPPED.items()}
)

_FROM_HIDDEN = re.compile(rb"from\s+(?=(?:%s)\b)" % "|".join(HIDDEN).encode())


def renamed(source: bytes) -> bytes:
    """Give a module's source with what it imports of ours under the installed names.

    Raises ValueError for `import app.ids`, which can't be renamed without its uses, and SyntaxError.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            _refuse(node)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and _is_hidden(node.module or ""):
            line = lines[node.lineno - 1]
            found = _FROM_HIDDEN.match(line, node.col_offset)
            if found is None:
                raise ValueError(
                    f"line {node.lineno}: write `from {node.module} import` in one line"
                )
            lines[node.lineno - 1] = line[: found.end()] + f"{FACE}.".encode() + line[found.end() :]
    return b"".join(lines)


def _is_hidden(module: str) -> bool:
    return module.partition(".")[0] in HIDDEN


def _refuse(node: ast.Import) -> None:
    for each in node.names:
        if _is_hidden(each.name):
            raise ValueError(f"line {node.lineno}: `import {each.name}`: write `from … import …`")


def bring_up_to_date(root: Path, copy: Path) -> None:
    """Make `copy` hold what an install of the checkout at `root` does, as files stand there now.

    Only what was changed is written, each file in one step: other processes may be at it, too.
    """
    wanted = dict(_installed_files(root, copy))
    for target, source in wanted.items():
        changed_at = source.stat().st_mtime_ns
        if not target.exists() or target.stat().st_mtime_ns != changed_at:
            _write(target, _installed_text(source), changed_at)
    for found in _files_in(copy):
        if found not in wanted and found.suffix != ".new":
            found.unlink(missing_ok=True)


def make_anew(root: Path, copy: Path) -> None:
    """Write all of `copy` again: the rules may be others than they were."""
    shutil.rmtree(copy, ignore_errors=True)
    bring_up_to_date(root, copy)


def _installed_files(root: Path, copy: Path) -> Iterator[tuple[Path, Path]]:
    for folder, package in INSTALLED.items():
        place = copy.joinpath(*package.split("."))
        for source in _files_in(root / folder):
            yield place / source.relative_to(root / folder), source


def _files_in(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each != "__pycache__"]
        yield from (Path(where, name) for name in names)


def _installed_text(source: Path) -> bytes:
    text = source.read_bytes()
    try:
        return renamed(text) if source.suffix == ".py" else text
    except SyntaxError:
        # Someone is at work on it. Who imports it hears of it then.
        return text


def _write(target: Path, text: bytes, changed_at: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f"{target.name}.{os.getpid()}.new")
    new.write_bytes(text)
    os.utime(new, ns=(changed_at, changed_at))
    new.replace(target)
