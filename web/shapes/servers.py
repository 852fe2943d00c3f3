"""What serves: its workers, whether it can, and what it says of itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from web.shapes.forms import Page, Shape, Time


class Worker(Shape):
    """A worker that is alive, and the executions that run there."""

    worker_id: str
    hostname: str
    pid: int
    pool: str
    concurrency: int
    queues: list[str]
    active: list[str]
    status: Literal["running", "draining"]
    started_at: Time
    last_heartbeat_at: Time


class WorkerPage(Page[Worker]):
    """One page of workers."""


class Live(Shape):
    """The process lives."""

    status: Literal["ok"]


class Ready(Shape):
    """What the process depends on, and whether it can serve."""

    status: Literal["ok", "unavailable"]
    postgres: Literal["up", "down", "unused"]
    redis: Literal["up", "down", "unused"]
    schema_: Literal["current", "outdated", "unknown"] = Field(alias="schema")


class OpenApi(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
