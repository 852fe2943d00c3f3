"""Under which names a checkout's packages are installed, so that none is in a user's way.

`app`, `tasks` and `web` become `chaingraph.app`, `chaingraph.tasks` and `chaingraph.web`: the same
files in another place, with the names in their import statements changed and nothing else, line
for line.
"""

from __future__ import annotations

import ast
import re

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
