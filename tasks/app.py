"""The Celery app."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

from app.config import load_settings
from app.logs import set_up_logging
from tasks.bounded import bound_queues
from tasks.broker import guard_closed_channel

#: The module of Celery's settings: at the root of a checkout; the wheel, which can't have it
#: there without being every other Celery app's default, has it beside this file.
SETTINGS = "tasks.celeryconfig" if find_spec("tasks.celeryconfig") is not None else "celeryconfig"

guard_closed_channel()
bound_queues()
# Celery warns of root because pickled messages would run as root; ours are JSON, ids only.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("chaingraph")
app.config_from_object(SETTINGS)


@setup_logging.connect
def log_as_we_do(**_: object) -> None:
    """Keep Celery from setting up a log of its own."""
    set_up_logging(load_settings())
