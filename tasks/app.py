"""The Celery app."""

from __future__ import annotations

from celery import Celery

from tasks.broker import guard_closed_channel

guard_closed_channel()

app = Celery("chaingraph")
app.config_from_object("celeryconfig")
