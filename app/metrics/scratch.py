"""Where the processes of one family keep what they count, so that one of them can show it all.

The life of a scratch directory: made by the process that forks the others; each of them maps
files of its own in it, named by kind and pid, so that counting takes no lock of another process
and a kill loses nothing; what a dead process had counted is added up in one file, and its files
go; the directory goes with the family, and if the family was killed, with the next one's start.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from prometheus_client import mmap_dict, values

# The library's own files, which it doesn't annotate.
_MmapedDict: Any = mmap_dict.MmapedDict
_MultiProcessValue: Any = values.MultiProcessValue

_PREFIX = "cg-metrics-"
#: In the place of a pid: of those that are gone.
_GONE = "gone"
#: What prometheus_client finds the directory by.
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class Scratch:
    """The directory of this family."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make it, in the system's directory for such things unless another is given."""
        where = Path(tempfile.gettempdir()) if parent is None else parent
        _remove_left(where)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=where))
        #: Locked as long as one of the family lives: a fork shares the lock.
        self._alive = _locked(self.path / "new", fcntl.LOCK_SH | fcntl.LOCK_NB)
        # Never there and not locked: who starts at the same time would take us for dead.
        (self.path / "new").rename(self.path / "alive")
        self._maker = os.getpid()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have the metrics that are made in the block kept here, by this very process.

        Not before its fork: a lock that another thread holds then would never be released here.
        """
        os.environ[_VARIABLE] = str(self.path)
        values.ValueClass = _MultiProcessValue()
        with self._exclusive():
            self._fold()
            yield

    @contextmanager
    def settled(self) -> Iterator[str]:
        """Give the directory's path; nobody comes or is added up during the block."""
        with self._exclusive():
            self._fold()
            yield str(self.path)

    def remove(self) -> None:
        """The family ends: remove it. In another process than its maker's it stays."""
        if os.getpid() == self._maker:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._alive)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        file = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Said aloud: closing alone would not release it while a forked child has a copy.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def _fold(self) -> None:
        """Add up what the dead had counted, and remove their files."""
        for file in sorted(self.path.glob("*.db")):
            kind, pid = file.stem.split("_")[0], file.stem.rsplit("_", 1)[1]
            if pid == _GONE or psutil.pid_exists(int(pid)):
                continue
            # What was a level of a living process is none any more.
            if kind != "gauge" and file.stat().st_size:
                self._add_up(kind, file)
            file.unlink()

    def _add_up(self, kind: str, file: Path) -> None:
        total = _MmapedDict(str(self.path / f"{kind}_{_GONE}.db"))
        for key, value, _, _ in _MmapedDict.read_all_values_from_file(str(file)):
            before, _ = total.read_value(key)
            total.write_value(key, before + value, 0.0)
        total.close()


_shared: list[Scratch] = []


def share(scratch: Scratch) -> None:
    """Have the processes that this one forks find their directory."""
    _shared[:] = [scratch]


def shared() -> Scratch | None:
    """The directory of the family that this process was forked into, if it has one."""
    return _shared[0] if _shared else None


def _locked(path: Path, how: int) -> int:
    """Open a file with a lock on it. Raises BlockingIOError where another holds one."""
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        os.close(file)
        raise
    return file


def _remove_left(where: Path) -> None:
    """Remove the directories of families that were killed."""
    for path in where.glob(f"{_PREFIX}*"):
        # Locked by the living, gone by now, or another user's.
        with suppress(BlockingIOError, FileNotFoundError, PermissionError):
            # One that has no such file yet is being made; root can open what is another user's.
            if path.stat().st_uid != os.getuid() or not (path / "alive").exists():
                continue
            file = _locked(path / "alive", fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            os.close(file)
