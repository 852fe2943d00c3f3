"""The names that the original ChainGraph used, and what they are called here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.config.parsing import FALSE_WORDS

#: Names with nothing behind them any more.
IGNORED = (
    "DBOS_CONDUCTOR_URL",
    "DBOS_SYSTEM_DATABASE_URL",
    "METRICS_BATCH_SIZE",
    "METRICS_FLUSH_INTERVAL",
)


@dataclass(frozen=True, slots=True)
class Renamed:
    """A former variable: its present name, and its value in present terms."""

    name: str
    translate: Callable[[str], str] = str


def _mode(switch: str) -> str:
    return "local" if switch.lower() in FALSE_WORDS else "celery"


RENAMED: Mapping[str, Renamed] = {
    "ENABLE_DBOS_EXECUTION": Renamed("EXECUTION_MODE", _mode),
    "DBOS_QUEUE_CONCURRENCY": Renamed("QUEUE_CONCURRENCY"),
    "DBOS_WORKER_CONCURRENCY": Renamed("WORKER_CONCURRENCY"),
    "DBOS_ADMIN_PORT": Renamed("FLOWER_PORT"),
}


@dataclass(frozen=True, slots=True)
class Translation:
    """An environment in present names: which came from where, and what to warn of."""

    environ: Mapping[str, str]
    sources: Mapping[str, str]
    warnings: tuple[str, ...]


def translate(environ: Mapping[str, str]) -> Translation:
    """Read the former names; a variable that is set under its present name wins."""
    present = {name: value.strip() for name, value in environ.items() if value.strip()}
    sources: dict[str, str] = {}
    warnings = [f"{name} has no meaning here and is ignored" for name in IGNORED if name in present]
    if present.get("EXECUTION_MODE", "").lower() == "dbos":
        present["EXECUTION_MODE"] = "celery"
        warnings.append("EXECUTION_MODE=dbos is now EXECUTION_MODE=celery")
    for former, renamed in RENAMED.items():
        if former in present:
            warnings.append(f"{former} is now {renamed.name}")
            if renamed.name not in present:
                present[renamed.name] = renamed.translate(present[former])
                sources[renamed.name] = f"environment ({former})"
    return Translation(present, sources, tuple(warnings))
