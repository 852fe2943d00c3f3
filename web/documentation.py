"""`/openapi.json`, and `/docs`, which shows it: Swagger UI out of its wheel, no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app

from app.errors import NotFound
from web import shapes
from web.answers import answer
from web.description import gives
from web.inputs import takes
from web.openapi import describe

blueprint = Blueprint("documentation", __name__)

_KEY = "chaingraph.openapi"

#: The page's files: ours, and those of the wheel, which is never imported.
_OWN = Path(__file__).parent / "docs"
_ASSETS: Mapping[str, tuple[Path | str, str]] = {
    "docs.js": (_OWN, "text/javascript"),
    "docs.css": (_OWN, "text/css"),
    "swagger-ui.css": ("css", "text/css"),
    "swagger-ui-bundle.js": ("js", "text/javascript"),
}
#: How long (s) a browser keeps them.
_KEPT_S = 3600

#: The page takes scripts and styles from here, and none that stand in it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@takes()
@gives(shapes.OpenApi)
def show_openapi() -> Response:
    """Describe the API as OpenAPI 3.1."""
    return answer(_description())


@blueprint.get("/docs")
@takes()
@gives(media_type="text/html")
def show_docs() -> Response:
    """Show the description to people."""
    page = (_OWN / "index.html").read_bytes()
    headers = {"Content-Security-Policy": _POLICY}
    return Response(page, headers=headers, content_type="text/html; charset=utf-8")


@blueprint.get("/docs/<name>")
@takes()
@gives(media_type="*/*")
def show_asset(name: str) -> Response:
    """Give a script or a style of the page."""
    if name not in _ASSETS:
        raise NotFound
    folder, media_type = _ASSETS[name]
    directory = folder if isinstance(folder, Path) else _swagger() / folder
    headers = {"Cache-Control": f"max-age={_KEPT_S}"}
    return Response((directory / name).read_bytes(), headers=headers, mimetype=media_type)


def _description() -> dict[str, Any]:
    """Made when it is first asked for, kept as long as the app."""
    known: dict[str, Any] | None = current_app.extensions.get(_KEY)
    if known is None:
        known = current_app.extensions[_KEY] = describe(current_app)
    return known


def _swagger() -> Path:
    spec = find_spec("flask_openapi3_swagger")
    if spec is None or spec.origin is None:
        raise NotFound("Swagger UI is not installed")
    return Path(spec.origin).parent / "templates" / "swagger"
