"""The flow document: its models, import, validation, and the plan compiled from it. Pure."""

from __future__ import annotations

from app.flows.compile import Prepared, compile_plan, prepare
from app.flows.inputs import overlay_inputs
from app.flows.sealing import holds_mask, restore_masks, seal_document, seal_inputs

__all__ = [
    "Prepared",
    "compile_plan",
    "holds_mask",
    "overlay_inputs",
    "prepare",
    "restore_masks",
    "seal_document",
    "seal_inputs",
]
