"""What a route takes, declared where it is defined: its query and its body, as models.

`takes` checks the request against them and hands them to the view; the declaration stays on
the view for whoever describes the API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel, RootModel

from app.errors import Fault, NotFound, ValidationFailed
from app.executions.options import checked
from web.bodies import pointer_to, read_object, read_value
from web.schemas import NoBody, NoQuery

View = Callable[..., Response]
Model = TypeVar("Model", bound=BaseModel)

_DECLARATION = "takes"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a view takes. `body` is `dict` where the view reads the document itself.

    A RootModel takes other JSON than objects, too. `document` describes such a document.
    """

    query: type[BaseModel]
    body: type[BaseModel | dict[str, Any]] | None
    document: type[BaseModel] | None = None


def takes(
    *,
    query: type[BaseModel] = NoQuery,
    body: type[BaseModel | dict[str, Any]] | None = None,
    document: type[BaseModel] | None = None,
) -> Callable[[View], View]:
    """Check query and body, and hand them to the view as `query` and `body`.

    What takes nothing is checked and not handed over. Anything undeclared is refused.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def taking(**path: str) -> Response:
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

        setattr(taking, _DECLARATION, Taken(query, body, document))
        return taking

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
    return checked(model, given, "The query is not valid.")


def _read_body(model: type[BaseModel | dict[str, Any]]) -> BaseModel | dict[str, Any]:
    document = read_value() if issubclass(model, RootModel) else read_object()
    if issubclass(model, BaseModel):
        return checked(model, document, "The body is not valid.")
    return document
