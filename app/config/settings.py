"""The settings themselves: one field for each environment variable, with kind and default.

How a field gets its value is in `loading`; what must hold between fields is in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from app.config import parsing, urls
from app.config.parsing import Kind
from app.errors import SettingsError

_DAY_MS = 86_400_000
_KIB = 1024
_MIB = 1024 * _KIB

#: Where a value came from when nothing set it.
DEFAULT = "default"
#: … and how the source begins when `dev` runs the server.
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Variable:
    """What is known of an environment variable besides its default."""

    kind: Kind
    secret: bool = False
    name: str | None = None


class DescribedSetting(NamedTuple):
    """One line of `chaingraph config`; `value` is masked where it is secret."""

    name: str
    value: str
    source: str


def _variable(kind: Kind, default: Any = None, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"variable": Variable(kind, secret)})


def _address(kind: Kind, name: str) -> Any:
    return field(default=None, metadata={"variable": Variable(kind, secret=True, name=name)})


def _nowhere() -> Mapping[str, str]:
    return MappingProxyType({})


_POSTGRES = parsing.url("postgresql", "postgres")
_REDIS = parsing.url("redis", "rediss", "unix", "redis+socket")
_PORT = parsing.integer(1, 65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. The name of a field in capitals is its variable.

    The addresses of the servers are properties, written for the library that takes them; they
    raise SettingsError when nothing is set and no embedded server runs.
    """

    execution_mode: Literal["celery", "local"] = _variable(
        parsing.choice("celery", "local"), "celery"
    )
    given_database_url: str | None = _address(_POSTGRES, "DATABASE_URL")
    given_database_url_executions: str | None = _address(_POSTGRES, "DATABASE_URL_EXECUTIONS")
    given_redis_url: str | None = _address(_REDIS, "REDIS_URL")
    given_broker_url: str | None = _address(_REDIS, "BROKER_URL")
    data_dir: Path = _variable(parsing.path("a directory"), Path(".data"))
    pg_bin: Path | None = _variable(parsing.path("the directory of PostgreSQL's programs"))
    valkey_bin: Path | None = _variable(parsing.path("the program of a Valkey or Redis server"))
    host: str = _variable(parsing.text("a host name or an address"), "127.0.0.1")
    port: int = _variable(_PORT, 4021)

    worker_id: str | None = _variable(parsing.worker_id())
    worker_concurrency: int = _variable(parsing.integer(1, 1000), 10)
    worker_pool: Literal["prefork", "threads"] = _variable(
        parsing.choice("prefork", "threads"), "prefork"
    )
    queue_concurrency: int = _variable(parsing.integer(0, 100_000), 0)
    step_dispatch: Literal["inline", "message"] = _variable(
        parsing.choice("inline", "message"), "inline"
    )
    worker_heartbeat_interval_ms: int = _variable(parsing.integer(100, 3_600_000), 2000)
    worker_claim_timeout_ms: int = _variable(parsing.integer(300, _DAY_MS), 10_000)
    worker_drain_timeout_ms: int = _variable(parsing.integer(0, 3_600_000), 30_000)
    enable_recovery: bool = _variable(parsing.boolean(), True)
    recovery_scan_interval_ms: int = _variable(parsing.integer(50, 3_600_000), 500)
    recovery_max_failure_count: int = _variable(parsing.integer(1, 1000), 5)
    start_signal_timeout_ms: int = _variable(parsing.integer(100, 30 * _DAY_MS), 300_000)

    max_execution_depth: int = _variable(parsing.integer(1, 10_000), 100)
    max_children_per_parent: int = _variable(parsing.integer(1, 1_000_000), 100)
    max_items_per_foreach: int = _variable(parsing.integer(1, 10_000_000), 10_000)
    max_body_bytes: int = _variable(parsing.byte_size(_KIB, 1024 * _MIB), 5 * _MIB)
    max_value_bytes: int = _variable(parsing.byte_size(_KIB, 256 * _MIB), _MIB)

    event_publish: Literal["always", "watched"] = _variable(
        parsing.choice("always", "watched"), "always"
    )
    event_stream_ttl_s: int = _variable(parsing.integer(1, 30 * 86_400), 3600)
    event_stream_maxlen: int = _variable(parsing.integer(10, 10_000_000), 10_000)
    retention_days: int = _variable(parsing.integer(0, 36_500), 30)
    connection_pool_min: int = _variable(parsing.integer(0, 1000), 1)
    connection_pool_max: int = _variable(parsing.integer(1, 1000), 20)

    auth_enabled: bool = _variable(parsing.boolean(), False)
    secret_key: str | None = _variable(parsing.secret_key(), secret=True)
    secret_key_old: str | None = _variable(parsing.secret_key(), secret=True)
    cors_origins: tuple[str, ...] = _variable(parsing.listed(parsing.origin()), ())
    rate_limit: str | None = _variable(parsing.rate())
    http_node_allow: tuple[str, ...] = _variable(parsing.listed(parsing.network_target()), ())
    node_modules: tuple[str, ...] = _variable(parsing.listed(parsing.module_name()), ())

    log_level: Literal["debug", "info", "warning", "error", "critical"] = _variable(
        parsing.choice("debug", "info", "warning", "error", "critical"), "info"
    )
    log_format: Literal["console", "json"] = _variable(parsing.choice("console", "json"), "console")
    log_file: Path | None = _variable(parsing.path("a file"))
    enable_metrics: bool = _variable(parsing.boolean(), True)
    metrics_include_memory: bool = _variable(parsing.boolean(), False)
    metrics_token: str | None = _variable(parsing.text("a token"), secret=True)
    worker_metrics_port: int = _variable(parsing.integer(0, 65535), 0)

    flower_address: str = _variable(parsing.text("an address"), "127.0.0.1")
    flower_port: int = _variable(_PORT, 5555)
    flower_basic_auth: str | None = _variable(parsing.user_and_password(), secret=True)
    flower_steps: bool = _variable(parsing.boolean(), False)
    dev_echo_port: int = _variable(_PORT, 4029)

    given_chaingraph_url: str | None = _address(parsing.web_url(), "CHAINGRAPH_URL")
    chaingraph_token: str | None = _variable(parsing.text("a token"), secret=True)

    #: Where each value came from, by variable; what isn't named here is the default.
    sources: Mapping[str, str] = field(default_factory=_nowhere, repr=False, compare=False)

    @property
    def database_url(self) -> str:
        """PostgreSQL for `psycopg2.connect`, a libpq URI."""
        return urls.for_libpq(_present(self.given_database_url, "DATABASE_URL", self.data_dir))

    @property
    def sqlalchemy_url(self) -> str:
        """The same database for `sqlalchemy.create_engine`."""
        return urls.for_sqlalchemy(self.database_url)

    @property
    def database_url_executions(self) -> str:
        """PostgreSQL for executions, a libpq URI: the same one unless it is set apart."""
        apart = self.given_database_url_executions
        return urls.for_libpq(apart) if apart else self.database_url

    @property
    def has_two_databases(self) -> bool:
        """Whether executions have a database of their own."""
        return self.database_url_executions != self.database_url

    @property
    def database_urls(self) -> tuple[str, ...]:
        """Every database, libpq URIs: the one of flows first, then that of executions if apart."""
        return tuple(dict.fromkeys((self.database_url, self.database_url_executions)))

    @property
    def redis_url(self) -> str:
        """Redis for `redis.Redis.from_url`."""
        return urls.for_redis(_present(self.given_redis_url, "REDIS_URL", self.data_dir))

    @property
    def broker_url(self) -> str:
        """Celery's broker, as kombu writes it."""
        return urls.for_kombu(self.given_broker_url or self.redis_url)

    @property
    def embeds_postgres(self) -> bool:
        """Whether PostgreSQL is ours to start: DATABASE_URL is not set."""
        return "DATABASE_URL" not in self.sources or self._is_embedded("DATABASE_URL")

    @property
    def embeds_redis(self) -> bool:
        """Whether Redis is ours to start: REDIS_URL is not set."""
        return "REDIS_URL" not in self.sources or self._is_embedded("REDIS_URL")

    @property
    def chaingraph_url(self) -> str:
        """Where the command line and the client find the API."""
        return self.given_chaingraph_url or f"http://{bracketed(_reached(self.host))}:{self.port}"

    def _is_embedded(self, name: str) -> bool:
        return self.sources[name].startswith(EMBEDDED)

    def describe(self) -> Iterator[DescribedSetting]:
        """Every setting by its variable's name, secrets masked, with its source."""
        for variable in variables():
            source = self.sources.get(variable.name, DEFAULT)
            yield DescribedSetting(variable.name, _shown(self, variable), source)


