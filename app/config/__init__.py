"""The settings: read once from the environment, checked, frozen.

This package alone reads `os.environ`. Everything else is handed a `Settings`.
"""

from __future__ import annotations

from app.config.loading import NOT_LOCAL, child_environ, load_caller, load_settings
from app.config.settings import DescribedSetting, Settings

__all__ = [
    "NOT_LOCAL",
    "DescribedSetting",
    "Settings",
    "child_environ",
    "load_caller",
    "load_settings",
]
