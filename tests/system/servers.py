"""A PostgreSQL and a Valkey of a test's own, to be killed and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from app.cli import schema
from app.embedded.postgres import DATABASE, EmbeddedPostgres, prepare_postgres
from app.embedded.valkey import EmbeddedValkey, prepare_valkey
from app.supervisor.guardian import Guardian
from tests.programs import PG_BIN, VALKEY_BIN
from tests.waiting import wait_until

ENDS_WITHIN_S = 20.0


class _Scratch:
    """One server process at a time, over one directory."""

    def __init__(
        self, server: EmbeddedPostgres | EmbeddedValkey, log: Path, guardian: Guardian
    ) -> None:
        self._server = server
        self._log = log
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._server.command(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._popen_arguments(),
            )
        self._process = process
        self._guardian.watch(process.pid, signal.SIGINT, rank=0)
        wait_until(
            lambda: process.poll() is not None or self._server.is_ready(), "the server answers"
        )
        assert process.poll() is None, self._log.read_text()[-2000:]

    def stop(self, number: int) -> None:
        """Send it a signal, and see it and all its processes gone."""
        process, self._process = self._process, None
        if process is None:
            return
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.wait(ENDS_WITHIN_S)
        psutil.wait_procs(family, ENDS_WITHIN_S)
        self._guardian.forget(process.pid)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it and its processes where they are, with SIGSTOP."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let what is frozen go on."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        leader = psutil.Process(self._process.pid)
        return [leader, *leader.children(recursive=True)]

    def _popen_arguments(self) -> Mapping[str, Any]:
        return {}


class ScratchValkey(_Scratch):
    """A Valkey that keeps nothing: when it is started again it is empty."""

    def __init__(self, directory: Path, guardian: Guardian) -> None:
        server = prepare_valkey(directory, VALKEY_BIN, appendonly="no")
        super().__init__(server, directory.with_suffix(".log"), guardian)
        self.url = server.url()


class ScratchPostgres(_Scratch):
    """A PostgreSQL whose commits outlive its processes, though not the machine.

    `settings` are laid over those that make it so.
    """

    def __init__(self, directory: Path, guardian: Guardian, **settings: str) -> None:
        given = {"fsync": "off", "shared_buffers": "64MB", **settings}
        self._postgres = prepare_postgres(directory, PG_BIN, **given)
        super().__init__(self._postgres, directory.with_suffix(".log"), guardian)
        self.url = self._postgres.url(DATABASE)

    def create_schema(self) -> None:
        """Make the database and its tables."""
        self._postgres.ensure_database(DATABASE)
        schema.upgrade(self.url)

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop(signal.SIGINT)
        shutil.rmtree(self._postgres.sockets, ignore_errors=True)

    def _popen_arguments(self) -> Mapping[str, Any]:
        return self._postgres.popen_arguments()
