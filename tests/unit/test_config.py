"""Settings: read once, bounded, checked together, explained in one line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from limits import parse_many

from app.config import Settings, load_settings
from app.config.loading import ADDRESSES_FILE
from app.config.settings import variables
from app.errors import SettingsError


def load(tmp_path: Path, **environ: str) -> Settings:
    return load_settings({"DATA_DIR": str(tmp_path), **environ})


def refusal(tmp_path: Path, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, **environ)
    assert "\n" not in refused.value.message
    return refused.value.message


def test_an_empty_environment_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.execution_mode == "celery"
    assert (settings.host, settings.port) == ("127.0.0.1", 4021)
    assert (settings.worker_concurrency, settings.worker_pool) == (10, "prefork")
    assert settings.worker_heartbeat_interval_ms == 2000
    assert settings.worker_claim_timeout_ms == 10_000
    assert settings.recovery_scan_interval_ms == 500
    assert settings.max_body_bytes == 5 * 1024 * 1024
    assert settings.chaingraph_url == "http://127.0.0.1:4021"


def test_a_blank_variable_counts_as_unset(tmp_path: Path) -> None:
    assert load(tmp_path, PORT=" ").port == 4021


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "http", "a whole number from 1 to 65535"),
        ("WORKER_POOL", "gevent", "prefork or threads"),
        ("ENABLE_RECOVERY", "maybe", "true or false"),
        ("MAX_BODY_BYTES", "5 PiB", "bytes from"),
        ("NODE_MODULES", "os; rm", "a Python module"),
        ("HTTP_NODE_ALLOW", "10.0.0.0/8,a b", "a CIDR range"),
        ("DATABASE_URL", "mysql://u@h/d", "postgresql:// or postgres://"),
        ("DATABASE_URL", "postgres://h:99999/d", "postgresql:// or postgres://"),
        ("REDIS_URL", "http://h", "redis://"),
        ("CHAINGRAPH_URL", "ftp://h", "http:// or https://, and a host"),
        ("CHAINGRAPH_URL", "http://", "http:// or https://, and a host"),
        ("CHAINGRAPH_URL", "http://:4021", "http:// or https://, and a host"),
        ("CHAINGRAPH_URL", "http://a b", "http:// or https://, and a host"),
        ("CHAINGRAPH_URL", "http://a..b", "http:// or https://, and a host"),
        ("CHAINGRAPH_URL", "http://h:99999", "http:// or https://, and a host"),
        ("LOG_LEVEL", "loud", "debug or info"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_itself_and_what_is_allowed(
    tmp_path: Path, name: str, value: str, allowed: str
) -> None:
    message = refusal(tmp_path, **{name: value})
    assert message.startswith(f"{name}={value} ")
    assert allowed in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("DATABASE_URL", "hunter2"),
        ("SECRET_KEY", "hunter2"),
        ("FLOWER_BASIC_AUTH", "hunter2"),
    ],
)
def test_a_refusal_shows_no_secret(tmp_path: Path, name: str, value: str) -> None:
    assert "hunter2" not in refusal(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"WORKER_CLAIM_TIMEOUT_MS": "5999"}, "at least 6000"),
        ({"CONNECTION_POOL_MAX": "0"}, "CONNECTION_POOL_MAX"),
        ({"CONNECTION_POOL_MIN": "21"}, "at most CONNECTION_POOL_MAX, 20"),
        ({"HOST": "0.0.0.0"}, "AUTH_ENABLED=true"),
        ({"HOST": "example.org"}, "AUTH_ENABLED=true"),
        ({"FLOWER_ADDRESS": "0.0.0.0"}, "FLOWER_BASIC_AUTH"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    tmp_path: Path, environ: dict[str, str], named: str
) -> None:
    assert named in refusal(tmp_path, **environ)


KEY = {"AUTH_ENABLED": "true", "SECRET_KEY": "k" * 32}


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"AUTH_ENABLED": "true"}, "SECRET_KEY"),
        ({**KEY, "SECRET_KEY": "short"}, "32 characters or more"),
        ({**KEY, "EXECUTION_MODE": "local"}, "EXECUTION_MODE=local"),
        ({"CORS_ORIGINS": "https://example.org"}, "AUTH_ENABLED=false"),
        ({"RATE_LIMIT": "5/second", "EXECUTION_MODE": "local"}, "EXECUTION_MODE=local"),
        *(({"RATE_LIMIT": rate}, "limits such as") for rate in ("5", "0/second", "5/s", "a/hour")),
        ({**KEY, "CORS_ORIGINS": "https://*.example.org"}, "an origin such as"),
        ({**KEY, "CORS_ORIGINS": "https://example.org/"}, "an origin such as"),
        ({**KEY, "CORS_ORIGINS": "*"}, "an origin such as"),
    ],
)
def test_tokens_need_what_they_stand_on(
    tmp_path: Path, environ: dict[str, str], named: str
) -> None:
    assert named in refusal(tmp_path, **environ)


def test_with_tokens_the_api_may_be_reached_from_elsewhere(tmp_path: Path) -> None:
    pages = "https://a.example.org,http://[::1]:3000,http://localhost:3000"
    settings = load(tmp_path, **KEY, HOST="0.0.0.0", CORS_ORIGINS=pages)
    assert settings.chaingraph_url == "http://127.0.0.1:4021"
    assert settings.cors_origins == tuple(pages.split(","))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_no_tokens(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, HOST=host).host == host


def test_flower_may_be_reached_from_elsewhere_with_a_password(tmp_path: Path) -> None:
    settings = load(tmp_path, FLOWER_ADDRESS="0.0.0.0", FLOWER_BASIC_AUTH="ada:secret")
    assert settings.flower_address == "0.0.0.0"


def test_a_second_name_for_the_same_database_is_no_second_database(tmp_path: Path) -> None:
    same = {"DATABASE_URL": "postgres://h/d", "DATABASE_URL_EXECUTIONS": "postgresql://h/d"}
    settings = load(tmp_path, **same)
    assert not settings.has_two_databases
    assert settings.database_urls == ("postgresql://h/d",)


def test_executions_may_have_a_database_of_their_own(tmp_path: Path) -> None:
    apart = {"DATABASE_URL": "postgres://h/d", "DATABASE_URL_EXECUTIONS": "postgres://i/e"}
    settings = load(tmp_path, **apart)
    assert settings.has_two_databases
    assert settings.database_urls == ("postgresql://h/d", "postgresql://i/e")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_database_is_written_for_each_library(tmp_path: Path, scheme: str) -> None:
    rest = "u:p@/db?host=/run/pg&sslmode=disable"
    settings = load(tmp_path, DATABASE_URL=f"{scheme}://{rest}")
    assert settings.database_url == f"postgresql://{rest}"
    assert settings.sqlalchemy_url == f"postgresql+psycopg2://{rest}"


@pytest.mark.parametrize(
    ("given", "redis", "broker"),
    [
        ("redis://:p@h:1/2", "redis://:p@h:1/2", "redis://:p@h:1/2"),
        ("unix:///s.sock?db=1", "unix:///s.sock?db=1", "redis+socket:///s.sock?virtual_host=1"),
        ("redis+socket:///s.sock", "unix:///s.sock", "redis+socket:///s.sock"),
    ],
)
def test_redis_is_written_for_each_library(
    tmp_path: Path, given: str, redis: str, broker: str
) -> None:
    settings = load(tmp_path, REDIS_URL=given)
    assert (settings.redis_url, settings.broker_url) == (redis, broker)


def test_the_broker_may_be_another_redis(tmp_path: Path) -> None:
    settings = load(tmp_path, REDIS_URL="redis://a", BROKER_URL="redis://b")
    assert settings.broker_url == "redis://b"


def test_without_a_server_the_address_says_what_to_do(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.embeds_postgres
    assert settings.embeds_redis
    for address in ("database_url", "sqlalchemy_url", "redis_url", "broker_url"):
        with pytest.raises(SettingsError, match="chaingraph dev"):
            getattr(settings, address)


def test_the_servers_of_a_running_dev_are_found(tmp_path: Path) -> None:
    found = {"DATABASE_URL": "postgresql:///d?host=/s", "REDIS_URL": "redis://:p@127.0.0.1:1"}
    (tmp_path / ADDRESSES_FILE).write_text(json.dumps(found))
    settings = load(tmp_path)
    assert settings.database_url == found["DATABASE_URL"]
    assert settings.broker_url == found["REDIS_URL"]
    assert settings.embeds_postgres
    assert settings.sources["REDIS_URL"] == f"embedded ({tmp_path})"


def test_what_is_set_wins_over_the_servers_of_a_running_dev(tmp_path: Path) -> None:
    (tmp_path / ADDRESSES_FILE).write_text('{"DATABASE_URL": "postgresql:///embedded"}')
    settings = load(tmp_path, DATABASE_URL="postgres://mine")
    assert settings.database_url == "postgresql://mine"
    assert not settings.embeds_postgres


@pytest.mark.parametrize(
    ("former", "value", "warning", "field", "taken"),
    [
        ("DBOS_WORKER_CONCURRENCY", "4", "WORKER_CONCURRENCY", "worker_concurrency", 4),
        ("DBOS_ADMIN_PORT", "5600", "FLOWER_PORT", "flower_port", 5600),
        ("ENABLE_DBOS_EXECUTION", "true", "EXECUTION_MODE", "execution_mode", "celery"),
        ("EXECUTION_MODE", "dbos", "EXECUTION_MODE=celery", "execution_mode", "celery"),
    ],
)
def test_former_names_are_taken_with_one_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    former: str,
    value: str,
    warning: str,
    field: str,
    taken: object,
) -> None:
    with caplog.at_level(logging.WARNING):
        settings = load(tmp_path, **{former: value})
    assert getattr(settings, field) == taken
    (message,) = caplog.messages
    assert message.endswith(f"is now {warning}")


def test_the_present_name_wins_over_the_former(tmp_path: Path) -> None:
    both = {"DBOS_WORKER_CONCURRENCY": "4", "WORKER_CONCURRENCY": "5"}
    assert load(tmp_path, **both).worker_concurrency == 5


def test_names_without_a_successor_are_warned_about_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(tmp_path, DBOS_CONDUCTOR_URL="wss://x", METRICS_BATCH_SIZE="nonsense")
    assert sorted(caplog.messages) == [
        "DBOS_CONDUCTOR_URL has no meaning here and is ignored",
        "METRICS_BATCH_SIZE has no meaning here and is ignored",
    ]


def test_every_variable_is_described_and_no_secret_shown(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        DATABASE_URL="postgres://u:hunter2@h/d?password=hunter2",
        REDIS_URL="redis://:hunter2@h",
        SECRET_KEY="hunter2" * 6,
        FLOWER_BASIC_AUTH="ada:hunter2",
        CHAINGRAPH_TOKEN="hunter2",
        NODE_MODULES="mine, yours.too",
    )
    described = {each.name: each for each in settings.describe()}
    assert set(described) == {each.name for each in variables()}
    assert "hunter2" not in str(described)
    assert described["DATABASE_URL"].value == "postgres://u:********@h/d?password=********"
    assert described["NODE_MODULES"].value == "mine,yours.too"
    assert described["SECRET_KEY"].source == "environment"
    assert described["PORT"] == ("PORT", "4021", "default")


def test_byte_sizes_take_units(tmp_path: Path) -> None:
    settings = load(tmp_path, MAX_BODY_BYTES="10 MiB", MAX_VALUE_BYTES="65536")
    assert settings.max_body_bytes == 10 * 1024 * 1024
    assert settings.max_value_bytes == 65_536


def test_the_http_node_may_be_allowed_hosts_ranges_and_ports(tmp_path: Path) -> None:
    allowed = "127.0.0.1:4029,10.0.0.0/8,fd00::/8,[::1]:80,intranet,db.local:5432"
    settings = load(tmp_path, HTTP_NODE_ALLOW=allowed)
    assert settings.http_node_allow == tuple(allowed.split(","))


@pytest.mark.parametrize(
    "rate", ["100/second", "10 per minute", "1 per 2 hours;5/day", "3/SECOND,10 / 5 minutes"]
)
def test_a_rate_is_one_that_the_library_reads(tmp_path: Path, rate: str) -> None:
    assert load(tmp_path, RATE_LIMIT=rate).rate_limit == rate
    assert parse_many(rate)
