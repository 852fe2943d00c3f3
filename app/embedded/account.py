"""As whom PostgreSQL runs, which refuses to be root, and what that account can reach.

An ordinary user runs it as himself. Root runs it as `nobody`, or as the owner of data that is
already there; where that account can't reach the programs or the data (a checkout under a
closed home directory), they live in a place of our own that it can.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.embedded.locate import EmbeddedServerError

#: Open to every account, kept over restarts, ours to write as root.
COMMON_PLACE = Path("/var/lib/chaingraph")
FALLBACK_ACCOUNT = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine; `switches` says whether a process must change to it."""

    uid: int
    gid: int
    switches: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` that start a process as this account."""
        if not self.switches:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand the path over to this account."""
        if self.switches:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_for(data: Path) -> Account:
    """Who runs the server over `data`, which may not be there yet."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switches=False)
    owner = data.stat() if data.exists() else None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, switches=True)
    nobody = pwd.getpwnam(FALLBACK_ACCOUNT)
    return Account(nobody.pw_uid, nobody.pw_gid, switches=True)


def can_read(account: Account, path: Path) -> bool:
    """Whether the account can open the path: every directory above lets it through."""
    if not account.switches:
        return os.access(path, os.R_OK)
    inner, *above = (path.resolve(), *path.resolve().parents)
    return _permits(account, inner, stat.S_IRUSR) and _passes(account, above)


def reachable_programs(account: Account, programs: Path) -> Path:
    """The directory of PostgreSQL's programs, copied where the account can reach them."""
    install = programs.parent
    libraries = _libraries_beside(install)
    sample = [programs / "postgres", *install.glob("share/**/postgres.bki"), *libraries.glob("*")]
    if all(can_read(account, each) for each in sample):
        return programs
    copy = _common_place() / f"programs-{_mark(programs)}"
    if not copy.is_dir():
        unfinished = copy.with_name(f"{copy.name}.{secrets.token_hex(4)}")
        shutil.copytree(install, unfinished / install.parent.name / install.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_to_all(unfinished)
        unfinished.rename(copy)
    return copy / install.parent.name / install.name / programs.name


def _libraries_beside(install: Path) -> Path:
    """Where a wheel's programs look for the libraries that came with them."""
    package = install.parent
    return package.with_name(f"{package.name}.libs")


def _mark(programs: Path) -> str:
    """Names the copy after what is in it, so that another version gets another copy."""
    status = (programs / "postgres").stat()
    seen = f"{programs} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def reachable_directory(account: Account, wanted: Path) -> Path:
    """Make sure that the account can get at `wanted`, and return where it really is.

    If the way there is closed to the account, `wanted` becomes a symbolic link.
    """
    parents = (wanted.parent.resolve(), *wanted.parent.resolve().parents)
    if wanted.is_symlink() or not account.switches or _passes(account, list(parents)):
        return wanted.resolve()
    elsewhere = _common_place() / f"data-{secrets.token_hex(6)}"
    elsewhere.mkdir(mode=0o711)
    wanted.symlink_to(elsewhere / wanted.name)
    return elsewhere / wanted.name


def _common_place() -> Path:
    try:
        COMMON_PLACE.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and {COMMON_PLACE} can't be made for another"
            f" account: {error.strerror}. Start it as an ordinary user, or set DATABASE_URL"
        ) from error
    return COMMON_PLACE


def _passes(account: Account, directories: list[Path]) -> bool:
    return all(_permits(account, each, stat.S_IXUSR) for each in directories)


def _permits(account: Account, path: Path, bit: int) -> bool:
    """Whether the owner's `bit`, shifted to the class the account is in, is set."""
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & bit)
    if status.st_gid == account.gid:
        return bool(status.st_mode & bit >> 3)
    return bool(status.st_mode & bit >> 6)


def _open_to_all(directory: Path) -> None:
    for place, _, files in os.walk(directory):
        Path(place).chmod(0o755)
        for path in (Path(place) / name for name in files):
            if not path.is_symlink():
                is_program = path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if is_program else 0o644)
