"""`chaingraph doctor`: looks at everything a run needs, and says what to do about each fault."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from app.cli.output import AsJson, print_json
from app.cli.workers import count_live_workers
from app.client import ApiProblem, Client, ServerUnreachable, UnexpectedAnswer
from app.config import Settings, load_settings
from app.config.places import ours
from app.config.urls import masked
from app.errors import ChainGraphError, SettingsError

OLDEST_POSTGRES = 140_000
TIMEOUT_S = 3

#: The variables of the databases, in the order of `Settings.database_urls`, and how what is found
#: there begins.
_VARIABLES = {"DATABASE_URL": "", "DATABASE_URL_EXECUTIONS": "executions' "}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one place; `advice` is None if all is well there."""

    what: str
    detail: str
    advice: str | None = None


def doctor(*, as_json: AsJson = False) -> None:
    """Check settings, PostgreSQL, schema, workers, Redis and the API."""
    findings = list(examine())
    if as_json:
        print_json([{**asdict(each), "ok": each.advice is None} for each in findings])
    else:
        _print(findings)
    if any(each.advice for each in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Look at each thing in turn; what can't be looked at without another is left out."""
    try:
        settings = load_settings()
    except SettingsError as error:
        yield Finding("settings", error.message, "change it; `chaingraph config` lists them all")
        return
    changed = sum(each.source != "default" for each in settings.describe())
    yield Finding("settings", f"valid, {changed} of them set")
    yield _examine_nodes(settings)
    if settings.execution_mode == "local":
        yield Finding("mode", "local: one process, without PostgreSQL, Redis and workers")
    else:
        yield from _examine_databases(settings)
        yield _examine_redis(settings)
    yield _examine_api(settings)


def _examine_nodes(settings: Settings) -> Finding:
    from app.nodes.registry import load_catalogue

    # Where API and workers look for modules, too: the folder that they are started in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = load_catalogue(settings.node_modules, settings.http_node_allow)
    except SettingsError as error:
        return Finding("nodes", error.message, "mend it, or don't name it")
    return Finding("nodes", f"{len(found)} types")


def _examine_databases(settings: Settings) -> Iterator[Finding]:
    try:
        databases = dict(zip(_VARIABLES, settings.database_urls, strict=False))
    except SettingsError as error:
        yield Finding("postgres", error.message, "run `chaingraph dev`, or set DATABASE_URL")
        return
    findings = [finding for each in databases.items() for finding in _examine_postgres(*each)]
    yield from findings
    if all(finding.advice is None for finding in findings):
        yield _examine_workers(count_live_workers(settings.database_url_executions))


def _examine_postgres(variable: str, address: str) -> Iterator[Finding]:
    """Look at the database that a variable names."""
    import psycopg2

    place = _VARIABLES[variable]
    try:
        connection = psycopg2.connect(address, connect_timeout=TIMEOUT_S)
    except psycopg2.OperationalError as error:
        yield Finding(
            f"{place}postgres", f"{masked(address)}: {_line(error)}", f"start it, or set {variable}"
        )
        return
    version = connection.server_version
    connection.close()
    yield _examine_version(f"{place}postgres", version)
    yield _examine_schema(f"{place}schema", address)


def _examine_version(what: str, version: int) -> Finding:
    shown = f"PostgreSQL {version // 10_000}.{version % 10_000}"
    if version < OLDEST_POSTGRES:
        return Finding(what, shown, f"use {OLDEST_POSTGRES // 10_000} or newer")
    return Finding(what, shown)


def _examine_schema(what: str, address: str) -> Finding:
    from app.cli import schema

    try:
        found = schema.revisions(address)
    except ChainGraphError as error:
        return Finding(what, error.message, "run the code that fits the database")
    if found.is_ahead:
        return Finding(what, f"{found.present}, which runs the code of {found.wanted}, too")
    if not found.is_current:
        detail = f"{found.present or 'empty'}, wanted {found.wanted}"
        return Finding(what, detail, "run `chaingraph migrate`")
    return Finding(what, f"current: {found.wanted}")


def _examine_workers(count: int) -> Finding:
    if count == 0:
        return Finding(
            "workers", "none alive", f"start one with `celery -A {ours('tasks')} worker`"
        )
    return Finding("workers", f"{count} alive")


def _examine_redis(settings: Settings) -> Finding:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    try:
        address = settings.redis_url
    except SettingsError as error:
        return Finding("redis", error.message, "run `chaingraph dev`, or set REDIS_URL")
    retry = Retry(NoBackoff(), 0)
    client = Redis.from_url(address, socket_timeout=TIMEOUT_S, retry=retry, decode_responses=True)
    try:
        policy = client.info("memory").get("maxmemory_policy")
    except RedisError as error:
        return Finding("redis", f"{masked(address)}: {_line(error)}", "start it, or set REDIS_URL")
    finally:
        client.close()
    if policy not in ("noeviction", None):
        advice = "set maxmemory-policy to noeviction: the broker's keys must not be evicted"
        return Finding("redis", f"answers; maxmemory-policy {policy}", advice)
    return Finding("redis", "answers")


def _examine_api(settings: Settings) -> Finding:
    address = settings.chaingraph_url
    with Client(address, settings.chaingraph_token, timeout_s=TIMEOUT_S, attempts=1) as client:
        try:
            health = client.health.ready()
            if not health.is_ready:
                detail = f"{address}: PostgreSQL is {health.postgres}, schema {health.schema}"
                return Finding("api", detail, "mend what it names")
            # Any call will do that asks for a token.
            next(client.flows.list(), None)
        except ServerUnreachable as error:
            return Finding("api", error.message, "start it, or set CHAINGRAPH_URL")
        except UnexpectedAnswer as error:
            return Finding("api", error.message, "set CHAINGRAPH_URL to where the API is")
        except ApiProblem as problem:
            return Finding(
                "api", f"{address}: {problem}", "set CHAINGRAPH_TOKEN to one that is taken"
            )
    return Finding("api", f"{address} is ready")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _print(findings: list[Finding]) -> None:
    width = max(9, *(len(each.what) for each in findings))
    for each in findings:
        mark = "ok   " if each.advice is None else "FAULT"
        typer.echo(f"{mark}  {each.what:<{width}} {each.detail}")
        if each.advice is not None:
            typer.echo(f"{'':>{width + 8}}{each.advice}")
