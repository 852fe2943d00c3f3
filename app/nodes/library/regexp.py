"""The node that applies a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Literal, NamedTuple, TypedDict

from app.errors import NodeError
from app.nodes.sdk import Port, node
from app.values.ecmascript import Flags
from app.values.patterns import PatternError, PatternTimeout, Stopwatch
from app.values.regexp import Match, RegExp, compile_regexp
from app.values.utf16 import characters, units

#: UTF-16 units of a result: `$'` for every letter of a long text would fill the memory.
MAX_RESULT = 10_000_000

Mode = Literal["match", "replace", "test", "extract"]

RegExpFlags = TypedDict(
    "RegExpFlags",
    {
        "global": Annotated[bool, Port(default=False, title="Global (g)")],
        "caseInsensitive": Annotated[bool, Port(default=False, title="Case-insensitive (i)")],
        "multiline": Annotated[bool, Port(default=False, title="Multi-line (m)")],
        "dotAll": Annotated[bool, Port(default=False, title="Dot-all (s)")],
        "unicode": Annotated[bool, Port(default=False, title="Unicode (u)")],
    },
    total=False,
)

_DEFAULT_FLAGS = {
    "global": True,
    "caseInsensitive": False,
    "multiline": False,
    "dotAll": False,
    "unicode": False,
}

#: `$<name>` is one only where the pattern has named groups.
_REFERENCE = re.compile(r"\$(?:([$&`'])|(\d{1,2})|<([^>]*)>)", re.ASCII)
_NAMELESS_REFERENCE = re.compile(r"\$(?:([$&`'])|(\d{1,2}))", re.ASCII)


class Findings(NamedTuple):
    """What a regular expression made of a text."""

    result: Annotated[str, Port(default="")]
    match_count: Annotated[float, Port("matchCount", default=0)]
    has_matches: Annotated[bool, Port("hasMatches", default=False)]


@node(
    "RegExpNode",
    category="utilities",
    title="Regular Expression",
    effects=False,
    tags=("text", "regex", "replace", "search"),
)
def regular_expression(
    source_text: Annotated[str, Port("sourceText", required=True)] = "",
    pattern: Annotated[str, Port(required=True)] = "",
    flags: Annotated[RegExpFlags | None, Port(default=_DEFAULT_FLAGS)] = None,
    mode: Mode | None = "match",
    replacement_text: Annotated[str | None, Port("replacementText")] = "",
    join_delimiter: Annotated[str | None, Port("joinDelimiter")] = " ",
) -> Findings:
    """Matches a text against a regular expression, in JavaScript's language.

    `match` gives what matches: everything if `global` is set, else the first. `replace` puts
    the replacement there, in which `$1`, `$<name>`, `$&`, `` $` ``, `$'` and `$$` mean the same
    as in JavaScript. `test` gives "true" or "false". `extract` gives every group of every match.
    A pattern that takes more than a second is given up.

    Ports: `sourceText` the text, `pattern` the expression without slashes, `flags` its flags,
    `mode` what to do, `replacementText` for "replace", `joinDelimiter` stands between the parts
    of a result, `result` the text, `matchCount` the matches ("extract": the groups),
    `hasMatches` whether there are any.
    """
    if not source_text:
        raise NodeError("sourceText is empty")
    if not pattern:
        raise NodeError("pattern is empty")
    try:
        search = _Search.prepare(source_text, pattern, flags or {})
        return _MODES[mode or "match"](search, replacement_text or "", join_delimiter or "")
    except PatternError as error:
        raise NodeError(f"the pattern '{pattern}' can't be read: {error}") from error
    except PatternTimeout as error:
        raise NodeError(f"{error} on this text") from error


class _Search(NamedTuple):
    """A text as the pattern wants it, and the pattern."""

    text: str
    regexp: RegExp
    is_global: bool

    @classmethod
    def prepare(cls, text: str, pattern: str, flags: RegExpFlags) -> _Search:
        regexp = compile_regexp(
            pattern,
            Flags(
                ignore_case=flags.get("caseInsensitive") or False,
                multiline=flags.get("multiline") or False,
                dot_all=flags.get("dotAll") or False,
                unicode=flags.get("unicode") or False,
            ),
        )
        return cls(regexp.prepare(text), regexp, flags.get("global") or False)

    def matches(self) -> Iterator[Match]:
        return self.regexp.find_all(self.text, Stopwatch())


def _match(search: _Search, _: str, delimiter: str) -> Findings:
    found = (search.text[match.start : match.end] for match in search.matches())
    return _joined(found if search.is_global else islice(found, 1), delimiter)


def _extract(search: _Search, _: str, delimiter: str) -> Findings:
    groups = (group for match in search.matches() for group in match.groups)
    return _joined((group for group in groups if group is not None), delimiter)


def _test(search: _Search, _replacement: str, _delimiter: str) -> Findings:
    found = next(search.matches(), None) is not None
    return Findings("true" if found else "false", int(found), found)


def _replace(search: _Search, replacement: str, _: str) -> Findings:
    template = _template(search.regexp, replacement)
    parts: list[str] = []
    position = count = size = 0
    for match in search.matches():
        count += 1
        if count > 1 and not search.is_global:
            continue
        new = _expanded(template, search.text, match)
        parts += [search.text[position : match.start], new]
        size += len(new)
        if size > MAX_RESULT:
            raise NodeError(f"the result is longer than {MAX_RESULT} characters")
        position = match.end
    result = "".join(parts) + search.text[position:]
    return Findings(characters(result), count, count > 0)


_MODES: Mapping[str, Callable[[_Search, str, str], Findings]] = {
    "match": _match,
    "replace": _replace,
    "test": _test,
    "extract": _extract,
}


def _joined(found: Iterator[str], delimiter: str) -> Findings:
    parts: list[str] = []
    size = 0
    for part in found:
        parts.append(part)
        size += len(part) + len(delimiter)
        if size > MAX_RESULT:
            raise NodeError(f"the result is longer than {MAX_RESULT} characters")
    return Findings(characters(units(delimiter).join(parts)), len(parts), bool(parts))


#: A replacement, taken apart: texts, numbers of groups, and `&`, `` ` `` and `'` by name.
_Template = list[str | int | tuple[str]]


def _template(regexp: RegExp, replacement: str) -> _Template:
    text = replacement if regexp.unicode else units(replacement)
    template: _Template = []
    position = 0
    references = _REFERENCE if regexp.names else _NAMELESS_REFERENCE
    for reference in references.finditer(text):
        template.append(text[position : reference.start()])
        template += _meaning(regexp, reference)
        position = reference.end()
    return [*template, text[position:]]


def _meaning(regexp: RegExp, reference: re.Match[str]) -> _Template:
    """What a `$…` stands for; one that names nothing is left as it is."""
    sign, digits, *names = reference.groups()
    if sign is not None:
        return ["$"] if sign == "$" else [(sign,)]
    if digits is None:
        name = names[0]
        return [regexp.names[name]] if name in regexp.names else []
    groups = regexp.compiled.groups
    if 1 <= int(digits) <= groups:
        return [int(digits)]
    if len(digits) == 2 and 1 <= int(digits[0]) <= groups:
        return [int(digits[0]), digits[1]]
    return [reference[0]]


def _expanded(template: _Template, text: str, match: Match) -> str:
    return "".join(_part(part, text, match) for part in template)


def _part(part: str | int | tuple[str], text: str, match: Match) -> str:
    match part:
        case str():
            return part
        case int():
            return match.groups[part - 1] or ""
        case ("&",):
            return text[match.start : match.end]
        case ("`",):
            return text[: match.start]
        case _:
            return text[match.end :]
