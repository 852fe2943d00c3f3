"""From the environment to `Settings`: former names, embedded servers, values, checks."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from app.config.checks import check
from app.config.former import translate
from app.config.settings import EMBEDDED, NamedVariable, Settings, masked, variables
from app.errors import SettingsError

#: In DATA_DIR while the embedded servers run: their addresses, by variable.
ADDRESSES_FILE = "addresses.json"

#: What a process in local mode of its own doesn't take from the environment: it serves whoever
#: started it, and nobody else.
NOT_LOCAL = {"AUTH_ENABLED": "false", "CORS_ORIGINS": "", "RATE_LIMIT": ""}

_log = logging.getLogger(__name__)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting; `environ` is the process's own unless given.

    A variable that is set but blank counts as unset. Raises SettingsError with one line that
    names the variable, its value and what is allowed; a secret value is not shown.
    """
    translation = translate(os.environ if environ is None else environ)
    for warning in translation.warnings:
        _log.warning(warning)
    given = {each.name: translation.environ.get(each.name) for each in variables()}
    sources = {name: "environment" for name, raw in given.items() if raw is not None}
    sources.update(translation.sources)
    values = {each.field_name: _value(each, given[each.name]) for each in variables()}
    for each, address in _embedded_addresses(values["data_dir"]).items():
        if values[each.field_name] is None:
            values[each.field_name] = address
            sources[each.name] = f"{EMBEDDED} ({values['data_dir']})"
    settings = Settings(**values, sources=MappingProxyType(sources))
    check(settings)
    return settings


class CallerSettings(NamedTuple):
    """Where the API is for who calls it, and with which token."""

    url: str
    token: str | None


#: What says that; no other variable is a caller's business.
_CALLERS = frozenset({"CHAINGRAPH_URL", "CHAINGRAPH_TOKEN", "HOST", "PORT"})


def load_caller(environ: Mapping[str, str] | None = None) -> CallerSettings:
    """Read where the API is: of all settings these alone. Raises SettingsError."""
    translation = translate(os.environ if environ is None else environ)
    values = {
        each.field_name: _value(each, translation.environ.get(each.name))
        for each in variables()
        if each.name in _CALLERS
    }
    settings = Settings(**values)
    return CallerSettings(settings.chaingraph_url, settings.chaingraph_token)


def _value(variable: NamedVariable, raw: str | None) -> Any:
    if raw is None:
        return variable.default
    try:
        return variable.kind.read(raw)
    except ValueError:
        shown = masked(raw, secret=variable.secret)
        raise SettingsError(
            f"{variable.name}={shown} is not allowed: {variable.kind.allowed}"
        ) from None


def _embedded_addresses(data_dir: Path) -> dict[NamedVariable, str]:
    """The addresses that `dev` left in DATA_DIR, so that other commands find its servers."""
    try:
        written = json.loads((data_dir / ADDRESSES_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return {each: written[each.name] for each in variables() if each.name in written}


def child_environ(**given: str) -> dict[str, str]:
    """This process's environment for a child, with the given variables laid over it."""
    return {**os.environ, **given}
