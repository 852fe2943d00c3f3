"""The Celery app."""

from __future__ import annotations

import sys
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

from app.config import load_settings
from app.config.places import ours
from app.errors import SettingsError
from app.logs import set_up_logging
from tasks.bounded import bound_queues
from tasks.broker import guard_closed_channel, guard_log

guard_closed_channel()
guard_log()
bound_queues()
# Celery warns of root because pickled messages would run as root; ours are JSON, ids only.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("chaingraph")
app.config_from_object(ours("tasks.celeryconfig"))


@setup_logging.connect
def log_as_we_do(**_: object) -> None:
    """Keep Celery from setting up a log of its own."""
    try:
        set_up_logging(load_settings())
    except SettingsError as error:
        sys.exit(error.message)
