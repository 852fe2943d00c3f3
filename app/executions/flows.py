"""What can be done with flows: check, store, replace, read, list, hide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import orjson

from app.caller import Caller
from app.errors import Conflict, Fault, NotFound, ValidationFailed
from app.events.wire import timestamp
from app.flows import Prepared, holds_mask, prepare, restore_masks, seal_document
from app.ids import FLOW_PREFIX, IdSource
from app.nodes.spec import Catalogue
from app.store.flows import FlowRow, FlowStore
from app.values.secrets import SEALED, masked
from app.vault import NO_KEY, Keyring

#: Gives the newest document (JSON text) of a flow; None where there is none.
_Newest = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A version was stored; `flow` is a Flow with its warnings."""

    flow: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changed:
    """Nothing was stored: the flow is at another version than was expected."""

    version: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a document, and what is odd about it."""

    faults: Sequence[Fault]
    warnings: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class FlowPage:
    """Up to `limit` flows; `after` is the place where the next page begins, None at the end."""

    flows: Sequence[dict[str, Any]]
    after: tuple[datetime, str] | None


class FlowService:
    """The use cases of flows. Every method may raise StoreUnavailable."""

    def __init__(
        self,
        store: FlowStore,
        catalogue: Catalogue,
        fresh_id: IdSource,
        keyring: Keyring = NO_KEY,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._fresh_id = fresh_id
        self._keyring = keyring

    def validate(self, raw: Mapping[str, Any], caller: Caller) -> Checked:
        """Check a document without storing it."""
        try:
            prepared = self._prepare(_unmasked(raw, raw.get("id"), self._either(caller)))
        except ValidationFailed as error:
            return Checked(error.faults, ())
        return Checked((), prepared.warnings)

    def store(self, raw: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Store a document: as a new flow, or as the next version of the caller's own.

        Its secrets are stored encrypted; a mask in the place of one keeps what the newest version
        has there. Raises ValidationFailed, SecretKeyMissing, and Conflict if the id is another
        owner's.
        """
        prepared = self._prepare(_unmasked(raw, raw.get("id"), self._own(caller)))
        document = self._sealed(prepared, caller)
        flow_id = prepared.plan.flow_id
        row = self._store.store(flow_id, caller, prepared.document.name, _text_of(document))
        if row is None:
            raise Conflict(f"The id {flow_id} is taken.")
        return _stored(row, document, prepared)

    def replace(
        self,
        flow_id: str,
        raw: Mapping[str, Any],
        caller: Caller,
        expected: Sequence[int] | None = None,
    ) -> Stored | Changed:
        """Store the next version of a flow, if its present one is among those expected.

        Secrets are taken as `store` takes them. Raises NotFound, ValidationFailed and
        SecretKeyMissing.
        """
        if changed := self._changed(flow_id, caller, expected):
            return changed
        if raw.get("id") not in (None, flow_id):
            raise ValidationFailed([Fault("/id", f"must be {flow_id}, as the path says")])
        unmasked = _unmasked(raw, flow_id, self._seen_by(caller))
        prepared = self._prepare(_with_id(unmasked, flow_id))
        document = self._sealed(prepared, caller)
        row = self._store.replace(
            flow_id, caller, prepared.document.name, _text_of(document), expected
        )
        if row is not None:
            return Stored(_stored(row, document, prepared))
        # Another one stored or hid it since we looked.
        if changed := self._changed(flow_id, caller, expected):
            return changed
        raise _no_flow(flow_id)

    def get(self, flow_id: str, caller: Caller, version: int | None = None) -> dict[str, Any]:
        """Read a flow with the document of one version, the newest by default.

        Raises NotFound.
        """
        row = self._store.read_version(flow_id, caller.scope, version)
        if row is None or row.document is None:
            raise _no_flow(flow_id, version)
        document = orjson.loads(row.document)
        if SEALED in row.document:
            document = masked(document)
        # The row has the newest version's name.
        return {**_shape(row), "name": document["metadata"]["name"], "document": document}

    def page(self, caller: Caller, limit: int, before: tuple[datetime, str] | None) -> FlowPage:
        """One page of the flows that the caller sees, newest first."""
        rows = self._store.page(caller.scope, limit + 1, before)
        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        after = (last.created_at, last.id) if last else None
        return FlowPage([_shape(row) for row in shown], after)

    def hide(self, flow_id: str, caller: Caller) -> None:
        """Hide a flow. Raises NotFound."""
        if not self._store.hide(flow_id, caller):
            raise _no_flow(flow_id)

    def _changed(
        self, flow_id: str, caller: Caller, expected: Sequence[int] | None
    ) -> Changed | None:
        row = self._store.read(flow_id, caller.scope)
        if row is None:
            raise _no_flow(flow_id)
        return (
            Changed(row.version) if expected is not None and row.version not in expected else None
        )

    def _either(self, caller: Caller) -> _Newest:
        """Reads what `store` or `replace` would: which of them the check is for isn't known."""
        own, seen = self._own(caller), self._seen_by(caller)
        return lambda flow_id: own(flow_id) or seen(flow_id)

    def _own(self, caller: Caller) -> _Newest:
        """Reads the caller's own flows: a hidden one is stored under its id again."""
        return lambda flow_id: self._store.newest_document(flow_id, caller.owner_id)

    def _seen_by(self, caller: Caller) -> _Newest:
        """Reads the flows that the caller may replace: an admin everybody's."""

        def newest(flow_id: str) -> str | None:
            row = self._store.read_version(flow_id, caller.scope, None)
            return row.document if row else None

        return newest

    def _sealed(self, prepared: Prepared, caller: Caller) -> Mapping[str, Any]:
        """The document as it is stored: with secrets that only the flow's owner can use."""

        @cache
        def owner() -> str:
            # An admin may store a version of somebody else's flow.
            row = self._store.read(prepared.plan.flow_id, caller.scope)
            return row.owner_id if row else caller.owner_id

        return seal_document(prepared, lambda data: self._keyring.seal(owner(), data))

    def _prepare(self, raw: Mapping[str, Any]) -> Prepared:
        """Compile a document under its id, or a fresh one."""
        identified = (
            raw if raw.get("id") is not None else _with_id(raw, self._fresh_id(FLOW_PREFIX))
        )
        return prepare(identified, self._catalogue)


def _unmasked(raw: Mapping[str, Any], flow_id: Any, newest: _Newest) -> Mapping[str, Any]:
    """The document with the secrets that the newest version has in the places of masks."""
    if not isinstance(flow_id, str) or not holds_mask(raw):
        return raw
    document = newest(flow_id)
    return raw if document is None else restore_masks(raw, orjson.loads(document))


def _with_id(raw: Mapping[str, Any], flow_id: str) -> dict[str, Any]:
    return {"id": flow_id, **{name: value for name, value in raw.items() if name != "id"}}


def _stored(row: FlowRow, document: Mapping[str, Any], prepared: Prepared) -> dict[str, Any]:
    return {
        **_shape(row),
        "document": masked(document),
        "warnings": [
            {"pointer": each.pointer, "message": each.message} for each in prepared.warnings
        ],
    }


def _shape(row: FlowRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "flowId": row.id,
        "version": row.version,
        "ownerId": row.owner_id,
        "name": row.name,
        "createdAt": timestamp(row.created_at),
        "updatedAt": timestamp(row.updated_at),
    }


def _text_of(document: Mapping[str, Any]) -> str:
    return orjson.dumps(document).decode()


def _no_flow(flow_id: str, version: int | None = None) -> NotFound:
    which = f"There is no flow '{flow_id}'"
    return NotFound(which if version is None else f"{which} with a version {version}")
