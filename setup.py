"""What pyproject.toml can't say: which folders go into the wheel, and under which names."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

# pip runs this file without its folder among those that are searched.
sys.path.insert(0, str(Path(__file__).parent))

from packing import FACE, HIDDEN, INSTALLED, renamed


class BuildRenamed(build_py):
    """Copies the packages to where they are installed, and renames what they import."""

    def run(self) -> None:
        """Copy, then rename."""
        super().run()
        if self.editable_mode:
            return
        for output in map(Path, self.get_outputs(include_bytecode=False)):
            if output.suffix == ".py":
                output.write_bytes(renamed(output.read_bytes()))


class EditableAsItStands(editable_wheel):
    """Points to the checkout, where the packages have their own names."""

    def run(self) -> None:
        """Point to the packages as they lie there."""
        self.distribution.packages = [FACE, *_hidden_packages()]
        self.distribution.package_dir = {}
        self.distribution.package_data = {}
        super().run()


def _hidden_packages() -> list[str]:
    return [name for each in HIDDEN for name in find_packages(include=[each, f"{each}.*"])]


setup(
    cmdclass={"build_py": BuildRenamed, "editable_wheel": EditableAsItStands},
    packages=[
        FACE,
        *(f"{FACE}.{name}" for name in _hidden_packages()),
        f"{FACE}.app.migrations",
        f"{FACE}.app.migrations.versions",
        f"{FACE}.app.samples",
    ],
    package_dir={package: folder for folder, package in INSTALLED.items()},
    package_data={
        FACE: ["py.typed"],
        f"{FACE}.web": ["docs/*"],
        f"{FACE}.app.migrations": ["*.mako"],
        f"{FACE}.app.samples": ["*.json"],
    },
)
