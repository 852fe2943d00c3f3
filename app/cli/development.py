"""What `chaingraph dev` does, in order: servers, schema, API and workers, samples, a summary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from app.cli.output import print_json
from app.cli.programs import Programs
from app.cli.samples import load_samples
from app.config import Settings
from app.config.loading import ADDRESSES_FILE
from app.config.places import shipped
from app.config.settings import bracketed
from app.embedded.leftovers import end_left_postgres, end_left_valkey
from app.embedded.locate import valkey_program
from app.embedded.ports import LOOPBACK, is_free
from app.embedded.postgres import EmbeddedPostgres, prepare_postgres
from app.embedded.valkey import prepare_valkey
from app.errors import ChainGraphError
from app.supervisor import Supervisor, together


class PortInUse(ChainGraphError):
    """A port that is needed is taken."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line said."""

    workers: int
    flower: bool
    as_json: bool


class Development:
    """One run of `chaingraph dev` on a data directory that it holds alone."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], directory: Path, options: Options
    ) -> None:
        self._settings = settings
        self._environ = dict(environ)
        self._directory = directory
        self._options = options
        self._postgres: EmbeddedPostgres | None = None

    def require_ports(self) -> None:
        """Raise PortInUse, which says what to do, if a port that we need is taken."""
        for host, port, remedy in self._ports():
            if not is_free(port, host):
                raise PortInUse(
                    f"port {port} is in use: end what listens there, or choose another: {remedy}"
                )

    async def run(self, supervisor: Supervisor) -> None:
        """Start everything; raises ChainGraphError when a part of it can't be started."""
        if self._is_local:
            await self._run_local(supervisor)
            return
        programs = Programs(self._settings, self._environ)
        await together(
            self._start_postgres(supervisor, programs), self._start_redis(supervisor, programs)
        )
        self._publish_addresses()
        await asyncio.to_thread(self._upgrade_schema)
        programs = Programs(self._settings, self._child_environ())
        await together(
            supervisor.start(programs.echo()),
            supervisor.start(programs.web()),
            *(supervisor.start(programs.worker(n + 1)) for n in range(self._options.workers)),
        )
        if self._options.flower:  # after the workers, whom it asks for their names at once
            await supervisor.start(programs.flower())
        # Before there is the one that ends with the samples.
        token = await asyncio.to_thread(self._first_token)
        await asyncio.to_thread(self._load_samples)
        self._tell_where_to_look(token)

    async def _run_local(self, supervisor: Supervisor) -> None:
        """One process: no servers, no schema, no workers, no Flower."""
        programs = Programs(self._settings, self._child_environ())
        await together(supervisor.start(programs.echo()), supervisor.start(programs.web()))
        await asyncio.to_thread(self._load_samples)
        self._tell_where_to_look()

    @property
    def _is_local(self) -> bool:
        return self._settings.execution_mode == "local"

    @property
    def _has_flower(self) -> bool:
        return self._options.flower and not self._is_local

    def _ports(self) -> Iterator[tuple[str, int, str]]:
        settings = self._settings
        yield settings.host, settings.port, "--port, or PORT"
        yield LOOPBACK, settings.dev_echo_port, "DEV_ECHO_PORT"
        if self._has_flower:
            yield settings.flower_address, settings.flower_port, "FLOWER_PORT, or --no-flower"

    async def _start_postgres(self, supervisor: Supervisor, programs: Programs) -> None:
        if not self._settings.embeds_postgres:
            return
        server = await asyncio.to_thread(
            prepare_postgres, self._directory / "postgres", self._settings.pg_bin
        )
        await asyncio.to_thread(end_left_postgres, server.data)
        self._postgres = server
        await supervisor.start(programs.postgres(server))
        await asyncio.to_thread(server.ensure_database)
        self._settings = replace(self._settings, given_database_url=server.url())

    async def _start_redis(self, supervisor: Supervisor, programs: Programs) -> None:
        if not self._settings.embeds_redis:
            return
        directory, told = self._directory / "valkey", self._settings.valkey_bin
        await asyncio.to_thread(end_left_valkey, directory, valkey_program(told))
        server = await asyncio.to_thread(prepare_valkey, directory, told)
        await supervisor.start(programs.valkey(server))
        self._settings = replace(self._settings, given_redis_url=server.url())

    def _addresses(self) -> dict[str, str]:
        settings = self._settings
        if self._is_local:
            return {}
        return {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "BROKER_URL": settings.broker_url,
        }

    def _publish_addresses(self) -> None:
        """Other commands with the same DATA_DIR find the embedded servers in this file."""
        embedded = {"DATABASE_URL": self._settings.embeds_postgres}
        embedded["REDIS_URL"] = self._settings.embeds_redis
        found = {name: url for name, url in self._addresses().items() if embedded.get(name)}
        path = self._directory / ADDRESSES_FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(found))

    def _upgrade_schema(self) -> None:
        from app.cli import schema

        for url in self._settings.database_urls:
            schema.upgrade(url)

    def _child_environ(self) -> dict[str, str]:
        settings = self._settings
        echo = f"{LOOPBACK}:{settings.dev_echo_port}"
        return {
            **self._environ,
            **self._addresses(),
            "DATA_DIR": str(self._directory),
            "HOST": settings.host,
            "PORT": str(settings.port),
            "HTTP_NODE_ALLOW": ",".join([*settings.http_node_allow, echo]),
            "PYTHONUNBUFFERED": "1",
        }

    def _load_samples(self) -> None:
        notes = self._directory / ("samples-local.json" if self._is_local else "samples.json")
        if self._is_local:
            # What was stored the last time is not there any more.
            notes.unlink(missing_ok=True)
        from app.cli.dev_tokens import own_token

        with own_token(self._settings) as token:
            load_samples(self._api(), shipped("samples"), notes, token)

    def _first_token(self) -> str | None:
        from app.cli.dev_tokens import first_token

        return first_token(self._settings)

    def _api(self) -> str:
        return f"http://{bracketed(self._settings.host)}:{self._settings.port}"

    def _tell_where_to_look(self, token: str | None = None) -> None:
        settings, api = self._settings, self._api()
        flower = f"http://{bracketed(settings.flower_address)}:{settings.flower_port}"
        places = {"api": f"{api}/api/v1"}
        if self._has_flower:
            places["flower"] = flower
        places["logs"] = str(self._directory / "logs")
        if token is not None:
            places["token"] = token
        places["try"] = ".venv/bin/chaingraph run samples/greeting.json --follow"
        if self._options.as_json:
            print_json(places)
            return
        lines = [f"  {name:<8}{place}" for name, place in places.items()]
        typer.echo("\n".join(["", "Everything runs. Ctrl-C ends it.", "", *lines, ""]))
        if token is not None:
            typer.echo(
                "The token is an admin's, and not shown again: use it as CHAINGRAPH_TOKEN.\n"
            )

    def clean_up(self) -> None:
        """The embedded servers are gone: nobody should look for them."""
        with suppress(FileNotFoundError):
            (self._directory / ADDRESSES_FILE).unlink()
        if self._postgres is not None:
            self._postgres.remove_sockets()
