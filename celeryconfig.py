"""Celery's settings, under the name that Celery and its operators look for at the root.

They are written in `tasks/celeryconfig.py`: an installed server has no root, and its working
directory may have a `celeryconfig.py` of somebody else's.
"""

from __future__ import annotations

from tasks.celeryconfig import *  # noqa: F403 - the same settings
