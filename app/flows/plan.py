"""The compiled plan: a valid document as the engine walks it, indexed by document order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.nodes.spec import NodeSpec, RetryPolicy
from app.values.paths import Path
from app.values.ports import PortConfig, Value


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """An edge between two nodes (by index); paths start with the root port's id."""

    index: int
    id: str
    source: int
    source_path: Path
    target: int
    target_path: Path

    @property
    def source_root(self) -> str:
        """The id of the root port that it leaves."""
        return str(self.source_path[0])

    @property
    def target_root(self) -> str:
        """The id of the root port that it leads into."""
        return str(self.target_path[0])


@dataclass(frozen=True, slots=True)
class InPort:
    """A port that has edges: where it is, its config, and its edges in document order."""

    path: Path
    config: PortConfig
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlanNode:
    """A node of the plan.

    `spec` is its type's; of a node of an export, without the bounds of its ports. `ports` are
    its own root ports as the document shaped them, system ports included;
    `values` the stored value of each root port, defaults filled in (ports without either are
    absent); `in_ports` the ports with edges, in the order of their first edge; `out_edges`
    the edges that leave it, in document order; `handles_error` says that an edge leaves
    `__error` or `__errorMessage`; `is_template` that it is a child of a node that is not a
    group, and counts as completed with its stored values without running; `is_group` that it
    completes after the nodes whose `parent` it is; `event` names what a listener listens for;
    `streams` are its outputs of type stream; `holds_secrets` says that a port of it, or a place
    inside one, is for secrets; `queue` is consumed by the workers that may run it.
    """

    index: int
    id: str
    type: str
    spec: NodeSpec
    ports: Mapping[str, PortConfig]
    values: Mapping[str, Value]
    in_ports: tuple[InPort, ...]
    out_edges: tuple[int, ...]
    retry: RetryPolicy
    timeout_ms: int | None
    queue: str
    handles_error: bool
    is_template: bool = False
    parent: int | None = None
    is_group: bool = False
    event: str | None = None
    streams: tuple[str, ...] = ()
    holds_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A flow version, compiled: immutable, shared by all of its executions in a process.

    `outputs` maps the names of `metadata.outputs` to (node index, path); None where the flow
    does not name any. `holds_secrets` says that some node does, or may be given
    some by another flow.
    """

    flow_id: str
    metadata: Mapping[str, Value]
    nodes: tuple[PlanNode, ...]
    edges: tuple[PlanEdge, ...]
    index_of: Mapping[str, int]
    outputs: Mapping[str, tuple[int, Path]] | None
    holds_secrets: bool = False
