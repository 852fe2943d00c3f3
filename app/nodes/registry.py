"""The node types of a process: the built-in ones, and those that its operator adds."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from traceback import extract_tb
from types import MappingProxyType, ModuleType

from app.errors import NodeDefinitionError
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
    for_each,
    http,
    math,
    models,
    objects,
    regexp,
    run_flow,
    schema,
    secrets,
    serializers,
    server_time,
    signals,
    streams,
    strings,
    templates,
)
from app.nodes.sdk import spec_of
from app.nodes.spec import Catalogue, NodeSpec

#: Packages that bring nodes name their modules under this group of entry points.
ENTRY_POINTS = "chaingraph.nodes"

#: Its frames stand between ours and a module's own where that can't be imported.
_IMPORTLIB = importlib.__file__

#: The order is that of the docs.
_LIBRARY: tuple[ModuleType, ...] = (
    basic_values,
    flow,
    signals,
    run_flow,
    for_each,
    math,
    data,
    streams,
    debug,
    regexp,
    templates,
    serializers,
    deserialize,
    schema,
    server_time,
    strings,
    secrets,
    arrays,
    array_records,
    array_reduce,
    array_selection,
    objects,
)


@cache
def builtin_catalogue() -> Catalogue:
    """Give the node types that come with the engine, by name.

    Those that call servers reach public addresses only; `load_catalogue` takes exceptions.
    """
    return _catalogue(_builtins(http_allow=()))


def load_catalogue(node_modules: Sequence[str] = (), http_allow: Sequence[str] = ()) -> Catalogue:
    """Give the built-in types, those of `node_modules` and those of installed packages.

    `http_allow` are the hosts and CIDR ranges that the nodes which call servers may reach although
    they are not public. What can't be imported, registers no node or takes a name that is taken raises
    SettingsError: one line that names what brought it, the file and the function.
    """
    found = list(_builtins(http_allow))
    with _named_as(f"NODE_MODULES={','.join(node_modules)}"):
        for name in node_modules:
            found += _specs_of(_imported(name))
        _catalogue(found)
    for point in entry_points(group=ENTRY_POINTS):
        with _named_as(f"the entry point {point.name} = {point.value} in {ENTRY_POINTS}"):
            found += _brought(point)
            _catalogue(found)
    return _catalogue(found)


@contextmanager
def _named_as(source: str) -> Iterator[None]:
    """Say of what can't be loaded what asked for it, in one line."""
    try:
        yield
    except NodeDefinitionError as error:
        raise NodeDefinitionError(f"{source}: {' '.join(error.message.split())}") from error


def specs_in(module: ModuleType) -> list[NodeSpec]:
    """Give the node types that a module holds, in the order in which it defines them.

    Of a package, those of its modules that it has imported, too.
    """
    below = f"{module.__name__}."
    # A copy in one piece: while a list of pairs is made, another thread may import.
    loaded = sys.modules.copy()
    parts = [part for name, part in loaded.items() if name.startswith(below)]
    specs = [spec_of(value) for part in (module, *parts) for value in list(vars(part).values())]
    return list({id(spec): spec for spec in specs if spec is not None}.values())


def _builtins(http_allow: Sequence[str]) -> Iterator[NodeSpec]:
    for module in _LIBRARY:
        yield from _specs_of(module)
    yield from http.http_nodes(http_allow)
    yield from models.model_nodes(http_allow)


def _specs_of(module: ModuleType) -> list[NodeSpec]:
    specs = specs_in(module)
    if not specs:
        raise NodeDefinitionError(
            f"{module.__file__ or module.__name__} registers no node: decorate one with @node"
        )
    return specs


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except NodeDefinitionError:
        raise
    # A stranger's module may raise anything, also to end the process; none of it is ours.
    except (Exception, SystemExit) as error:
        raise NodeDefinitionError(
            f"the module {name} can't be imported: {type(error).__name__}: {error}{_where(error)}"
        ) from error


def _where(error: BaseException) -> str:
    """The file, line and function in which a module's import failed, as far as it came to one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" (at {error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if frame.filename not in {__file__, _IMPORTLIB} and not frame.filename.startswith("<")
    ]
    if not frames:
        return ""
    # The last in the file that was to be imported: what that calls is further from the fault.
    last = [frame for frame in frames if frame.filename == frames[0].filename][-1]
    return f" (at {last.filename}:{last.lineno}, {last.name})"


def _brought(point: EntryPoint) -> list[NodeSpec]:
    """An entry point names a module, or one decorated function in it."""
    module = _imported(point.module)
    if not point.attr:
        return _specs_of(module)
    spec = spec_of(getattr(module, point.attr, None))
    if spec is None:
        raise NodeDefinitionError(f"{point.attr} of {module.__file__} is no node")
    return [spec]


def _catalogue(found: Iterable[NodeSpec]) -> Catalogue:
    specs: dict[str, NodeSpec] = {}
    for spec in found:
        known = specs.setdefault(spec.type, spec)
        # One module may be named twice, by NODE_MODULES and by a package; that is no clash.
        if known is not spec:
            raise NodeDefinitionError(
                f"{spec.place}: the node type {spec.type} is taken by {known.place}"
            )
    return MappingProxyType(specs)
