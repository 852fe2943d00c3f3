"""Ends what the supervisor started when the supervisor can't: it was killed with SIGKILL.

The guardian is a process of its own. It is told on its standard input which process groups
there are, and acts when the input ends, which the kernel sees to. It knows them by number,
never by name. It imports nothing of ours, so that it starts in no time and outlives anything.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: How long a group may take to end, in seconds, before it is killed.
GRACE_S = 5.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Ward:
    """A process group, how it is asked to end, and when: higher ranks end first."""

    group: int
    signal: int
    rank: int


class Guardian:
    """The supervisor's end of the line; it keeps the descriptors `held` open to its own end."""

    def __init__(self, held: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-E", __file__],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=held,
            text=True,
        )

    def watch(self, group: int, stop_signal: int, rank: int) -> None:
        """End this process group when the supervisor is gone."""
        self._tell(f"watch {group} {int(stop_signal)} {rank}")

    def forget(self, group: int) -> None:
        """The group has ended; its number may soon be somebody else's."""
        self._tell(f"forget {group}")

    def close(self) -> None:
        """Hang up, which ends whatever is still watched, and wait until it has ended."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        if stdin is None or self._process.poll() is not None:
            return
        stdin.write(f"{line}\n")
        stdin.flush()


def listen(lines: Iterable[str]) -> list[Ward]:
    """Read until the line goes dead; return who has to be ended."""
    wards: dict[int, Ward] = {}
    for line in lines:
        word, *numbers = line.split()
        group, *rest = map(int, numbers)
        if word == "watch":
            wards[group] = Ward(group, *rest)
        else:
            wards.pop(group, None)
    return list(wards.values())


def end_all(wards: list[Ward]) -> None:
    """End them rank by rank, the highest first, each rank at once."""
    for rank in sorted({ward.rank for ward in wards}, reverse=True):
        end_together([ward for ward in wards if ward.rank == rank])


def end_together(wards: list[Ward]) -> None:
    """Ask each to end; after GRACE_S kill those that haven't."""
    for ward in wards:
        _signal(ward.group, ward.signal)
    deadline = time.monotonic() + GRACE_S
    while any(_is_running(ward.group) for ward in wards) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for ward in wards:
        _signal(ward.group, signal.SIGKILL)


def _is_running(group: int) -> bool:
    """Whether the group's leader runs; one that nobody has waited for yet doesn't."""
    try:
        state = Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return _signal(group, 0)
    return state != "Z"


def _signal(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Serve one supervisor until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_all(listen(sys.stdin))


if __name__ == "__main__":
    main()
