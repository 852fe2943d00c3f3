"""Flows as they are kept."""

from __future__ import annotations

from typing import Any

from pydantic import RootModel

from web.shapes.documents import FlowDocument
from web.shapes.forms import Page, Shape, Time
from web.shapes.problems import Fault


class FlowHead(Shape):
    """A flow as lists show it."""

    id: str
    flow_id: str
    version: int
    owner_id: str
    name: str
    created_at: Time
    updated_at: Time


class Flow(FlowHead):
    """A flow with the document of one version."""

    document: dict[str, Any]


class FlowPage(Page[FlowHead]):
    """One page of flows."""


class SavedFlow(Flow):
    """A flow that was saved, and what is odd about it."""

    warnings: list[Fault]


class FlowOrDocument(RootModel[Flow | FlowDocument]):
    """A flow, or with `format=chaingraph` its document alone."""
