"""The models of queries and request bodies, with the bounds of the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, PydanticKnownError

from app.events.types import EventType
from app.executions.options import WHOLE, Body, ExecutionOptions, ExternalEvent
from app.nodes.library.secrets import SecretType
from app.values.secrets import MASK

#: Identifiers that anything here could have; a longer one names nothing.
MAX_ID_LENGTH = 255
#: Versions and event indexes are PostgreSQL integers.
MAX_INTEGER = 2**31 - 1
MAX_INTEGRATION_BYTES = 64 * 1024
MAX_SECRET_BYTES = 64 * 1024
MAX_BATCH = 1000
MAX_REASON_LENGTH = 1000
#: A list of statuses holds no more than there are, each once or not.
MAX_STATUSES = 6

EVENT_TYPES = frozenset(str(each) for each in EventType)

_DIGITS = re.compile(r"-?[0-9]+")

Status = Literal["created", "running", "paused", "completed", "failed", "stopped"]


def _fits_integration(value: Any) -> Any:
    if len(orjson.dumps(value)) > MAX_INTEGRATION_BYTES:
        raise PydanticCustomError("integration_too_large", "must be at most 64 KiB of JSON")
    return value


def split_event_types(value: Any) -> Any:
    """Read `a,b` as a set of event types."""
    names = frozenset(value.split(",")) if isinstance(value, str) else value
    if unknown := sorted(names - EVENT_TYPES):
        raise PydanticCustomError(
            "event_type", "names no event: {names}", {"names": ", ".join(unknown)[:200]}
        )
    return names


def _read_time(value: Any) -> Any:
    """Read a time of ISO 8601 that names its zone; pydantic alone takes numbers as well."""
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise PydanticCustomError("time", "must be a time such as 2026-01-02T03:04:05.678Z")


def _digits(value: Any) -> Any:
    """Let digits alone be a number; pydantic takes `+5`, ` 5 `, `5.0` and `5_0` as well."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise PydanticKnownError("int_parsing")
    return value


#: Of a number in a query string: how it is written. Behind its bounds, which are told that way.
WRITTEN = BeforeValidator(_digits)

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Version = Annotated[int, Field(ge=1, le=MAX_INTEGER), WHOLE]
Limit = Annotated[int, Field(ge=1, le=100), WRITTEN]
LongLimit = Annotated[int, Field(ge=1, le=1000), WRITTEN]
FromIndex = Annotated[int, Field(ge=-1, le=MAX_INTEGER), WRITTEN]
#: The pattern is for readers: what breaks it is answered with 400, as any cursor that isn't ours.
Cursor = Annotated[
    str | None,
    Field(max_length=1000),
    WithJsonSchema({"type": "string", "maxLength": 1000, "pattern": "^[A-Za-z0-9_-]+$"}),
]
Time = Annotated[datetime, BeforeValidator(_read_time)]
EventTypes = Annotated[
    frozenset[str] | None,
    BeforeValidator(split_event_types),
    WithJsonSchema({"type": "array", "items": {"enum": sorted(EVENT_TYPES)}, "minItems": 1}),
]


class Query(BaseModel):
    """A query string: text that is read as numbers where numbers are due."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class NoQuery(Query):
    """Takes no parameters."""


class NoBody(Body):
    """Takes no members."""


class Command(Body):
    """What a command takes: why it is given."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "maintenance"}]})

    reason: Annotated[str | None, Field(max_length=MAX_REASON_LENGTH)] = None


class Payload(RootModel[Any]):
    """What is sent with a signal: any JSON."""


class PageQuery(Query):
    """One page of a list."""

    limit: Limit = 50
    cursor: Cursor = None


class FlowQuery(Query):
    """Which version of a flow, and in which form."""

    version: Annotated[Version, WRITTEN] | None = None
    format: Literal["chaingraph"] | None = None


class ExecutionsQuery(PageQuery):
    """Which executions to list."""

    status: Status | None = None
    flow_id: Id | None = None
    root_execution_id: Id | None = None


class RootsQuery(PageQuery):
    """Which root executions of a flow to list: those created before the time `after`."""

    after: Time | None = None


