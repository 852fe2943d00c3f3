"""What the steps of an address may be."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import Map, UnicodeConverter


class _Name(UnicodeConverter):
    """Any step but those that are addresses of their own: they take other methods."""

    taken: tuple[str, ...] = ()

    def __init__(self, map: Map) -> None:  # noqa: A002 — as inherited
        super().__init__(map)
        self.regex = f"(?!(?:{'|'.join(self.taken)})$)[^/]+"


class ExecutionName(_Name):
    """The id of an execution."""

    taken = ("batch", "bulk")


class FlowName(_Name):
    """The id of a flow."""

    taken = ("validate",)


def register_converters(app: Flask) -> None:
    """Have the app's routes name them."""
    app.url_map.converters |= {"execution": ExecutionName, "flow": FlowName}
