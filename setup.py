"""What pyproject.toml can't say: which folders beside the packages go into the wheel, and where."""

from __future__ import annotations

from setuptools import find_packages, setup

#: A checkout has them at its root; an installed server looks beside its own code
#: (app/config/places.py).
SHIPPED = {"app.migrations": "migrations", "app.samples": "samples"}

setup(
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
