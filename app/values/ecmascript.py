"""JavaScript's regular expressions, written anew for the `regex` package.

Only the pattern is translated here; `app.values.regexp` compiles and runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.values.ecmascript_scanner import Scanner, literal
from app.values.patterns import PatternError
from app.values.utf16 import units

#: Characters; longer patterns are refused.
MAX_PATTERN_LENGTH = 10_000

#: Groups within groups; the compiler recurses into them.
MAX_DEPTH = 50

#: Single matchers once counted repeats are written out: the compiler does write them out, and
#: `((a{1000}){1000}){1000}` would fill the memory before any time limit could stop it.
MAX_SIZE = 100_000

#: No finite count of a repeat may be larger.
_MAX_REPEAT = 100_000

_NEWLINES = r"\n\r\u2028\u2029"
_SPACES = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NOT_SPACES = (
    r"\x00-\x08\x0e-\x1f!-\u009f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e"
    r"\u2030-\u205e\u2060-\u2fff\u3001-\ufefe\uff00-\U0010ffff"
)
_WORD = "0-9A-Za-z_"

#: What the class escapes hold, as the inside of a set. JavaScript's `\d` and `\w` are ASCII.
_CLASSES = {
    "d": "0-9",
    "D": r"\x00-/:-\U0010ffff",
    "w": _WORD,
    "W": r"\x00-/:-@\[-\^`\{-\U0010ffff",
    "s": _SPACES,
    "S": _NOT_SPACES,
}
#: The same where case is ignored: ſ and the Kelvin sign are no word characters, but to the
#: `regex` package they are s and k, which would then be none either.
_FOLDED_CLASSES = {**_CLASSES, "W": r"\x00-/:-@\[-\^`\{-\u017e\u0180-\u2129\u212b-\U0010ffff"}
_AT_EDGE = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_OFF_EDGE = f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_OPENERS = ("(?:", "(?=", "(?!", "(?<=", "(?<!")


@dataclass(frozen=True, slots=True)
class Flags:
    """JavaScript's flags i, m, s and u."""

    ignore_case: bool = False
    multiline: bool = False
    dot_all: bool = False
    unicode: bool = False


@dataclass(frozen=True, slots=True)
class Translation:
    """A pattern for the `regex` package, and the numbers of its named groups."""

    pattern: str
    names: Mapping[str, int]


def translate(source: str, flags: Flags) -> Translation:
    r"""Write a JavaScript pattern for the `regex` package.

    Without the flag u, the translation matches texts as UTF-16 units (app.values.utf16).
    Raises PatternError. Known difference: a group inside a repeat keeps what an earlier round
    captured, where JavaScript forgets it; ſ and the Kelvin sign count as `\w` when case is ignored.
    """
    if len(source) > MAX_PATTERN_LENGTH:
        raise PatternError(f"it is longer than {MAX_PATTERN_LENGTH} characters")
    names, groups = _survey(source)
    text = source if flags.unicode else units(source)
    translator = _Translator(Scanner(text, flags.unicode), flags, names, groups)
    return Translation(translator.run(), names)


