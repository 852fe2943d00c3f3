"""One Valkey over a directory: a loopback port of its own, a password, an append-only file.

A port and not a socket, because Celery and redis-py write a socket's address differently. Port
and password are drawn once and remembered beside the data; a web page that posts to the port
is refused by the protocol, and again by the password.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from app.embedded.locate import valkey_program
from app.embedded.ports import LOOPBACK, free_port, is_free

if TYPE_CHECKING:
    from redis import Redis

IDENTITY_FILE = "identity.json"

SETTINGS = {
    "bind": LOOPBACK,
    "protected-mode": "yes",
    "daemonize": "no",
    "loglevel": "warning",
    "logfile": '""',
    # Once a second to disk: a hint that is lost costs one sweep, no more.
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    # Evicting a binding would break the broker; a full server says so instead.
    "maxmemory-policy": "noeviction",
}


class Identity(TypedDict):
    """What is drawn once: where the server listens and what it asks for."""

    port: int
    password: str


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """A directory with a configuration that is ready to be served."""

    program: Path
    directory: Path
    identity: Identity

    def command(self) -> list[str]:
        """The server in the foreground; end it with SIGTERM."""
        return [str(self.program), str(self.directory / "valkey.conf")]

    def url(self, database: int = 0) -> str:
        """An address that redis-py and Celery both take."""
        password, port = self.identity["password"], self.identity["port"]
        return f"redis://:{password}@{LOOPBACK}:{port}/{database}"

    def is_ready(self) -> bool:
        """Whether it answers, its data read."""
        from redis.exceptions import RedisError

        with self._client() as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    def shut_down(self) -> None:
        """Tell it to end, when it is nobody's child any more."""
        with self._client() as client:
            client.shutdown()

    def _client(self) -> Redis:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis.from_url(self.url(), socket_timeout=2, retry=Retry(NoBackoff(), 0))


def recall_identity(directory: Path) -> Identity | None:
    """The port and password of the directory's server; None before the first start."""
    try:
        written = json.loads((directory / IDENTITY_FILE).read_bytes())
        return Identity(port=int(written["port"]), password=str(written["password"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prepare_valkey(directory: Path, program: Path | None = None, **settings: str) -> EmbeddedValkey:
    """Find the program, draw or recall port and password, and write the configuration.

    `directory` is where data goes, `program` is VALKEY_BIN, `settings` are laid over SETTINGS,
    with underscores for hyphens. Raises EmbeddedServerError when there is no server.
    """
    found = valkey_program(program)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = _identity(directory)
    lines = {
        **SETTINGS,
        **{name.replace("_", "-"): value for name, value in settings.items()},
        "dir": f'"{directory.resolve()}"',
        "port": str(identity["port"]),
        "requirepass": identity["password"],
    }
    _write_closed(directory / "valkey.conf", "".join(f"{k} {v}\n" for k, v in lines.items()))
    return EmbeddedValkey(found, directory, identity)


def _identity(directory: Path) -> Identity:
    recalled = recall_identity(directory)
    if recalled is not None and is_free(recalled["port"]):
        return recalled
    password = recalled["password"] if recalled else secrets.token_urlsafe(24)
    drawn = Identity(port=free_port(), password=password)
    _write_closed(directory / IDENTITY_FILE, json.dumps(drawn))
    return drawn


def _write_closed(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.write_text(content)
