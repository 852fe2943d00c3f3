"""The executor: flows, nodes, engine, executions and what serves them."""

from __future__ import annotations
