"""What a single term of a Lucene query says of a single JSON value without parts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from app.values.ecmascript import Flags
from app.values.javascript import to_number, to_text
from app.values.patterns import Stopwatch
from app.values.regexp import compile_regexp

Leaf = str | float | bool | None
LeafTest = Callable[[Leaf], bool]

#: Changed letters that `term~` forgives, and the longest words that are compared so.
DEFAULT_EDITS = 2
MAX_FUZZY_LENGTH = 64

_WORD = re.compile(r"\w+")
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def is_word(term: str, *, wildcards: bool = False) -> LeafTest:
    """The value is the term, or a text with the term's words in a row."""
    if wildcards:
        return _is_like_pattern(term)
    name, number, phrase = term.lower(), _number(term), is_phrase(term)

    def test(leaf: Leaf) -> bool:
        if leaf is None or isinstance(leaf, bool):
            return name in _CONSTANTS and _CONSTANTS[name] is leaf
        return phrase(leaf) if isinstance(leaf, str) else leaf == number

    return test


def is_phrase(phrase: str) -> LeafTest:
    """The value as a text is the phrase, or has its words in a row."""
    whole, wanted = phrase.casefold(), words(phrase)

    def test(leaf: Leaf) -> bool:
        text = to_text(leaf).casefold()
        if text == whole:
            return True
        return bool(wanted) and any(
            window == wanted for window in _windows(words(text), len(wanted))
        )

    return test


def is_near(phrase: str, slop: int) -> LeafTest:
    """The phrase's words stand together, in any order, with at most `slop` others between."""
    wanted = set(words(phrase))
    return lambda leaf: any(
        wanted <= set(window) for window in _windows(words(to_text(leaf)), len(wanted) + slop)
    )


def is_like_word(term: str, degree: float) -> LeafTest:
    """A word of the value differs from the term by a few letters: `degree` of them, if whole."""
    edits = int(degree) if degree >= 1 else DEFAULT_EDITS
    wanted = term.casefold()
    return lambda leaf: any(_within(word, wanted, edits) for word in words(to_text(leaf)))


def matches_pattern(source: str, stopwatch: Stopwatch) -> LeafTest:
    """A regular expression matches in the value as a text; raises PatternError."""
    regexp = compile_regexp(source, Flags(ignore_case=True))
    return lambda leaf: (
        next(regexp.find_all(regexp.prepare(to_text(leaf)), stopwatch), None) is not None
    )


def between(low: str, high: str, low_counts: bool = True, high_counts: bool = True) -> LeafTest:
    """The value lies between the bounds, of which `*` is none: as a number where both are one."""
    above, below = _bound(low), _bound(high)

    def test(leaf: Leaf) -> bool:
        if leaf is None or isinstance(leaf, bool):
            return False
        return (above is None or _is_ordered(above, leaf, low_counts, 1)) and (
            below is None or _is_ordered(below, leaf, high_counts, -1)
        )

    return test


def words(text: str) -> list[str]:
    """A text's words, without regard to case."""
    return _WORD.findall(text.casefold())


def _is_like_pattern(term: str) -> LeafTest:
    pattern = re.compile(_wildcard_pattern(term.casefold()), re.DOTALL)

    def test(leaf: Leaf) -> bool:
        text = "" if leaf is None else to_text(leaf).casefold()
        return any(map(pattern.fullmatch, (text, *words(text))))

    return test


def _wildcard_pattern(term: str) -> str:
    # The first place for each part is as good as any later one, so none is tried twice: the
    # atomic groups keep the time linear, however many stars there are.
    first, *others = _parts(term)
    if not others:
        return first
    middle = "".join(f"(?>.*?{part})" for part in others[:-1])
    return f"{first}{middle}.*{others[-1]}"


def _parts(term: str) -> Iterator[str]:
    """The patterns between the stars of a term; a backslash takes a sign its meaning."""
    part = ""
    signs = iter(term)
    for sign in signs:
        if sign == "*":
            yield part
            part = ""
        elif sign == "?":
            part += "."
        else:
            part += re.escape(next(signs, sign) if sign == "\\" else sign)
    yield part


def _windows(items: list[str], width: int) -> Iterator[list[str]]:
    for start in range(max(len(items) - width, 0) + 1):
        yield items[start : start + width]


def _within(left: str, right: str, edits: int) -> bool:
    """Whether so many letters inserted, deleted or replaced turn one word into the other."""
    if abs(len(left) - len(right)) > edits or max(len(left), len(right)) > MAX_FUZZY_LENGTH:
        return False
    row = list(range(len(right) + 1))
    for at, letter in enumerate(left, 1):
        above, row = row, [at]
        for column, other in enumerate(right, 1):
            changed = above[column - 1] + (letter != other)
            row.append(min(changed, above[column] + 1, row[-1] + 1))
    return row[-1] <= edits


def _number(text: str) -> float | None:
    number = to_number(text) if text.strip() else math.nan
    return None if math.isnan(number) else number


def _bound(text: str) -> tuple[float | None, str] | None:
    return None if text == "*" else (_number(text), text.casefold())


def _is_ordered(
    bound: tuple[float | None, str], leaf: str | float, counts: bool, direction: int
) -> bool:
    """Whether the value lies on the bound's right side: 1 above it, -1 below."""
    number, text = bound
    value = leaf if isinstance(leaf, int | float) else _number(leaf)
    if number is not None and value is not None:
        order = (value > number) - (value < number)
    else:
        own = to_text(leaf).casefold()
        order = (own > text) - (own < text)
    return order == direction or (order == 0 and counts)
