"""What a node opened leaves it in no form that it is usually written in."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from app.engine.state import as_node_failure
from app.errors import NodeError, NonRetryableError
from app.executions.hiding import Hidden
from app.nodes.retry import RetryAfter
from app.nodes.timer import Sleeping
from app.values.secrets import MASK

PLAIN = 'sk-"pläin"/+\n key'


@pytest.fixture
def hidden() -> Hidden:
    made = Hidden()
    made.add({"apiKey": PLAIN, "nested": [{"pin": 123456, "on": True, "short": "abc"}]})
    return made


@pytest.mark.parametrize(
    "form",
    [
        PLAIN,
        json.dumps(PLAIN, ensure_ascii=False)[1:-1],
        quote(PLAIN, safe=""),
        base64.b64encode(PLAIN.encode()).decode(),
        base64.urlsafe_b64encode(PLAIN.encode()).decode(),
        "123456",
    ],
)
def test_every_form_of_a_secret_is_masked(hidden: Hidden, form: str) -> None:
    assert hidden.text(f"<{form}{form}>") == f"<{MASK}{MASK}>"


def test_texts_too_short_to_be_told_from_others_are_left(hidden: Hidden) -> None:
    assert hidden.text("abc true") == "abc true"


def test_values_are_masked_down_to_their_keys(hidden: Hidden) -> None:
    value = {"a": [PLAIN, 1, None], PLAIN: {"b": f"x{PLAIN}"}}
    assert hidden.value(value) == {"a": [MASK, 1, None], MASK: {"b": f"x{MASK}"}}


def test_a_number_is_masked_however_it_is_written(hidden: Hidden) -> None:
    value = {"pins": [123456, 123456.0, "123456"], "others": [12345, 1234567, 0.5, True]}
    assert hidden.value(value) == {"pins": [MASK] * 3, "others": [12345, 1234567, 0.5, True]}
    assert hidden.value([10**5000, float("inf")]) == [10**5000, float("inf")]


def test_a_number_that_was_text_is_masked() -> None:
    hidden = Hidden()
    hidden.add("123456")
    assert hidden.value([123456, 123456.0]) == [MASK, MASK]


def test_a_secret_of_lines_is_masked_line_by_line() -> None:
    hidden = Hidden()
    hidden.add({"key": "-----BEGIN-----\nMIIEvQIBAD\r\n  ANBgkqhki\nG9w\n-----END-----"})
    assert hidden.text("it begins with MIIEvQIBAD") == f"it begins with {MASK}"
    assert hidden.value(["ANBgkqhki", "G9w"]) == [MASK, "G9w"]


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    hidden = Hidden()
    hidden.add("abcd")
    hidden.add("abcdefgh")
    assert hidden.text("abcdefgh abcd") == f"{MASK} {MASK}"


class Odd(Exception):
    """An exception that writes its text itself."""

    def __str__(self) -> str:
        return f"odd {PLAIN}"


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (NodeError(f"with {PLAIN}"), "NodeError"),
        (ValueError(PLAIN), "ValueError"),
        (KeyError({"key": PLAIN}), "KeyError"),
        (Odd(), "Odd"),
    ],
)
def test_errors_keep_their_names_and_lose_the_secret(
    hidden: Hidden, error: Exception, type_: str
) -> None:
    failure = as_node_failure(hidden.error(error))
    assert failure.type == type_
    assert PLAIN not in failure.message
    assert "sk-" not in failure.message
    assert MASK in failure.message


def test_what_an_error_means_for_further_attempts_stays(hidden: Hidden) -> None:
    after = hidden.error(RetryAfter(f"with {PLAIN}", delay_ms=7))
    assert isinstance(after, RetryAfter)
    assert (after.delay_ms, str(after)) == (7, f"with {MASK}")
    assert isinstance(hidden.error(NonRetryableError(PLAIN)), NonRetryableError)
    sleeping = Sleeping(123456, "x")
    assert hidden.error(sleeping) is sleeping


def test_an_error_that_tells_nothing_stays_itself(hidden: Hidden) -> None:
    error = ValueError("nothing")
    assert hidden.error(error) is error
