"""A publisher that says what it published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from app.streams.protocol import Batch, Publisher


class Counts(Protocol):
    """Counts what is told. From any thread."""

    def published(self, count: int, is_sent: bool) -> None:
        """So many events were handed on, or dropped."""
        ...


class CountedPublisher:
    """Publishes by another, and counts."""

    def __init__(self, publisher: Publisher, counts: Counts) -> None:
        self._publisher = publisher
        self._counts = counts

    def publish(self, execution_id: str, first_index: int, envelopes: Sequence[bytes]) -> bool:
        """Publish events that are committed; whether they were handed on."""
        is_sent = self._publisher.publish(execution_id, first_index, envelopes)
        self._counts.published(len(envelopes), is_sent)
        return is_sent

    def publish_many(self, batches: Iterable[Batch]) -> bool:
        """Publish events of many executions in one go; whether they were handed on."""
        kept = list(batches)
        is_sent = self._publisher.publish_many(kept)
        self._counts.published(sum(len(batch.envelopes) for batch in kept), is_sent)
        return is_sent
