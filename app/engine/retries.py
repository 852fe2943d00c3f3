"""Whether a failed attempt is followed by another, and when (docs/flows.md, rule 7)."""

from __future__ import annotations

from app.errors import NonRetryableError
from app.nodes.retry import RetryAfter
from app.nodes.spec import RetryPolicy


def retry_delay_ms(retry: RetryPolicy, attempt: int, error: BaseException) -> int | None:
    """How long to wait after `attempt` failed with `error`; None if there is no other attempt."""
    if isinstance(error, RetryAfter):
        return error.delay_ms
    if isinstance(error, NonRetryableError) or attempt >= retry.max_attempts:
        return None
    return retry.backoff_after(attempt)
