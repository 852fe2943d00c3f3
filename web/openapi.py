"""The API's own description (OpenAPI 3.1), made from its routes and the models they declare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from web import shapes
from web.access import ACCESS, OPEN_BLUEPRINTS
from web.description import EVENT_STREAM, JSON, given_by
from web.inputs import Taken, taken_by
from web.refusals import components, reference, refusals_of

Json = dict[str, Any]
References = Mapping[type[BaseModel], Json]

_REFERENCE = "#/components/schemas/{model}"
_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")

_ABOUT = """\
Runs ChainGraph flows durably. Names are camelCase, times ISO 8601 in UTC with milliseconds,
durations whole milliseconds. Lists are `{items, nextCursor}`; `cursor` takes a `nextCursor` as
it stands. What isn't listed here, in a body or a query, is refused with 422. A 2xx to a command
means that it is durable: it takes effect even if every process dies in the same instant.
"""

#: Headers that a route may be asked by: what they mean, and what they look like.
_HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "Idempotency-Key": (
        """\
A name of your own for this request. The same key and body, sent again within 24 hours, create
nothing: the answer shows what was created, as it is by now, with `Idempotent-Replayed: true`. The
same key with another body is refused with 422.""",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": (
        "The ETag of the version that you saw: another one is not replaced (412).",
        {"type": "string"},
    ),
    "Last-Event-ID": (
        (
            "Of a stream, the index of the last event that you have: it wins over fromIndex. A page is "
            "the same with any."
        ),
        {"type": "string"},
    ),
    "If-None-Match": ("The ETag of what you have: it is not sent again (304).", {"type": "string"}),
}

#: Bounds of what stands in a path, by endpoint and name.
_PATH: Mapping[str, Json] = {
    "executions.signal.name": {"pattern": "^[A-Za-z0-9_.-]{1,128}$"},
}

#: Headers that come with an answer.
_SENT: Mapping[str, dict[str, Any]] = {
    "Location": {
        "description": "Where it is, or where the list is that it is in.",
        "required": True,
        "schema": {"type": "string", "pattern": "^/api/v1/"},
    },
    "ETag": {
        "description": "Names the version, for If-Match and If-None-Match.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
    "Idempotent-Replayed": {
        "description": "There where the request had been carried out before.",
        "schema": {"const": "true"},
    },
}

#: What a stream of events looks like.
_STREAM = """\
id: 6
event: execution:completed
data: {"index":6,"type":"execution:completed","timestamp":"2026-01-02T03:04:05.678Z",\
"executionId":"EX2222222222222222222222","data":{"executionTimeMs":12}}

event: end
data: {"status":"completed","nextIndex":7}