class NamedVariable(NamedTuple):
    """A variable with the field that holds its value."""

    name: str
    field_name: str
    default: Any
    kind: Kind
    secret: bool


def variables() -> Iterator[NamedVariable]:
    """Every environment variable that is read, in the order of the fields."""
    for each in fields(Settings):
        known: Variable | None = each.metadata.get("variable")
        if known is not None:
            name = known.name or each.name.upper()
            yield NamedVariable(name, each.name, each.default, known.kind, known.secret)


def masked(value: object, *, secret: bool) -> str:
    """The value as text; a secret only by its presence, a secret URL without its password."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if not secret:
        return str(value)
    return urls.masked(str(value)) if "://" in str(value) else urls.MASK


def _reached(host: str) -> str:
    """Where a server is reached from its own machine; on all addresses, also by loopback."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 — names it only


def bracketed(host: str) -> str:
    """The host as it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _shown(settings: Settings, variable: NamedVariable) -> str:
    value = getattr(settings, variable.field_name)
    if value is None:
        return _SHOWN_WHEN_UNSET.get(variable.name, "")
    return masked(value, secret=variable.secret)


_SHOWN_WHEN_UNSET = {
    "DATABASE_URL": "embedded",
    "DATABASE_URL_EXECUTIONS": "as DATABASE_URL",
    "REDIS_URL": "embedded",
    "BROKER_URL": "as REDIS_URL",
    "CHAINGRAPH_URL": "from HOST and PORT",
    "WORKER_ID": "host, pid and a random part",
}


def _present(address: str | None, name: str, data_dir: Path) -> str:
    if address is None:
        raise SettingsError(
            f"{name} is not set and no embedded server runs in {data_dir}:"
            f" set it, or start `chaingraph dev`"
        )
    return address
