"""The characters of a JavaScript pattern: escapes, names, counts; no grammar."""

from __future__ import annotations

from dataclasses import dataclass

from app.values.patterns import PatternError

_CONTROLS = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_OCTAL = frozenset("01234567")


def literal(char: str) -> str:
    """Write one character so that the `regex` package sees nothing else in it."""
    if char.isascii() and char.isalnum():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


@dataclass(slots=True)
class Scanner:
    """A place in a pattern. `unicode` makes it as strict as JavaScript is with the flag u."""

    source: str
    unicode: bool
    position: int = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= len(self.source)

    def next(self) -> str:
        """The next character, which must be there."""
        if self.at_end:
            raise PatternError("it ends too soon")
        self.position += 1
        return self.source[self.position - 1]

    def take(self, text: str) -> bool:
        """Step over `text` if it comes next."""
        if not self.source.startswith(text, self.position):
            return False
        self.position += len(text)
        return True

    def take_until(self, end: str) -> str | None:
        """Step over `end` and give what stands before it; None, and no step, if it never comes."""
        before, found, _ = self.source[self.position :].partition(end)
        if not found:
            return None
        self.position += len(before) + len(end)
        return before

    def bounds(self) -> tuple[int, int | None] | None:
        """Step over the `2,5}` of a repeat; None, and no step, where it isn't one."""
        start = self.position
        low, comma, high = (self.take_until("}") or "").partition(",")
        if not _is_digits(low) or not (high == "" or _is_digits(high)):
            self.position = start
            return None
        if not comma:
            return int(low[:9]), int(low[:9])
        return int(low[:9]), int(high[:9]) if high else None

    def reference(self, first: str, groups: int) -> int | None:
        """The number of the group that digits after a backslash mean; None if a character."""
        end = self.position
        while _is_digits(self.source[end : end + 1]):
            end += 1
        digits = first + self.source[self.position : end]
        if len(digits) < 6 and int(digits) <= groups:
            self.position = end
            return int(digits)
        if self.unicode:
            raise PatternError("a reference has no group")
        return None

    def property(self, letter: str) -> str:
        r"""The rest of `\p{…}`; the `regex` package knows the same names."""
        name = self.take_until("}") if self.take("{") else None
        if name is None or not name.replace("_", "").replace("=", "").isalnum():
            raise PatternError("a property escape has no valid name")
        return f"\\{letter}{{{name}}}"

    def character(self, char: str) -> str:
        """The single character that an escape means; `char` is what follows the backslash."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c":
            return self._control()
        if char == "x":
            return self._hex(2) or self._identity(char)
        if char == "u":
            return self._code_point() or self._identity(char)
        return self._octal(char) if char in _OCTAL else self._identity(char)

    def _identity(self, char: str) -> str:
        if self.unicode and char not in _SYNTAX:
            raise PatternError(f"'\\{char}' means nothing")
        return char

    def _control(self) -> str:
        letter = self.source[self.position : self.position + 1]
        if letter.isascii() and letter.isalpha():
            self.position += 1
            return chr(ord(letter) % 32)
        if self.unicode:
            raise PatternError("a control escape has no letter")
        self.position -= 1
        return "\\"

    def _hex(self, length: int) -> str | None:
        digits = self.source[self.position : self.position + length]
        if len(digits) < length or not _is_hex(digits):
            return None
        self.position += length
        return chr(int(digits, 16))

    def _code_point(self) -> str | None:
        if self.unicode and self.take("{"):
            digits = self.take_until("}") or ""
            if not _is_hex(digits) or int(digits, 16) > 0x10FFFF:
                raise PatternError("a code point is out of range")
            return chr(int(digits, 16))
        first = self._hex(4)
        return self._pair(first) if first and self.unicode else first

    def _pair(self, first: str) -> str:
        """With `unicode`, two escaped surrogates are one character."""
        start = self.position
        if "\ud800" <= first <= "\udbff" and self.take("\\u"):
            second = self._hex(4)
            if second and "\udc00" <= second <= "\udfff":
                return chr(0x10000 + ((ord(first) - 0xD800) << 10) + ord(second) - 0xDC00)
        self.position = start
        return first

    def _octal(self, first: str) -> str:
        digits = first
        while len(digits) < 3 and self.source[self.position : self.position + 1] in _OCTAL:
            if int(digits + self.source[self.position], 8) > 0o377:
                break
            digits += self.next()
        if self.unicode and (digits != "0" or _is_digits(self.source[self.position :][:1])):
            raise PatternError("a number follows a backslash")
        return chr(int(digits, 8))


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_hex(text: str) -> bool:
    return text != "" and all(char in "0123456789abcdefABCDEF" for char in text)
