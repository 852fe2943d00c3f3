"""The node types of a process: the built-in ones, and those that its operator adds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType

from app.errors import NodeDefinitionError, SettingsError
from app.nodes.library import (
    array_records,
    array_reduce,
    array_selection,
    arrays,
    basic_values,
    data,
    debug,
    deserialize,
    flow,
    http,
    math,
    objects,
    regexp,
    schema,
    serializers,
    server_time,
    strings,
    templates,
)
from app.nodes.sdk import spec_of
from app.nodes.spec import Catalogue, NodeSpec

#: Packages that bring nodes name their modules under this group of entry points.
ENTRY_POINTS = "chaingraph.nodes"

#: The order is that of the docs.
_LIBRARY: tuple[ModuleType, ...] = (
    basic_values,
    flow,
    math,
    data,
    debug,
    regexp,
    templates,
    serializers,
    deserialize,
    schema,
    server_time,
    strings,
    arrays,
    array_records,
    array_reduce,
    array_selection,
    objects,
)


@cache
def builtin_catalogue() -> Catalogue:
    """Give the node types that come with the engine, by name.

    Its HttpRequestNode reaches public addresses only; `load_catalogue` takes exceptions.
    """
    return _catalogue(_builtins(http_allow=()))


def load_catalogue(node_modules: Sequence[str] = (), http_allow: Sequence[str] = ()) -> Catalogue:
    """Give the built-in types, those of `node_modules` and those of installed packages.

    `http_allow` are the hosts and CIDR ranges that HttpRequestNode may reach although they are
    not public. What can't be imported, registers no node or takes a name that is taken raises:
    SettingsError, one line that names NODE_MODULES, if that brought it, else NodeDefinitionError.
    """
    found = list(_builtins(http_allow))
    try:
        found += [named for name in node_modules for named in _named(_imported(name), name)]
        _catalogue(found)
    except NodeDefinitionError as error:
        reason = " ".join(error.message.split())
        raise SettingsError(f"NODE_MODULES={','.join(node_modules)}: {reason}") from error
    points = entry_points(group=ENTRY_POINTS)
    return _catalogue([*found, *(named for point in points for named in _brought(point))])


#: A node type and who brought it.
_Named = tuple[str, NodeSpec]


def specs_in(module: ModuleType) -> list[NodeSpec]:
    """Give the node types that a module holds, in the order in which it defines them."""
    specs = [spec_of(value) for value in vars(module).values()]
    return list({spec.type: spec for spec in specs if spec is not None}.values())


def _builtins(http_allow: Sequence[str]) -> Iterator[_Named]:
    for module in _LIBRARY:
        yield from _named(module, module.__name__)
    for spec in http.http_nodes(http_allow):
        yield http.__name__, spec


def _named(module: ModuleType, name: str) -> list[_Named]:
    specs = specs_in(module)
    if not specs:
        raise NodeDefinitionError(f"the module {name} registers no node")
    return [(name, spec) for spec in specs]


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except NodeDefinitionError:
        raise
    # A stranger's module may raise anything, also to end the process; none of it is ours.
    except (Exception, SystemExit) as error:
        raise NodeDefinitionError(
            f"the module {name} can't be imported: {type(error).__name__}: {error}"
        ) from error


def _brought(point: EntryPoint) -> list[_Named]:
    """An entry point names a module, or one decorated function in it."""
    module = _imported(point.module)
    if not point.attr:
        return _named(module, point.module)
    spec = spec_of(getattr(module, point.attr, None))
    if spec is None:
        raise NodeDefinitionError(f"the entry point {point.value} is no node")
    return [(point.value, spec)]


def _catalogue(found: Iterable[_Named]) -> Catalogue:
    specs: dict[str, NodeSpec] = {}
    owners: dict[str, str] = {}
    for owner, spec in found:
        known = specs.get(spec.type)
        # One module may be named twice, by NODE_MODULES and by a package; that is no clash.
        if known is not None and known is not spec:
            raise NodeDefinitionError(
                f"the node type {spec.type} of {owner} is taken by {owners[spec.type]}"
            )
        specs[spec.type] = spec
        owners[spec.type] = owner
    return MappingProxyType(specs)
