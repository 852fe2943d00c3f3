from __future__ import annotations

import json
from typing import Any

import pytest

from app.events.fitting import (
    MAX_DATA_BYTES,
    MAX_VALUE_BYTES,
    fit_event,
    fit_outputs,
    fit_shared,
    share,
)
from app.events.types import Event, EventType


def fitted(event_type: EventType, **data: Any) -> list[dict[str, Any]]:
    """Fit an event; every part of it is small enough and of its type."""
    parts = fit_event("EX1", Event(event_type, data))
    assert all(part_type == event_type for part_type, _ in parts)
    assert all(len(text.encode()) <= MAX_DATA_BYTES for _, text in parts)
    return [json.loads(text) for _, text in parts]


def truncated(size: int, node_id: str = "a") -> dict[str, Any]:
    href = f"/api/v1/executions/EX1/nodes/{node_id}"
    return {"$truncated": True, "bytes": size, "href": href}


def test_small_events_stay_as_they_are() -> None:
    data = {"nodeId": "a", "outputs": {"x": 2**70, "y": "é"}, "executionTimeMs": 1}
    assert fitted(EventType.NODE_COMPLETED, **data) == [data]


@pytest.mark.parametrize(
    ("length", "is_left_out"), [(MAX_VALUE_BYTES - 2, False), (MAX_VALUE_BYTES - 1, True)]
)
def test_an_output_over_16_kib_is_left_out_and_named(length: int, is_left_out: bool) -> None:
    outputs = {"large": "x" * length, "small": 1}
    [data] = fitted(EventType.NODE_COMPLETED, nodeId="a", outputs=outputs, executionTimeMs=1)
    kept = truncated(length + 2) if is_left_out else outputs["large"]
    assert data["outputs"] == {"large": kept, "small": 1}
    assert fit_outputs("EX1", "a", outputs) == data["outputs"]


def test_the_place_of_an_output_is_a_url() -> None:
    fitted_outputs = fit_outputs("EX1", "a/b c", {"large": "x" * MAX_VALUE_BYTES})
    assert fitted_outputs["large"]["href"] == "/api/v1/executions/EX1/nodes/a%2Fb%20c"


def test_outputs_that_are_too_much_together_are_left_out_largest_first() -> None:
    outputs = {f"port{number}": "x" * 10_000 for number in range(10)} | {"small": "y" * 4000}
    [data] = fitted(EventType.NODE_COMPLETED, nodeId="a", outputs=outputs, executionTimeMs=1)
    assert data["outputs"]["small"] == "y" * 4000
    assert data["outputs"]["port1"] == truncated(10_002)


def test_so_many_outputs_that_even_their_notes_are_too_much_share_one() -> None:
    outputs = {f"port{number}": "x" * 100 for number in range(2000)}
    [data] = fitted(EventType.NODE_COMPLETED, nodeId="a", outputs=outputs, executionTimeMs=1)
    assert data["outputs"] == truncated(len(json.dumps(outputs, separators=(",", ":"))))


def test_a_large_port_value_is_left_out() -> None:
    [data] = fitted(EventType.PORT_UPDATED, nodeId="a", portId="x", value="é" * MAX_VALUE_BYTES)
    assert data["value"] == truncated(2 * MAX_VALUE_BYTES + 2)


@pytest.mark.parametrize("character", ["x", "é", '"', "\n", "\x01", "𝄞"])
def test_logs_are_cut(character: str) -> None:
    log = character * 100_000
    [data] = fitted(EventType.NODE_DEBUG_LOG, nodeId="a", level="info", log=log)
    assert data["log"].endswith(" … (cut)")
    assert data["log"].startswith(character * 100)
    assert len(json.dumps(data, ensure_ascii=False).encode()) > MAX_DATA_BYTES - 100


def test_a_log_that_fits_is_whole() -> None:
    log = "x" * 60_000
    [data] = fitted(EventType.NODE_DEBUG_LOG, nodeId="a", level="info", log=log)
    assert data["log"] == log


def test_chunks_are_split_and_lose_nothing() -> None:
    items = [str(number) * 1000 for number in range(200)]
    parts = fitted(EventType.NODE_STREAM_CHUNK, nodeId="a", portId="s", items=items)
    assert [item for part in parts for item in part["items"]] == items
    assert {part["portId"] for part in parts} == {"s"}
    assert len(parts) < 15


def test_an_item_too_large_for_any_event_is_named() -> None:
    items = [1, "x" * 100_000, 2]
    [data] = fitted(EventType.NODE_STREAM_CHUNK, nodeId="a", portId="s", items=items)
    assert data["items"] == [1, truncated(100_002), 2]


def test_long_error_messages_are_cut() -> None:
    error = {"type": "ValueError", "message": "m" * 200_000}
    [data] = fitted(EventType.NODE_FAILED, nodeId="a", error=error, attempt=1)
    assert data["error"]["type"] == "ValueError"
    assert data["error"]["message"].startswith("mmm")
    assert data["attempt"] == 1


def test_large_metadata_of_a_flow_is_left_out() -> None:
    metadata = {str(number): "x" * 100 for number in range(10_000)}
    [data] = fitted(EventType.FLOW_STARTED, flowMetadata=metadata)
    assert data["flowMetadata"]["$truncated"] is True
    assert data["flowMetadata"]["href"] == "/api/v1/executions/EX1"


def test_anything_else_that_cannot_be_cut_is_left_out_as_a_whole() -> None:
    [data] = fitted(EventType.FLOW_PAUSED, **{str(number): number for number in range(10_000)})
    assert data["$truncated"] is True


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "Small", "tags": [1, 2**70]},
        {"name": "x" * (MAX_DATA_BYTES - 400)},
        {"name": "Cut", "description": "é" * MAX_DATA_BYTES},
        {"name": "Left out", "tags": ["x"] * MAX_DATA_BYTES},
    ],
    ids=lambda metadata: metadata["name"][:8],
)
def test_what_many_events_hold_is_fitted_once_as_it_is_for_each(metadata: dict[str, Any]) -> None:
    data = {"flowId": "V2a", "flowMetadata": metadata, "executionDepth": 0}
    alone = fit_event("EX1", Event(EventType.EXECUTION_CREATED, data))

    placed = Event(EventType.EXECUTION_CREATED, {**data, "flowMetadata": None})
    together = fit_shared("EX1", placed, "flowMetadata", share(metadata))

    assert [together] == alone


def test_no_shared_text_is_larger_than_an_event() -> None:
    shared = share({"description": "x" * (5 << 20), "name": "Long"})
    assert shared.size > 5 << 20
    assert [len(text) <= MAX_DATA_BYTES for text in shared.texts] == [True]


def test_beside_what_is_too_large_itself_a_shared_value_stays() -> None:
    data = {"flowMetadata": {"name": "Small"}, "takenOver": ["node"] * MAX_DATA_BYTES}
    alone = fit_event("EX1", Event(EventType.EXECUTION_CREATED, data))

    placed = Event(EventType.EXECUTION_CREATED, {**data, "flowMetadata": None})
    together = fit_shared("EX1", placed, "flowMetadata", share(data["flowMetadata"]))

    assert [together] == alone
