"""Writes a value as YAML 1.2 in block style, as the `yaml` package for JavaScript does.

Lines are never folded: a text of one line stays on it, one of several becomes a block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from app.values.javascript import number_to_text
from app.values.ports import Value

STEP = "  "

#: Characters of a key; a longer one must be announced by a question mark (YAML 1.2, 8.2.2).
MAX_IMPLICIT_KEY = 1024

#: What a plain text must not hold: indicators, comments, blanks at an end, tabs (which some
#: readers refuse).
_UNPLAIN = re.compile(r"""^[\n ,\[\]{}#&*!|>'"%@`]|^[?-]\Z|^[?-] |[\n:] | \n|[\n ]#|\t|[\n :]\Z""")
#: What would be read as null, a boolean or a number.
_OTHER_TYPE = re.compile(
    r"""(?:~|[Nn]ull|NULL)?|[Tt]rue|TRUE|[Ff]alse|FALSE
    |0o[0-7]+|[-+]?[0-9]+|0x[0-9a-fA-F]+
    |[-+]?\.(?:inf|Inf|INF)|\.nan|\.NaN|\.NAN
    |[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?""",
    re.VERBOSE,
)
_DOCUMENT_MARK = re.compile(r"^(?:%|---|\.\.\.)", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_STARTS_BLANK = re.compile(r"\n* ")
_BLANK_LAST_LINE = re.compile(r"\n[\t ]+\Z")
_ESCAPES = {"\0": "\\0", "\a": "\\a", "\v": "\\v", "\x1b": "\\e", "\x85": "\\N"}


def to_yaml(value: Value, *, quote: bool = False, directives: bool = False) -> str:
    """Write a value; `quote` puts every text in quotes, `directives` a header before it."""
    text = "\n".join(_lines(value, "", quote)) + "\n"
    return f"%YAML 1.2\n---\n{text}" if directives else text


def _lines(value: Value, indent: str, quote: bool) -> Iterator[str]:
    """The lines of a node; the first is without its indent, the caller has written that."""
    if isinstance(value, dict) and value:
        yield from _joined(
            (_entry(key, item, indent, quote) for key, item in value.items()), indent
        )
    elif isinstance(value, list) and value:
        yield from _joined((_item(item, indent, quote) for item in value), indent)
    else:
        yield _scalar(value, indent, quote)


def _joined(entries: Iterator[Iterator[str]], indent: str) -> Iterator[str]:
    for at, entry in enumerate(entries):
        for line_number, line in enumerate(entry):
            yield line if at == 0 or line_number else indent + line


def _item(item: Value, indent: str, quote: bool) -> Iterator[str]:
    first, *rest = _lines(item, indent + STEP, quote)
    yield f"- {first}"
    yield from rest


def _entry(key: str, item: Value, indent: str, quote: bool) -> Iterator[str]:
    name = _key(key, quote)
    if len(key) > MAX_IMPLICIT_KEY:
        yield f"? {name}"
        name = indent
    if isinstance(item, dict | list) and item:
        inner = indent + STEP
        first, *rest = _lines(item, inner, quote)
        yield f"{name}:"
        yield inner + first
        yield from rest
    else:
        yield f"{name}: {_scalar(item, indent + STEP, quote)}"


def _scalar(value: Value, indent: str, quote: bool) -> str:
    if isinstance(value, str):
        return _text(value, indent, quote)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return number_to_text(value)


def _key(key: str, quote: bool) -> str:
    if quote or _CONTROL.search(key):
        return _double_quoted(key)
    if "\n" in key or not _is_plain(key) or _DOCUMENT_MARK.search(key):
        return _quoted(key)
    return key


def _text(text: str, indent: str, quote: bool) -> str:
    if quote or _CONTROL.search(text):
        return _double_quoted(text)
    if "\n" in text:
        # A block can't end in blanks, nor hold nothing else.
        is_blank = not text.strip() or _BLANK_LAST_LINE.search(text)
        return _quoted(text) if is_blank else _block(text, indent)
    if not _is_plain(text):
        return _quoted(text)
    if not indent and _DOCUMENT_MARK.search(text):
        return _block(text, indent)
    return text


def _is_plain(text: str) -> bool:
    return not _UNPLAIN.search(text) and not _OTHER_TYPE.fullmatch(text)


def _quoted(text: str) -> str:
    if '"' in text and "'" not in text and "\n" not in text:
        return f"'{text}'"
    return _double_quoted(text)


def _double_quoted(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return _CONTROL.sub(_escaped, re.sub(r"\\u00([0-9a-f]{2})", _unescaped, written))


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _block(text: str, indent: str) -> str:
    """A literal block: an indicator of its indent and its end, then the lines as they are."""
    body = text.rstrip("\n\t ")
    end = text[len(body) :]
    if "\n" not in end:
        chomp = "-"
    elif not body or end.index("\n") != len(end) - 1:
        chomp = "+"
    else:
        chomp = ""
    starts_blank = _STARTS_BLANK.match(body) is not None
    # Some readers take a block without an indent, at the root, for the end of the document.
    margin = indent or STEP
    header = f"|{len(STEP) if starts_blank else ''}{chomp}\n"
    return header + margin + _indented(body + end.removesuffix("\n"), margin)


def _indented(text: str, margin: str) -> str:
    return re.sub(r"\n+(?!\n|\Z)", lambda newlines: newlines[0] + margin, text)
