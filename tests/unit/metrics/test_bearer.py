from __future__ import annotations

import pytest

from app.metrics.bearer import bears


@pytest.mark.parametrize(
    ("header", "token", "may"),
    [
        ("Bearer t0ken", "t0ken", True),
        ("bearer  t0ken", "t0ken", True),
        ("Bearer t0ke", "t0ken", False),
        ("Bearer ", "t0ken", False),
        ("Basic t0ken", "t0ken", False),
        ("t0ken", "t0ken", False),
        ("Bearer schlüssel", "t0ken", False),
        (None, "t0ken", False),
        ("Bearer t0ken", None, False),
        ("Bearer None", None, False),
    ],
)
def test_only_who_bears_the_token_may_look(
    header: str | None, token: str | None, may: bool
) -> None:
    assert bears(header, token) is may
