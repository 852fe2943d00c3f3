"""What a route takes, declared where it is defined: its query and its body, as models.

`takes` checks the request against them and hands them to the view; the declaration stays on
the view for whoever describes the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.errors import Fault, NotFound, ValidationFailed
from web.bodies import pointer_to, read_object
from web.schemas import NoBody, NoQuery

View = Callable[..., Response]
Model = TypeVar("Model", bound=BaseModel)

_DECLARATION = "takes"

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


@dataclass(frozen=True, slots=True)
class Taken:
    """What a view takes. `body` is `dict` where the view reads the document itself."""

    query: type[BaseModel]
    body: type[BaseModel | dict[str, Any]] | None


def takes(
    *,
    query: type[BaseModel] = NoQuery,
    body: type[BaseModel | dict[str, Any]] | None = None,
) -> Callable[[View], View]:
    """Check query and body, and hand them to the view as `query` and `body`.

    What takes nothing is checked and not handed over. Anything undeclared is refused.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(**path: str) -> Response:
            if any("\0" in part for part in path.values()):
                raise NotFound
            given: dict[str, Any] = dict(path)
            asked = read_query(query)
            if query is not NoQuery:
                given["query"] = asked
            if body is not None:
                document = _read_body(body)
                if body is not NoBody:
                    given["body"] = document
            return view(**given)

        setattr(checked, _DECLARATION, Taken(query, body))
        return checked

    return decorate


def taken_by(view: Callable[..., Any]) -> Taken | None:
    """What a view was declared to take."""
    taken: Taken | None = getattr(view, _DECLARATION, None)
    return taken


def read_query(model: type[Model]) -> Model:
    """Read the query string. Raises ValidationFailed with a pointer for each parameter."""
    given: dict[str, str] = {}
    faults = []
    for name, values in request.args.lists():
        if len(values) > 1:
            faults.append(Fault(pointer_to(name), "is given more than once"))
        if any("\0" in value for value in values):
            faults.append(Fault(pointer_to(name), "must not hold the character NUL (U+0000)"))
        given[name] = values[0]
    if faults:
        raise ValidationFailed(faults, "The query is not valid.")
    return _checked(model, given, "The query is not valid.")


def _read_body(model: type[BaseModel | dict[str, Any]]) -> BaseModel | dict[str, Any]:
    document = read_object()
    if issubclass(model, BaseModel):
        return _checked(model, document, "The body is not valid.")
    return document


def _checked(model: type[Model], given: Mapping[str, Any], message: str) -> Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ValidationFailed([_fault(each) for each in details], message) from None


def _fault(detail: ErrorDetails) -> Fault:
    # A key that is itself wrong is found at the key, which a pointer already names.
    steps = [step for step in detail["loc"] if step != "[key]"]
    ours = _MESSAGES.get(detail["type"])
    message = ours.format(**detail.get("ctx", {})) if ours else detail["msg"]
    return Fault(pointer_to(*steps), message)
