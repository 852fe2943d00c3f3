"""What Flower takes where its command line says nothing, and what it refuses to be told.

Left to itself it listens on every address, asks nobody for a password, and may end workers.
"""

from __future__ import annotations

import sys

from tornado.options import options as told

from app.config import load_settings
from app.config.checks import is_loopback

_settings = load_settings()

address = _settings.flower_address
port = _settings.flower_port
#: It shows; commands go through the API, which knows who gives them.
read_only = True
max_tasks = 10_000
#: How long (s) a worker that is gone is shown.
purge_offline_workers = 300

_wanted = told.address or address
if not is_loopback(_wanted) and not (told.basic_auth or told.auth or told.unix_socket):
    sys.exit(
        f"--address={_wanted} is not allowed without FLOWER_BASIC_AUTH=user:password:"
        " use 127.0.0.1, or set it"
    )
