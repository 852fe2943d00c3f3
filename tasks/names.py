"""What a worker and its processes are called."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket

from app.config import Settings


def make_worker_id(settings: Settings) -> str:
    """Name this worker: WORKER_ID, or host, pid and a random part."""
    return settings.worker_id or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


def lock_key(worker_id: str) -> int:
    """The advisory lock of a process: 64 bits of its name's hash."""
    digest = hashlib.sha256(worker_id.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
