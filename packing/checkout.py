"""How Python finds ChainGraph where `pip install --editable` put nothing but a pointer to a checkout.

Elsewhere it is found as a wheel has it: in a copy under the installed names, which is brought up
to date with the checkout when a process first imports it. At the checkout's root, `app`, `tasks`
and `web` are the files there. This package is copied into the environment, so it imports
nothing that isn't beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_FACE = "chaingraph"
_HIDDEN = ("app", "tasks", "web")


class Checkout:
    """Finds what nothing on `sys.path` has: it is asked last."""

    def __init__(self, root: str) -> None:
        self._root = root

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give the package's own place; what lies in it is found by that."""
        if name != _FACE and name not in _HIDDEN:
            return None
        if self._is_worked_in():
            return PathFinder.find_spec(name, [self._root])
        return PathFinder.find_spec(name, [self._copied()]) if name == _FACE else None

    def _is_worked_in(self) -> bool:
        """Whether this is `.venv/bin/chaingraph` or another program of ours, started at the root.

        A script that lies elsewhere may have an `app` beside it, wherever it was started.
        """
        programs = os.path.realpath(os.path.join(sys.prefix, "bin"))
        try:
            return sys.path[:1] == [programs] and os.path.samefile(os.curdir, self._root)
        except FileNotFoundError:
            return False

    def _copied(self) -> str:
        from pathlib import Path

        from .names import bring_up_to_date

        copy = copy_of(self._root)
        bring_up_to_date(Path(self._root), Path(copy))
        return copy


def copy_of(root: str) -> str:
    """Where the copy lies; git and `make clean` know the folder."""
    return os.path.join(root, "build", "installed")


def install(root: str) -> None:
    """Have this process find ChainGraph in the checkout at `root`."""
    sys.meta_path.append(Checkout(root))
