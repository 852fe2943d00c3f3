from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events.types import EventType
from app.events.wire import envelope, envelopes, timestamp, to_json, type_of

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No halves of surrogate pairs: no value of a port holds one.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(value=JSON_VALUES)
def test_every_json_value_survives_on_one_line(value: object) -> None:
    encoded = to_json(value)
    assert b"\n" not in encoded
    assert json.loads(encoded) == value


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    assert to_json({"log": "a\ud800b"}) == b'{"log":"a?b"}'


def test_times_are_utc_with_milliseconds() -> None:
    at = datetime(2026, 11, 21, 23, 0, 0, 7999, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(at) == "2026-11-21T21:00:00.007Z"
    assert timestamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


def test_envelopes_count_on_from_the_first_index() -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    events = [("execution:created", "{}"), ("node:started", '{"nodeId":"a\\"b"}')]
    first, second = envelopes("EX1", -1, at, events)
    assert json.loads(first) == {
        "index": -1,
        "type": "execution:created",
        "timestamp": "2026-11-21T00:00:00.000Z",
        "executionId": "EX1",
        "data": {},
    }
    assert json.loads(second)["index"] == 0
    assert json.loads(second)["data"] == {"nodeId": 'a"b'}
    singly = [
        envelope("EX1", index, type_, timestamp(at), data)
        for index, (type_, data) in enumerate(events, -1)
    ]
    assert [first, second] == singly


@pytest.mark.parametrize("event_type", list(EventType))
def test_the_type_is_read_out_of_an_envelope(event_type: EventType) -> None:
    assert type_of(envelope("EX1", 12, event_type, "t", '{"type":"x"}')) == event_type
