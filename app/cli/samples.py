"""The sample flows: stored when they aren't there yet, or their file has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cli.storing import find_flow
from app.client import ApiProblem, Client
from app.errors import ChainGraphError

TIMEOUT_S = 10.0

CONFLICT = 409


class SampleRefused(ChainGraphError):
    """The API does not take a sample flow."""


def load_samples(api: str, directory: Path, notes: Path, token: str | None = None) -> list[str]:
    """Store each flow of `directory` at the API; return the ids of those that were stored.

    What was stored is noted in the file `notes`, so that a repeated call makes no version.
    `token` is sent with every call. Raises SampleRefused when the API doesn't take one.
    """
    noted = _read(notes)
    stored = []
    with Client(api, token, timeout_s=TIMEOUT_S) as client:
        for path, document in _documents(directory):
            mark = hashlib.sha256(path.read_bytes()).hexdigest()
            if not _is_stored(client, document, unchanged=noted.get(path.name) == mark):
                stored += _store(client, path, document)
            noted[path.name] = mark
    notes.write_text(json.dumps(noted, indent=1))
    return stored


def _documents(directory: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(directory.glob("*.json")):
        try:
            yield path, json.loads(path.read_bytes())
        except ValueError as error:
            raise SampleRefused(f"{path} is not JSON: {error}") from error


def _is_stored(client: Client, document: dict[str, Any], *, unchanged: bool) -> bool:
    if "id" not in document:
        return unchanged
    flow = find_flow(client, document["id"])
    return flow is not None and (unchanged or flow.document == document)


def _store(client: Client, path: Path, document: dict[str, Any]) -> list[str]:
    try:
        return [client.flows.store(document).id]
    except ApiProblem as problem:
        if problem.status == CONFLICT:
            # It is there, and another owner's.
            return []
        raise SampleRefused(f"{path} was refused with {problem}") from problem


def _read(notes: Path) -> dict[str, str]:
    try:
        written: dict[str, str] = json.loads(notes.read_bytes())
    except (OSError, ValueError):
        return {}
    return written
