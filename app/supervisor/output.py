"""What the programs print: each line with its program's name to the terminal, and to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TextIO

#: A log file that is larger when it is opened, in bytes, is put aside first.
ROTATE_AT = 10 * 1024 * 1024

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_RESET = "\x1b[0m"


class Console:
    """The terminal, shared by all programs; without colours when it isn't one."""

    def __init__(self, out: TextIO, logs: Path, *, width: int = 9) -> None:
        self._out: TextIO | None = out
        self._logs = logs
        self._width = width
        self._colours = iter(_COLOURS * 10)
        self._coloured = out.isatty()
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)

    def channel(self, name: str, expected_lines: Sequence[bytes] = ()) -> Channel:
        """Where a program's output goes, but for lines that hold one of those expected."""
        prefix = f"{name:<{self._width}}| "
        if self._coloured:
            prefix = f"\x1b[{next(self._colours)}m{prefix}{_RESET}"
        return Channel(self, prefix, _opened(self._logs / f"{name}.log"), expected_lines)

    def show(self, text: str) -> None:
        """Print a line, unless nobody reads any more."""
        if self._out is None:
            return
        try:
            print(text, file=self._out, flush=True)
        except (BrokenPipeError, ValueError):
            # The terminal or pager is gone. The programs go on, their logs are in files.
            self._out = None


class Channel:
    """One program's output, split into lines."""

    def __init__(
        self, console: Console, prefix: str, log: BinaryIO, expected_lines: Sequence[bytes] = ()
    ) -> None:
        self._expected_lines = expected_lines
        self._console = console
        self._prefix = prefix
        self._log = log
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what was read, whatever its size."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._write(line)

    def flush(self) -> None:
        """The program has ended: what it printed last may lack its end of line."""
        if self._rest:
            self._write(self._rest)
            self._rest = b""

    def say(self, text: str) -> None:
        """A line of the supervisor's own about this program."""
        self._write(text.encode())

    def close(self) -> None:
        """Close the log file."""
        self.flush()
        self._log.close()

    def _write(self, line: bytes) -> None:
        if any(expected in line for expected in self._expected_lines):
            return
        self._log.write(line + b"\n")
        self._log.flush()
        self._console.show(self._prefix + line.decode(errors="replace").rstrip("\r"))


def _opened(path: Path) -> BinaryIO:
    if path.exists() and path.stat().st_size > ROTATE_AT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
