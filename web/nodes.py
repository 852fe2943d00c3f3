"""`/nodes`: the catalogue of node types."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from app.errors import NotFound
from app.nodes.spec import NodeSpec, RetryPolicy
from app.values.ports import MISSING, SYSTEM_PORTS, PortConfig
from web import shapes
from web.answers import answer, page
from web.cursors import at_position, read_position
from web.description import gives
from web.inputs import takes
from web.schemas import PageQuery
from web.services import services

blueprint = Blueprint("nodes", __name__, url_prefix="/api/v1/nodes")


@blueprint.get("")
@takes(query=PageQuery)
@gives(shapes.NodeTypePage)
def list_types(query: PageQuery) -> Response:
    """List the node types, by name."""
    position = read_position(query.cursor)
    catalogue = services().catalogue
    names = sorted(catalogue)[position : position + query.limit + 1]
    types = [shape_of(catalogue[name]) for name in names]
    return answer(page(types, query.limit, lambda _: at_position(position + query.limit)))


@blueprint.get("/<path:node_type>")
@takes()
@gives(shapes.NodeType)
def show(node_type: str) -> Response:
    """Show one node type."""
    spec = services().catalogue.get(node_type)
    if spec is None:
        raise NotFound(f"There is no node type '{node_type}'")
    return answer(shape_of(spec))


def shape_of(spec: NodeSpec) -> dict[str, Any]:
    """Describe a node type, its ports in the words of a document."""
    return {
        "id": spec.type,
        "type": spec.type,
        "category": spec.category,
        "title": spec.title,
        "description": spec.description,
        "tags": list(spec.tags),
        "deprecated": spec.deprecated,
        "effects": spec.effects,
        "extraPorts": spec.extra_ports,
        "retry": _retry(spec.retry),
        "timeoutMs": spec.timeout_ms,
        "queue": spec.queue,
        "ports": [_port(name, config) for name, config in spec.ports.items()],
        "systemPorts": [_port(name, config) for name, config in SYSTEM_PORTS.items()],
    }


def _retry(policy: RetryPolicy) -> dict[str, Any]:
    return {
        "maxAttempts": policy.max_attempts,
        "backoffMs": policy.backoff_ms,
        "backoffFactor": policy.backoff_factor,
        "maxBackoffMs": policy.max_backoff_ms,
    }


def _port(name: str, config: PortConfig) -> dict[str, Any]:
    return {"id": name, "direction": config.direction, **_config(config)}


def _config(config: PortConfig) -> dict[str, Any]:
    """Write a port's config as documents do; what doesn't bound anything is left out."""
    described: dict[str, Any] = {"type": config.type, "required": config.required}
    if config.default is not MISSING:
        described["defaultValue"] = config.default
    bounds = {
        "title": config.title or None,
        "description": config.description or None,
        "minLength": config.min_length,
        "maxLength": config.max_length,
        "pattern": config.pattern,
        "min": config.minimum,
        "max": config.maximum,
        "step": config.step,
        "integer": config.integer or None,
        "mutable": config.mutable or None,
        "options": list(config.options) or None,
        "itemConfig": config.item and _config(config.item),
        "underlyingType": config.underlying and _config(config.underlying),
    }
    described.update({name: bound for name, bound in bounds.items() if bound is not None})
    if config.properties:
        members = {name: _config(member) for name, member in config.properties.items()}
        described["schema"] = {"properties": members}
    return described
