"""Queries in Lucene's language against JSON values: which items does one describe?

`luqum` reads the query; here its tree becomes a predicate. As in Lucene, case doesn't matter, a
term is found among the words of a text, and of terms without an operator one must hold, unless
`+` or `-` says more. Unlike Lucene, `NOT a` alone describes whatever isn't a.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from luqum import tree  # type: ignore[import-untyped]
from luqum.exceptions import ParseError  # type: ignore[import-untyped]
from luqum.thread import parse  # type: ignore[import-untyped]

from app.values.lucene_terms import (
    Leaf,
    between,
    is_like_word,
    is_near,
    is_phrase,
    is_word,
    matches_pattern,
)
from app.values.patterns import PatternError, Stopwatch
from app.values.ports import Value

#: Characters of a query, and levels of brackets in it: building the predicate recurses.
MAX_LENGTH = 10_000
MAX_NESTING = 50

Predicate = Callable[[Value], bool]
LeafTest = Callable[[Leaf], bool]

#: Lucene's other spellings of AND, OR and NOT, but not inside quotes.
_SIGNS = re.compile(r'"(?:\\.|[^"\\])*"|&&|\|\||(?<![^\s(])!(?=[^\s=])')
_WORDS = {"&&": " AND ", "||": " OR ", "!": "NOT "}


class QueryError(ValueError):
    """The query can't be read; the message says why."""


def compile_query(query: str) -> Predicate:
    """Make a query a predicate on items; raises QueryError.

    An empty query describes everything. The predicate raises PatternTimeout where a regular
    expression of the query takes too long.
    """
    if len(query) > MAX_LENGTH:
        raise QueryError(f"it is longer than {MAX_LENGTH} characters")
    if not query.strip():
        return lambda _: True
    try:
        parsed = parse(_SIGNS.sub(lambda sign: _WORDS.get(sign[0], sign[0]), query))
    except ParseError as error:
        raise QueryError(str(error)) from error
    return _Compiler(Stopwatch()).predicate(parsed, None, 0)


class _Compiler:
    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def predicate(self, node: tree.Item, field: str | None, depth: int) -> Predicate:
        if depth > MAX_NESTING:
            raise QueryError(f"it is nested deeper than {MAX_NESTING} levels")
        match node:
            case tree.SearchField():
                return self._in_field(node, field, depth)
            case tree.BaseGroup() | tree.Boost() | tree.Plus():
                return self.predicate(node.children[0], field, depth + 1)
            case tree.Not() | tree.Prohibit():
                return _none_of([self.predicate(node.children[0], field, depth + 1)])
            case tree.UnknownOperation():
                return self._unconnected(node.children, field, depth)
            case tree.AndOperation() | tree.OrOperation():
                parts = [self.predicate(child, field, depth + 1) for child in node.children]
                return _all_of(parts) if isinstance(node, tree.AndOperation) else _any_of(parts)
            case _:
                return _leaf_predicate(field, self._test(node))

    def _in_field(self, node: tree.SearchField, outer: str | None, depth: int) -> Predicate:
        content = node.expr
        if outer is not None:
            # `time:12:30` is read as a field in a field, and means the text 12:30.
            return _leaf_predicate(outer, is_word(f"{node.name}:{_text(content)}"))
        if node.name == "_exists_":
            return _leaf_predicate(_text(content), _is_present)
        if isinstance(content, tree.Prohibit) and isinstance(content.a, tree.Word):
            return _leaf_predicate(node.name, is_word(_text(content)))
        return self.predicate(content, None if node.name == "*" else node.name, depth + 1)

    def _unconnected(self, nodes: Sequence[tree.Item], field: str | None, depth: int) -> Predicate:
        required: list[Predicate] = []
        optional: list[Predicate] = []
        for node in nodes:
            strict = isinstance(node, tree.Plus | tree.Prohibit | tree.Not)
            (required if strict else optional).append(self.predicate(node, field, depth + 1))
        if optional and not any(isinstance(node, tree.Plus) for node in nodes):
            required.append(_any_of(optional))
        return _all_of(required)

    def _test(self, node: tree.Item) -> LeafTest:
        match node:
            case tree.Word():
                return _word_test(node)
            case tree.Phrase():
                return is_phrase(_text(node))
            case tree.Regex():
                return self._regex_test(node.value[1:-1])
            case tree.Fuzzy():
                return is_like_word(_text(node.term), float(node.degree))
            case tree.Proximity():
                return is_near(_text(node.term), int(node.degree))
            case _:
                return _range_test(node)

    def _regex_test(self, source: str) -> LeafTest:
        try:
            return matches_pattern(source, self._stopwatch)
        except PatternError as error:
            raise QueryError(str(error)) from error


def _range_test(node: tree.Item) -> LeafTest:
    match node:
        case tree.Range():
            return between(_text(node.low), _text(node.high), node.include_low, node.include_high)
        case tree.From():
            return between(_text(node.a), "*", low_counts=node.include)
        case tree.To():
            return between("*", _text(node.a), high_counts=node.include)
        case _:
            raise QueryError(f"it has a {type(node).__name__}, which isn't supported")


def _word_test(node: tree.Word) -> LeafTest:
    if node.is_wildcard():
        return _is_present
    return is_word(node.value.removeprefix("="), wildcards=node.has_wildcard())


def _text(node: tree.Item) -> str:
    """What a term says; a minus in front of a number is read as an operator."""
    if isinstance(node, tree.Prohibit):
        return f"-{_text(node.a)}"
    if isinstance(node, tree.Phrase):
        return str(node.unescaped_value)[1:-1]
    if isinstance(node, tree.Word):
        return str(node.unescaped_value)
    raise QueryError(f"it has a {type(node).__name__} where only a term can stand")


def _leaf_predicate(field: str | None, test: LeafTest) -> Predicate:
    if field is None:
        return lambda item: any(map(test, _leaves(item)))
    steps = field.split(".")
    return lambda item: any(map(test, _values(item, steps)))


def _values(item: Value, steps: list[str]) -> Iterator[Leaf]:
    """What stands at a path; arrays are entered, on the way and at its end."""
    if isinstance(item, list):
        for part in item:
            yield from _values(part, steps)
    elif not steps:
        # An object at the end has no text of its own, but it exists.
        yield "" if isinstance(item, dict) else item
    elif isinstance(item, dict):
        whole = ".".join(steps)
        if whole in item and len(steps) > 1:
            yield from _values(item[whole], [])
        if steps[0] in item:
            yield from _values(item[steps[0]], steps[1:])


def _leaves(value: Value) -> Iterator[Leaf]:
    pending: list[Any] = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
        else:
            yield part


def _is_present(leaf: Leaf) -> bool:
    return leaf is not None


def _all_of(parts: list[Predicate]) -> Predicate:
    return lambda item: all(part(item) for part in parts)


def _any_of(parts: list[Predicate]) -> Predicate:
    return lambda item: any(part(item) for part in parts)


def _none_of(parts: list[Predicate]) -> Predicate:
    return lambda item: not any(part(item) for part in parts)
