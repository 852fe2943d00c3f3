"""An execution's options: their bounds and defaults, and how any given JSON is checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from app.errors import Fault, ValidationFailed
from app.flows.faults import below

Model = TypeVar("Model", bound=BaseModel)

#: Our words for what pydantic finds most often; its own otherwise.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is unknown",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be {expected}",
}


class Body(BaseModel):
    """A JSON body: types as JSON has them, nothing read into another."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, strict=True)


def _whole(value: Any) -> Any:
    """Read 5.0 as 5: to JSON they are one number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Of a whole number: however it is written. Behind its bounds, which are told that way.
WHOLE = BeforeValidator(_whole)


class ExecutionLimits(Body):
    """How an execution runs."""

    max_concurrency: Annotated[int, Field(ge=1, le=1000), WHOLE] = 50
    node_timeout_ms: Annotated[int, Field(ge=1, le=86_400_000), WHOLE] = 3_600_000
    flow_timeout_ms: Annotated[int, Field(ge=0, le=31_536_000_000), WHOLE] = 10_800_000
    on_node_error: Literal["fail", "continue"] = "fail"


class ExecutionOptions(Body):
    """An execution's options."""

    execution: ExecutionLimits = Field(default_factory=ExecutionLimits)
    debug: bool = False
    breakpoints: list[str] = Field(default_factory=list)
    priority: Annotated[int, Field(ge=0, le=9), WHOLE] = 5


#: An event's name has at most so many characters.
LONGEST_EVENT_NAME = 255


class ExternalEvent(Body):
    """An event from outside that drives an execution."""

    event_name: Annotated[str, Field(min_length=1, max_length=LONGEST_EVENT_NAME)]
    payload: dict[str, Any] | None = None

    def stored(self) -> dict[str, Any]:
        """As the store keeps it."""
        return self.model_dump(by_alias=True, exclude_none=True)


def external_events(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check events `{eventName, payload?}`, as the store keeps them. Raises ValidationFailed."""
    message = "The events are not valid."
    return [
        checked(ExternalEvent, each, message, at=f"/events/{place}").stored()
        for place, each in enumerate(given)
    ]


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """Lay options over the defaults, as the store keeps them. Raises ValidationFailed."""
    options = checked(ExecutionOptions, given, "The options are not valid.", at="/options")
    return options.model_dump(by_alias=True)


def checked(model: type[Model], given: Mapping[str, Any], message: str, *, at: str = "") -> Model:
    """Read JSON as a model; `at` points to where it stands. Raises ValidationFailed."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ValidationFailed([_fault(each, at) for each in details], message) from None


def _fault(detail: ErrorDetails, at: str) -> Fault:
    # A key that is itself wrong is found at the key, which a pointer already names.
    steps = [step for step in detail["loc"] if step != "[key]"]
    ours = _MESSAGES.get(detail["type"])
    message = ours.format(**detail.get("ctx", {})) if ours else detail["msg"]
    return Fault(below(at, *steps), message)
