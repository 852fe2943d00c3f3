"""From the text of an environment variable to a typed value, or a ValueError.

Each `Kind` carries the sentence that tells the operator what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off"})

BYTE_UNITS = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3}

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_BYTES = re.compile(r"(\d+)\s*([A-Za-z]*)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ONE_RATE = r"\s*[1-9]\d*\s*(/|per)\s*([1-9]\d*)?\s*(second|minute|hour|day|month|year)s?\s*"
_RATE = re.compile(rf"{_ONE_RATE}([,;|]{_ONE_RATE})*", re.IGNORECASE)
_BLANK = re.compile(r"[\s\0]")
_ORIGIN = re.compile(r"(?i:https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?")
_WORKER_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,100}")


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of value is read, and what is allowed, in words."""

    allowed: str
    read: Callable[[str], Any]


def text(allowed: str = "any text") -> Kind:
    """Any text, taken as it is."""
    return Kind(allowed, str)


def path(allowed: str) -> Kind:
    """A path, relative to where the process was started."""
    return Kind(allowed, Path)


def boolean() -> Kind:
    """True or false, in the usual spellings."""
    return Kind("true or false", _read_boolean)


def integer(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`, both included."""

    def read(raw: str) -> int:
        value = int(raw)
        if not low <= value <= high:
            raise ValueError(raw)
        return value

    return Kind(f"a whole number from {low} to {high}", read)


def byte_size(low: int, high: int) -> Kind:
    """A number of bytes, also written `64KiB` or `5 MiB`; bounds in bytes."""

    def read(raw: str) -> int:
        match = _BYTES.fullmatch(raw)
        if match is None or match[2].lower() not in BYTE_UNITS:
            raise ValueError(raw)
        value = int(match[1]) * BYTE_UNITS[match[2].lower()]
        if not low <= value <= high:
            raise ValueError(raw)
        return value

    return Kind(f"bytes from {low} to {high}, also as 64KiB or 5MiB", read)


def choice(*options: str) -> Kind:
    """One of the options, in lower case."""

    def read(raw: str) -> str:
        if raw.lower() not in options:
            raise ValueError(raw)
        return raw.lower()

    return Kind(" or ".join(options), read)


def matching(pattern: re.Pattern[str], allowed: str) -> Kind:
    """Text that the whole pattern matches."""

    def read(raw: str) -> str:
        if pattern.fullmatch(raw) is None:
            raise ValueError(raw)
        return raw

    return Kind(allowed, read)


def worker_id() -> Kind:
    """A name that is safe in keys, log lines and node names."""
    return matching(_WORKER_ID, "up to 100 letters, digits and _ . : @ -")


def secret_key() -> Kind:
    """A key of 32 characters or more."""
    return matching(re.compile(r".{32,}"), "32 characters or more")


def listed(item: Kind) -> Kind:
    """A comma-separated list of items; blanks around them are dropped."""

    def read(raw: str) -> tuple[Any, ...]:
        return tuple(item.read(part.strip()) for part in raw.split(",") if part.strip())

    return Kind(f"comma-separated, each {item.allowed}", read)


def module_name() -> Kind:
    """The dotted name of a Python module."""
    return matching(_MODULE, "a Python module such as package.module")


def url(*schemes: str) -> Kind:
    """A URL of one of the schemes; whether anybody answers there is not looked at."""

    def read(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes:
            raise ValueError(raw)
        # `port` is computed on access, and raises ValueError when it is no port.
        _ = parts.port
        return raw

    return Kind("a URL with " + " or ".join(f"{scheme}://" for scheme in schemes), read)


def web_url() -> Kind:
    """A URL with which a client of HTTP can do something."""

    def read(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in ("http", "https") or not parts.hostname or _BLANK.search(raw):
            raise ValueError(raw)
        # Both raise ValueError: of what is no port, and of what no name server takes.
        _ = parts.port, parts.hostname.encode("idna")
        return raw

    return Kind("a URL with http:// or https://, and a host", read)


def origin() -> Kind:
    """An origin as a browser sends it: scheme, host and port, no path."""

    def read(raw: str) -> str:
        if _ORIGIN.fullmatch(raw) is None:
            raise ValueError(raw)
        # As a browser writes it; `port` raises ValueError where it is none.
        _ = urlsplit(raw).port
        return raw.lower()

    return Kind("an origin such as https://example.org", read)


def rate() -> Kind:
    """How often something may happen: one limit, or several with semicolons between."""
    return matching(_RATE, "limits such as 100/second or 10/second;1000 per 2 hours")


def network_target() -> Kind:
    """A host name, an address or a CIDR range, each with `:port` if wanted."""
    return Kind("a host, an address or a CIDR range, with :port if wanted", _read_target)


def user_and_password() -> Kind:
    """`user:password` pairs as Flower takes them."""
    return matching(re.compile(r"[^:,\s]+:[^,\s]+(,[^:,\s]+:[^,\s]+)*"), "user:password")


def _read_boolean(raw: str) -> bool:
    word = raw.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(raw)


def _read_target(raw: str) -> str:
    if _is_network(raw):
        return raw
    host, colon, port = raw.rpartition(":")
    if not colon:
        host, port = raw, "1"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(raw)
    bare = host.removeprefix("[").removesuffix("]")
    if not _is_network(bare) and _HOST.fullmatch(bare) is None:
        raise ValueError(raw)
    return raw


def _is_network(raw: str) -> bool:
    try:
        ip_network(raw, strict=False)
    except ValueError:
        return False
    return True
