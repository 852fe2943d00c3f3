"""A Lucene query describes the items that its users mean."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.values.lucene import QueryError, compile_query
from app.values.patterns import PatternTimeout

PEOPLE: list[dict[str, Any]] = [
    {"name": "Ada", "age": 36, "city": "London", "ok": True, "note": None, "born": "1815-12-10"},
    {"name": "Grace", "age": 85, "city": "New York", "tags": ["big apple"], "at": [{"x": -5}]},
    {"name": "Linus", "age": 28, "city": "Helsinki", "url": "http://x.y/z", "time": "12:30"},
    {"name": "Alan", "age": 41, "city": "London", "a.b": "dotted"},
]


def named(query: str) -> str:
    described = compile_query(query)
    return " ".join(person["name"] for person in PEOPLE if described(person))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "Ada Grace Linus Alan"),
        ("*:*", "Ada Grace Linus Alan"),
        ("city:London", "Ada Alan"),
        ("city:new", "Grace"),
        ("new", "Grace"),
        ('city:"new york"', "Grace"),
        (r"city:new\ york", "Grace"),
        ("name:*a*", "Ada Grace Alan"),
        ("name:A?a*", "Ada Alan"),
        ("age:3*", "Ada"),
        ("city:London AND NOT name:Ada", "Alan"),
        ("!city:London && age:>30", "Grace"),
        ("name:Linus || name:Alan", "Linus Alan"),
        ("+city:London -name:Ada", "Alan"),
        ("city:London name:Grace", "Ada Grace Alan"),
        ("city:(London OR Helsinki)", "Ada Linus Alan"),
        ("age:[28 TO 36]", "Ada Linus"),
        ("age:{28 TO 36]", "Ada"),
        ("age:[* TO 36}", "Linus"),
        ("age:>=41", "Grace Alan"),
        ("age:=41", "Alan"),
        ("born:[1815-01-01 TO 1815-12-31]", "Ada"),
        ("name:[a TO b]", "Ada Alan"),
        ("at.x:-5", "Grace"),
        ("at.x:[-6 TO -1]", "Grace"),
        ("a.b:dotted", "Alan"),
        ("tags:apple", "Grace"),
        ('"apple big"~1', "Grace"),
        ("name:alam~1", "Alan"),
        ("name:Ada^4", "Ada"),
        ("name:/^a/", "Ada Alan"),
        ("ok:true", "Ada"),
        ("note:null", "Ada"),
        ("ok:*", "Ada"),
        ("_exists_:url", "Linus"),
        ("time:12:30", "Linus"),
        ('url:"http://x.y/z"', "Linus"),
    ],
)
def test_a_query_finds(query: str, names: str) -> None:
    assert named(query) == names


@pytest.mark.parametrize(
    "query", ["(a", "a AND", "age:[1 TO", "x:/(/", "(" * 200 + "a" + ")" * 200, "a" * 20_000]
)
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        compile_query(query)


def test_many_stars_take_linear_time() -> None:
    started = time.process_time()
    assert not compile_query("x:" + "*a" * 200 + "b")({"x": "a" * 100_000})
    assert time.process_time() - started < 10


def test_a_slow_regular_expression_is_given_up() -> None:
    with pytest.raises(PatternTimeout):
        compile_query("x:/(x+x+)+y/")({"x": "x" * 10_000})
