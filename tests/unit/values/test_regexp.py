"""JavaScript's regular expressions keep their meaning, and their time."""

from __future__ import annotations

import time

import pytest

from app.values.ecmascript import Flags
from app.values.patterns import PatternError, PatternTimeout, Stopwatch
from app.values.regexp import compile_regexp, matches
from app.values.utf16 import characters


def found(pattern: str, text: str, flags: str = "") -> list[str]:
    regexp = compile_regexp(pattern, Flags(*(flag in flags for flag in "imsu")))
    prepared = regexp.prepare(text)
    return [
        characters(prepared[match.start : match.end])
        for match in regexp.find_all(prepared, Stopwatch())
    ]


# What Node.js answers to [...text.matchAll(new RegExp(pattern, flags + "g"))].
@pytest.mark.parametrize(
    ("pattern", "flags", "text", "expected"),
    [
        (r"\d+", "", "a1b22 ३", ["1", "22"]),
        (r"\w+", "", "Grüße", ["Gr", "e"]),
        (r"[^\W\d]+", "i", "STRASSE 5", ["STRASSE"]),
        (r"\s+", "", "a\u00a0\ufeff b", ["\u00a0\ufeff "]),
        (r"\bfoo\b", "", "foo, food foo", ["foo", "foo"]),
        (r"b$", "", "b\nb\n", []),
        (r"b$", "m", "b\r\nb", ["b", "b"]),
        (r"^.", "m", "a\u2028b", ["a", "b"]),
        (r"a.c", "", "a\nc", []),
        (r"a.c", "s", "a\nc", ["a\nc"]),
        (r"|a", "", "a", ["", ""]),
        (r"a*", "", "aab", ["aa", "", ""]),
        (r".", "", "🎈", ["\ufffd", "\ufffd"]),
        (r".", "u", "🎈", ["🎈"]),
        (r"\u{1F388}", "u", "🎈", ["🎈"]),
        (r"\ud83c\udf88", "", "🎈", ["🎈"]),
        (r"a{,3}", "", "a{,3}", ["a{,3}"]),
        (r"(?<year>\d{4})-\k<year>", "", "2024-2024", ["2024-2024"]),
        (r"(a)?\1b", "", "b", ["b"]),
        (r"\1(a)", "", "a", ["a"]),
        (r"[]", "", "a", []),
        (r"[^]", "", "\n", ["\n"]),
        (r"[[a&&b]+", "", "[&b", ["[&b"]),
        (r"\a\e", "", "ae", ["ae"]),
        (r"\cA\x41\101", "", "\x01AA", ["\x01AA"]),
        (r"\p{Lu}", "u", "aÜb", ["Ü"]),
        (r"\p{Lu}", "", "p{Lu}", ["p{Lu}"]),
        (r"(?<=€)\d+", "", "€42", ["42"]),
        (r"[a\-z]+[.-]", "", "a-z.", ["a-z."]),
        (r"[\w-z]+", "", "a-_", ["a-_"]),
        (r"\x4g\u00", "", "x4gu00", ["x4gu00"]),
        (r"\0\8", "", "\x008", ["\x008"]),
        (r"[\b]", "", "\b", ["\b"]),
        (r"\u{41}", "", "u" * 41, ["u" * 41]),
        (r"[\ud83c\udf88]", "u", "🎈", ["🎈"]),
        (r"straße|Ü", "i", "STRASSE Straße ü", ["Straße", "ü"]),
    ],
)
def test_a_pattern_matches_as_in_javascript(
    pattern: str, flags: str, text: str, expected: list[str]
) -> None:
    assert found(pattern, text, flags) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "[a",
        "\\",
        "*a",
        "a**",
        "a++",
        "^*",
        "[z-a]",
        "a{2,1}",
        "(?>a)",
        "(?i)a",
        "(?<1>a)",
    ],
)
def test_what_javascript_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_regexp(pattern)


@pytest.mark.parametrize(
    "pattern", [r"\a", "}", "]", "a{", r"\1", r"\c", r"\p{Nonsense}", r"\u{110000}", r"[a-\d]"]
)
def test_the_flag_u_is_strict(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_regexp(pattern, Flags(unicode=True))


@pytest.mark.parametrize(
    "pattern", ["((a{1000}){1000}){1000}", "(" * 60 + ")" * 60, "a" * 20_000, "a{999999999}"]
)
def test_a_pattern_that_would_fill_the_memory_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_regexp(pattern)


def test_a_pattern_that_takes_too_long_is_given_up() -> None:
    started = time.process_time()
    with pytest.raises(PatternTimeout):
        matches(r"(x+x+)+y", "x" * 5_000, Stopwatch(0.1))
    assert time.process_time() - started < 20


def test_groups_that_took_no_part_are_none() -> None:
    regexp = compile_regexp("(a)|(b)")
    assert [match.groups for match in regexp.find_all("ab", Stopwatch())] == [
        ("a", None),
        (None, "b"),
    ]