class TreeQuery(Query):
    """One page of an execution's tree."""

    limit: LongLimit = 1000
    cursor: Cursor = None


class ExecutionNodesQuery(Query):
    """One page of an execution's nodes."""

    limit: LongLimit = 1000
    cursor: Cursor = None


class EventsQuery(Query):
    """One page of an execution's events."""

    from_index: FromIndex = -1
    limit: LongLimit = 100
    event_types: EventTypes = None


class CreateExecution(Body):
    """What `POST /executions` takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"flowId": "V2greeting", "inputs": {"who": {"text": "Grace"}}, "autostart": True}
            ]
        }
    )

    flow_id: Id
    flow_version: Version | None = None
    inputs: dict[str, dict[str, Any]] | None = None
    options: ExecutionOptions = Field(default_factory=ExecutionOptions)
    integration: Annotated[Any, AfterValidator(_fits_integration)] = None
    events: Annotated[list[ExternalEvent] | None, Field(max_length=100)] = None
    autostart: bool = False


class ForkExecution(Body):
    """What a fork takes. What is left out, also of `options`, is as in the forked execution."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"fromNodeId": "greet", "inputs": {"greet": {"template": "Hi {{name}}"}}}]
        }
    )

    from_node_id: Id | None = None
    flow_version: Version | None = None
    inputs: dict[str, dict[str, Any]] | None = None
    options: ExecutionOptions | None = None
    autostart: bool = False

    def named_options(self) -> dict[str, Any]:
        """The options that the body names."""
        named = self.model_dump(by_alias=True, exclude_unset=True, include={"options"})
        return named.get("options") or {}


class CreateExecutions(Body):
    """What `POST /executions/batch` takes: all of them are created, or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": [{"flowId": "V2greeting"}, {"flowId": "V2greeting", "autostart": True}]}
            ]
        }
    )

    items: Annotated[list[CreateExecution], Field(min_length=1, max_length=MAX_BATCH)]


def _is_new_secret(value: Any) -> Any:
    if value in (None, MASK):
        raise PydanticCustomError("secret_mask", "must be the secret: there is none yet to keep")
    return _fits_secret(value)


def _fits_secret(value: Any) -> Any:
    if value is None:
        return value
    if not isinstance(value, str | dict):
        raise PydanticCustomError("secret_type", "must be a string or an object")
    if not value:
        raise PydanticCustomError("secret_empty", "must not be empty")
    if len(orjson.dumps(value)) > MAX_SECRET_BYTES:
        raise PydanticCustomError("secret_too_large", "must be at most 64 KiB of JSON")
    return value


SecretName = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
#: A text, or fields by name.
_SECRET_DATA = [{"type": "string", "minLength": 1}, {"type": "object", "minProperties": 1}]


class NewSecret(Body):
    """What `POST /secrets` takes."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "mail", "secretType": "string", "data": "s3cret"}]}
    )

    name: SecretName
    secret_type: SecretType = "string"  # noqa: S105 — the name of a type
    data: Annotated[Any, AfterValidator(_is_new_secret), WithJsonSchema({"anyOf": _SECRET_DATA})]


class ChangedSecret(Body):
    """What `PUT /secrets/{id}` takes; without `data`, or with its mask, that stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "mail", "data": "n3w"}]})

    name: SecretName
    secret_type: SecretType = "string"  # noqa: S105 — the name of a type
    data: Annotated[
        Any,
        AfterValidator(_fits_secret),
        WithJsonSchema({"anyOf": [*_SECRET_DATA, {"type": "null"}]}),
    ] = None


class BulkFilter(Body):
    """Which executions a command is for: those that pass all that is named here."""

    status: Annotated[list[Status], Field(min_length=1, max_length=MAX_STATUSES)] | None = None
    flow_id: Id | None = None
    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_BATCH)] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.status is None and self.flow_id is None and self.ids is None:
            raise PydanticCustomError("no_filter", "must name status, flowId or ids")
        return self


class BulkCommand(Body):
    """What `POST /executions/bulk` takes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"action": "stop", "filter": {"status": ["running"], "flowId": "V2greeting"}}
            ]
        }
    )

    action: Literal["start", "pause", "resume", "stop"]
    filter: BulkFilter
