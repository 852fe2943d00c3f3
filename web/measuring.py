"""What an API process counts, and how all of it is put together for `/metrics`."""

from __future__ import annotations

import os
import time

from flask import Flask
from prometheus_client.registry import Collector

from app.config import Settings
from app.metrics.census import CensusCollector
from app.metrics.exposition import CONTENT_TYPE, Exposition, MemoryCollector
from app.metrics.groups import ApiMetrics
from app.metrics.scratch import shared
from app.store.census import Census
from web.metrics import Shown, provide_metrics


def begin() -> ApiMetrics:
    """What this process counts in: with those that gunicorn forked beside it, if it did."""
    family = shared()
    if family is None:
        return ApiMetrics()
    with family.entered():
        return ApiMetrics()


def show(app: Flask, metrics: ApiMetrics, census: Census, settings: Settings) -> None:
    """Show it, what PostgreSQL says, and the memory if that is wanted."""
    family = shared()
    more: list[Collector] = [CensusCollector(census.figures, time.monotonic)]
    if settings.metrics_include_memory:
        more.append(MemoryCollector(os.getpid if family is None else os.getppid))
    exposition = Exposition(metrics.registry, family, more)
    shown = Shown(exposition.text, CONTENT_TYPE, settings.metrics_token)
    provide_metrics(app, shown, metrics.requests)