def _survey(source: str) -> tuple[dict[str, int], int]:
    """The named groups' numbers and the count of groups: references may point forward."""
    names: dict[str, int] = {}
    groups = position = 0
    in_class = False
    while position < len(source):
        char = source[position]
        if char == "\\":
            position += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(" and _captures(source, position):
            groups += 1
            if source.startswith("(?<", position):
                _enter_name(names, source, position + 3, groups)
        position += 1
    return names, groups


def _captures(source: str, position: int) -> bool:
    if not source.startswith("(?", position):
        return True
    return source.startswith("(?<", position) and source[position + 3 : position + 4] not in "=!"


def _enter_name(names: dict[str, int], source: str, start: int, number: int) -> None:
    name = source[start : source.find(">", start)] if ">" in source[start:] else ""
    if not name.replace("$", "_").isidentifier():
        raise PatternError("a group has an invalid name")
    if name in names:
        raise PatternError(f"two groups have the name '{name}'")
    names[name] = number


@dataclass(slots=True)
class _Group:
    """An open group: its number (None: it doesn't capture), opener and size so far."""

    number: int | None
    opener: str
    size: int = 0


@dataclass(slots=True)
class _Translator:
    scan: Scanner
    flags: Flags
    names: Mapping[str, int]
    groups: int
    opened: int = 0
    out: list[str] = field(default_factory=list)
    stack: list[_Group] = field(default_factory=lambda: [_Group(None, "")])
    #: The size of what a quantifier would repeat; None where there is nothing to repeat.
    last: int | None = None

    def run(self) -> str:
        while not self.scan.at_end:
            self._term()
        if len(self.stack) > 1:
            raise PatternError("a group isn't closed")
        return "".join(self.out)

    def _term(self) -> None:
        char = self.scan.next()
        match char:
            case "(":
                self._open()
            case ")":
                self._close()
            case "*" | "+" | "?":
                self._quantify(char, 1)
            case "{":
                self._brace()
            case "^" | "$" | "|":
                self._assertion(self._edge(char))
            case "\\":
                self._escape()
            case _:
                self._atom(self._single(char))

    def _edge(self, char: str) -> str:
        if char == "|":
            return char
        if char == "^":
            return f"(?<![^{_NEWLINES}])" if self.flags.multiline else r"\A"
        return f"(?![^{_NEWLINES}])" if self.flags.multiline else r"\Z"

    def _single(self, char: str) -> str:
        if char == "[":
            return self._set()
        if char == ".":
            return "." if self.flags.dot_all else f"[^{_NEWLINES}]"
        if self.scan.unicode and char in "]}":
            raise PatternError(f"'{char}' stands alone")
        return literal(char)

    def _atom(self, pattern: str, size: int = 1) -> None:
        self.out.append(pattern)
        self._grow(size)
        self.last = size

    def _assertion(self, pattern: str) -> None:
        self.out.append(pattern)
        self._grow(1)
        self.last = None

    def _grow(self, size: int) -> None:
        self.stack[-1].size += size
        if self.stack[-1].size > MAX_SIZE:
            raise PatternError("its repeats are too large")

    def _open(self) -> None:
        start = self.scan.position - 1
        if len(self.stack) > MAX_DEPTH:
            raise PatternError(f"its groups are nested deeper than {MAX_DEPTH}")
        if _captures(self.scan.source, start):
            self.opened += 1
            if self.scan.take("?<"):
                self.scan.take_until(">")
            group = _Group(self.opened, "(")
        else:
            group = _Group(None, self._opener(start))
        self.stack.append(group)
        self.out.append(group.opener)
        self.last = None

    def _opener(self, start: int) -> str:
        for opener in _OPENERS:
            if self.scan.source.startswith(opener, start):
                self.scan.position = start + len(opener)
                return opener
        raise PatternError("a group begins in an unknown way")

    def _close(self) -> None:
        if len(self.stack) == 1:
            raise PatternError("a ')' has no '('")
        group = self.stack.pop()
        self._atom(")", group.size + 1)
        if group.opener in ("(?<=", "(?<!") or (
            self.scan.unicode and group.opener in ("(?=", "(?!")
        ):
            self.last = None

    def _brace(self) -> None:
        bounds = self.scan.bounds()
        if bounds is None:
            if self.scan.unicode:
                raise PatternError("a '{' stands alone")
            self._atom(literal("{"))
            return
        low, high = bounds
        if high is not None and low > high:
            raise PatternError("a repeat's bounds are the wrong way round")
        if max(low, high or 0) > _MAX_REPEAT:
            raise PatternError("its repeats are too large")
        last = "" if high is None else str(high)
        self._quantify(f"{{{low},{last}}}", max(low, high or 0, 1))

    def _quantify(self, pattern: str, times: int) -> None:
        if self.last is None:
            raise PatternError("there is nothing to repeat")
        self._grow(self.last * (times - 1))
        self.out.append(pattern + ("?" if self.scan.take("?") else ""))
        self.last = None

    def _escape(self) -> None:
        char = self.scan.next()
        if char in "bB":
            self._assertion(_AT_EDGE if char == "b" else _OFF_EDGE)
        elif char in _CLASSES:
            self._atom(f"[{self._class(char)}]")
        elif char in "pP" and self.scan.unicode:
            self._atom(self.scan.property(char))
        elif char == "k" and (self.names or self.scan.unicode):
            self._reference(self._named())
        elif char in "123456789" and (number := self.scan.reference(char, self.groups)):
            self._reference(number)
        else:
            self._atom(literal(self.scan.character(char)))

    def _class(self, char: str) -> str:
        return (_FOLDED_CLASSES if self.flags.ignore_case else _CLASSES)[char]

    def _named(self) -> int:
        name = self.scan.take_until(">") if self.scan.take("<") else None
        if name is None or name not in self.names:
            raise PatternError("a reference names no group")
        return self.names[name]

    def _reference(self, number: int) -> None:
        """A reference to what hasn't matched (yet) matches the empty text, unlike in Python."""
        if any(group.number == number for group in self.stack) or number > self.opened:
            self._atom("(?:)")
        else:
            self._atom(f"(?:(?({number})\\{number}|))")

    def _set(self) -> str:
        negated = self.scan.take("^")
        items: list[str] = []
        while not self.scan.take("]"):
            items.append(self._set_item())
        if not items:
            return "." if negated else "(?!)"
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _set_item(self) -> str:
        low = self._set_member()
        rest = self.scan.source[self.scan.position : self.scan.position + 2]
        if not rest.startswith("-") or rest in ("-", "-]"):
            return _member(low)
        self.scan.position += 1
        high = self._set_member()
        if len(low) > 1 or len(high) > 1:
            if self.scan.unicode:
                raise PatternError("a range has no single characters at its ends")
            return _member(low) + literal("-") + _member(high)
        if low > high:
            raise PatternError("a range is the wrong way round")
        return f"{literal(low)}-{literal(high)}"

    def _set_member(self) -> str:
        """One character, or the inside of a set (longer than one character)."""
        if self.scan.at_end:
            raise PatternError("a '[' isn't closed")
        char = self.scan.next()
        if char != "\\":
            return char
        char = self.scan.next()
        if char in _CLASSES:
            return self._class(char)
        if char in "pP" and self.scan.unicode:
            return self.scan.property(char)
        if char == "-":
            return char
        return "\b" if char == "b" else self.scan.character(char)


def _member(member: str) -> str:
    return literal(member) if len(member) == 1 else member
