"""The settings: read once from the environment, checked, frozen.

This package alone reads `os.environ`. Everything else is handed a `Settings`.
"""

from __future__ import annotations

from app.config.loading import child_environ, load_settings
from app.config.settings import DescribedSetting, Settings

__all__ = ["DescribedSetting", "Settings", "child_environ", "load_settings"]
