"""What pyproject.toml can't say: which folders beside the packages go into the wheel, and where."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

#: A checkout has them at its root; an installed server looks beside its own code
#: (app/config/places.py).
SHIPPED = {"app.migrations": "migrations", "app.samples": "samples"}


class BuildWithSettings(build_py):
    """Puts Celery's settings, which a checkout has at its root, among the tasks (tasks/app.py)."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file("celeryconfig.py", str(Path(self.build_lib, "tasks", "celeryconfig.py")))


setup(
    cmdclass={"build_py": BuildWithSettings},
    packages=[
        *find_packages(include=["app*", "tasks*", "web*", "chaingraph*"]),
        *SHIPPED,
        "app.migrations.versions",
    ],
    package_dir=SHIPPED,
    package_data={
        "*": ["*.lua", "*.sql", "*.html", "*.css", "*.js", "py.typed"],
        "web": ["docs/*"],
        "app.migrations": ["*.mako"],
        "app.samples": ["*.json"],
    },
)