"""

_SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": """\
A token that `chaingraph tokens create` made, where the server runs with AUTH_ENABLED=true. A user
sees their own flows and executions, an admin everybody's; to others what isn't theirs is not
there (404). A browser's WebSocket sends it as the subprotocol `bearer.TOKEN`.""",
    }
}


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat the members' names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 — as inherited
        """A member has its name."""
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Null is what is left out, and need not be allowed."""
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if (key, value) != ("default", None)}


def describe(app: Flask) -> Json:
    """Describe every route of an app that declares what it gives."""
    routes = [
        (rule, method, app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        # A socket has the address of the pages of events, and is described with them.
        if not rule.websocket
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    references, schemas = _schemas([view for _, _, view in routes])
    access = app.extensions.get(ACCESS)
    # A server that asks for no tokens takes calls without one.
    security: list[Json] = [{"token": []}] if access and access.is_closed else [{"token": []}, {}]
    paths: dict[str, Json] = {}
    for rule, method, view in sorted(routes, key=lambda route: (route[0].rule, route[1])):
        path = _VARIABLE.sub(lambda found: f"{{{to_camel(found[1])}}}", rule.rule)
        is_open = rule.endpoint.split(".")[0] in OPEN_BLUEPRINTS
        operation = _operation(rule, view, references, is_open=is_open)
        if not is_open:
            operation["security"] = security
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ChainGraph executor",
            "version": version("chaingraph-celery"),
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": _SECURITY_SCHEMES,
            "responses": components(references[shapes.Problem]),
        },
    }


def _schemas(views: list[Callable[..., Any]]) -> tuple[References, Json]:
    models: dict[type[BaseModel], None] = {shapes.Problem: None}
    for view in views:
        if model := given_by(view).model:
            models[model] = None
        if model := _body_of(taken_by(view)):
            models[model] = None
    found, definitions = models_json_schema(
        [(model, "validation") for model in models],
        ref_template=_REFERENCE,
        schema_generator=_Schemas,
    )
    return {model: found[model, "validation"] for model in models}, definitions["$defs"]


def _body_of(taken: Taken | None) -> type[BaseModel] | None:
    """The model of a body, or of a document that the view reads itself."""
    if taken is None or taken.body is None:
        return None
    return taken.body if issubclass(taken.body, BaseModel) else taken.document


def _operation(
    rule: Rule, view: Callable[..., Any], references: References, *, is_open: bool
) -> Json:
    taken = taken_by(view)
    summary, _, more = cleandoc(view.__doc__ or "").partition("\n")
    operation: Json = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [_tag(rule.rule)],
        "summary": summary.rstrip("."),
        "parameters": [*_path(rule), *_query(taken), *_headers(view)],
        "responses": {
            **_answers(view, references),
            **_refusals(rule, view, is_open=is_open),
        },
    }
    if more:
        operation["description"] = more.strip()
    if model := _body_of(taken):
        required = bool(model.model_json_schema().get("required"))
        content = {JSON: {"schema": references[model]}}
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _tag(path: str) -> str:
    """The resource: what stands first after the prefix."""
    return path.removeprefix("/api/v1").split("/")[1].removesuffix(".json")


def _path(rule: Rule) -> Iterator[Json]:
    for name in _VARIABLE.findall(rule.rule):
        schema = {"type": "string", **_PATH.get(f"{rule.endpoint}.{name}", {})}
        yield _parameter("path", to_camel(name), schema, required=True)


def _query(taken: Taken | None) -> Iterator[Json]:
    if taken is None:
        return
    schema = taken.query.model_json_schema(schema_generator=_Schemas)
    for name, wanted in schema.get("properties", {}).items():
        parameter = _parameter("query", name, _not_null(wanted))
        # A list is one parameter, with commas.
        yield {**parameter, "explode": False} if wanted.get("type") == "array" else parameter


def _headers(view: Callable[..., Any]) -> Iterator[Json]:
    for name in given_by(view).headers:
        description, schema = _HEADERS[name]
        yield {**_parameter("header", name, schema), "description": description}


def _parameter(place: str, name: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": place, "required": required, "schema": schema}


def _not_null(schema: Json) -> Json:
    """A parameter that isn't there is left out; null is a word like any other."""
    described = {name: value for name, value in schema.items() if value is not None}
    choices = [each for each in described.pop("anyOf", ()) if each != {"type": "null"}]
    return {**described, **choices[0]} if choices else described


def _answers(view: Callable[..., Any], references: References) -> Json:
    given = given_by(view)
    answer: Json = {"description": HTTP_STATUS_CODES[given.status]}
    sent = list(given.sends)
    if "Idempotency-Key" in given.headers:
        sent.append("Idempotent-Replayed")
    if sent:
        answer["headers"] = {name: _SENT[name] for name in sent}
    if given.model is not None:
        answer["content"] = {JSON: {"schema": references[given.model]}}
    elif given.media_type is not None:
        answer["content"] = {given.media_type: {}}
    if given.streams:
        answer["content"][EVENT_STREAM] = {"schema": {"type": "string"}, "example": _STREAM}
    answers = {str(status): answer for status in (given.status, *given.also)}
    if "If-None-Match" in given.headers:
        answers["304"] = {"description": HTTP_STATUS_CODES[304], "headers": {"ETag": _SENT["ETag"]}}
    return answers


def _refusals(rule: Rule, view: Callable[..., Any], *, is_open: bool) -> Json:
    taken, given = taken_by(view), given_by(view)
    common = refusals_of(
        is_open=is_open,
        is_about_one=bool(_VARIABLE.search(rule.rule)),
        takes=taken is not None,
        has_body=taken is not None and taken.body is not None,
        has_cursor=taken is not None and "cursor" in taken.query.model_fields,
    )
    statuses = {*common, *given.refuses} - set(given.also)
    return {str(status): reference(status) for status in sorted(statuses)}
