"""Types of nodes, as the catalogue lists them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from web.shapes.forms import Page, Shape


class Port(BaseModel):
    """A port of a node type; bounds as documents write them."""

    model_config = ConfigDict(extra="allow")

    id: str
    direction: Literal["input", "output", "passthrough"]
    type: str
    required: bool


class Retry(Shape):
    """How often a failed node is tried, and how long (ms) the pauses are."""

    max_attempts: int
    backoff_ms: int
    backoff_factor: float
    max_backoff_ms: int


class NodeType(Shape):
    """A type of the catalogue."""

    id: str
    type: str
    category: str
    title: str
    description: str
    tags: list[str]
    deprecated: bool
    effects: bool
    extra_ports: bool
    retry: Retry
    timeout_ms: int | None
    queue: str | None
    ports: list[Port]
    system_ports: list[Port]


class NodeTypePage(Page[NodeType]):
    """One page of the catalogue."""
