from __future__ import annotations

import json

import pytest

from app.events.log import StoredEvent
from app.streams.frames import MAX_FRAME_BYTES, count_of_frame, end_frame, events_frame


def events(*sizes: int) -> list[StoredEvent]:
    return [StoredEvent(index, "node:started", b"x" * size) for index, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "batch_size", "count"),
    [
        ([], 10, 0),
        ([1, 1, 1], 10, 3),
        ([1, 1, 1], 2, 2),
        ([40_000, 20_000, 20_000], 10, 2),
        ([70_000, 1], 10, 1),
        ([1, 70_000], 10, 1),
    ],
)
def test_a_frame_ends_at_its_batch_size_and_before_64_kib(
    sizes: list[int], batch_size: int, count: int
) -> None:
    assert count_of_frame(events(*sizes), batch_size) == count


def test_the_largest_frame_is_256_kib_with_everything() -> None:
    many = events(*[1000] * 1000)
    count = count_of_frame(many, 1000)
    frame = events_frame([event.envelope for event in many[:count]], 2**31)
    assert MAX_FRAME_BYTES - 1001 < len(frame) <= MAX_FRAME_BYTES


def test_frames_are_json() -> None:
    assert json.loads(events_frame([b'{"index":0}', b'{"index":1}'], 2)) == {
        "events": [{"index": 0}, {"index": 1}],
        "nextIndex": 2,
    }
    assert json.loads(end_frame("completed", 2)) == {
        "end": True,
        "status": "completed",
        "nextIndex": 2,
    }
