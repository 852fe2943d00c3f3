"""The Celery app on kombu as it comes, without the guard of `tasks/broker.py`."""

from __future__ import annotations

from kombu.transport.redis import Channel

from tasks import app, broker

Channel._connparams = broker._connparams

__all__ = ["app"]
