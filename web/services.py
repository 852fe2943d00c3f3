"""What the routes call: handed to the app once, by whoever composes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from flask import Flask, current_app

from app.errors import StoreUnavailable
from app.executions.bulk import BulkCommands
from app.executions.control import Control
from app.executions.creation import KeyedCreation
from app.executions.flows import FlowService
from app.executions.forking import Forking
from app.executions.listings import Listings
from app.executions.secrets import SecretService
from app.executions.service import ExecutionService
from app.executions.signalling import Signalling
from app.executions.takeover import Takeover
from app.executions.workers import WorkerDirectory
from app.nodes.spec import Catalogue

_KEY = "chaingraph"


@dataclass(frozen=True, slots=True)
class Health:
    """What this process depends on, as it is now; in local mode on no server."""

    postgres: Literal["up", "down", "unused"]
    redis: Literal["up", "down", "unused"]
    schema: Literal["current", "outdated", "unknown"]

    @property
    def is_ready(self) -> bool:
        """Whether requests can be served. Without Redis they can, only more slowly."""
        return self.schema == "current"


class Check(Protocol):
    """Finds out what this process depends on."""

    def run(self) -> Health:
        """Ask everything once."""
        ...


class LocalHealthCheck:
    """Nothing to ask: the process is all there is."""

    def run(self) -> Health:
        """Ask nobody."""
        return Health("unused", "unused", "current")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How to find out: the revision of each database's schema (StoreUnavailable where one is
    away), and Redis.
    """

    wanted_revision: str | None
    present_revisions: Callable[[], Sequence[str | None]]
    redis_answers: Callable[[], bool]

    def run(self) -> Health:
        """Ask everything once."""
        redis: Literal["up", "down"] = "up" if self.redis_answers() else "down"
        try:
            present = self.present_revisions()
        except StoreUnavailable:
            return Health("down", redis, "unknown")
        is_current = all(each == self.wanted_revision for each in present)
        return Health("up", redis, "current" if is_current else "outdated")


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases behind the routes."""

    flows: FlowService
    secrets: SecretService
    executions: ExecutionService
    creation: KeyedCreation
    forking: Forking
    takeover: Takeover
    control: Control
    signalling: Signalling
    bulk: BulkCommands
    listings: Listings
    workers: WorkerDirectory
    catalogue: Catalogue
    health: Check


def provide(app: Flask, services: Services) -> None:
    """Give the app its services."""
    app.extensions[_KEY] = services


def services() -> Services:
    """The services of the app that handles this request."""
    provided: Services = current_app.extensions[_KEY]
    return provided
