"""What pyproject.toml can't say: which folders go into the wheel, and under which names."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

from packing.names import FACE, HIDDEN, INSTALLED, renamed


class BuildRenamed(build_py):
    """Copies the packages to where they are installed, and renames what they import."""

    def run(self) -> None:
        """Copy, then rename."""
        super().run()
        for output in map(Path, self.get_outputs(include_bytecode=False)):
            if output.suffix == ".py":
                output.write_bytes(renamed(output.read_bytes()))


setup(
    cmdclass={"build_py": BuildRenamed},
    packages=[
        FACE,
        *(
            f"{FACE}.{name}"
            for each in HIDDEN
            for name in find_packages(include=[each, f"{each}.*"])
        ),
        f"{FACE}.app.migrations",
        f"{FACE}.app.migrations.versions",
        f"{FACE}.app.samples",
    ],
    package_dir={package: folder for folder, package in INSTALLED.items()},
    package_data={
        f"{FACE}.web": ["docs/*"],
        f"{FACE}.app.migrations": ["*.mako"],
        f"{FACE}.app.samples": ["*.json"],
    },
)
