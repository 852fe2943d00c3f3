"""What is logged of a message that could not be acknowledged."""

from __future__ import annotations

import logging

import pytest
from celery.worker import request
from kombu import Message
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

import tasks


class Channel:
    """One of a broker that answers like this."""

    no_ack_consumers = None

    def __init__(self, error: Exception) -> None:
        self._error = error

    def basic_ack(self, _tag: str, **_: object) -> None:
        raise self._error


def acknowledge(error: Exception) -> None:
    """As Celery does it, which knows these errors of its transport."""
    message = Message(channel=Channel(error), delivery_tag="tag")
    message.ack_log_error(request.logger, (type(error),))


def test_a_broker_that_is_away_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert tasks.app.main == "chaingraph"
    acknowledge(RedisConnectionError("Connection refused"))
    [record] = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage().startswith("Couldn't ack 'tag'")


def test_any_other_failure_is_told_as_celery_does(caplog: pytest.LogCaptureFixture) -> None:
    acknowledge(ResponseError("OOM command not allowed"))
    [record] = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.exc_info is not None
