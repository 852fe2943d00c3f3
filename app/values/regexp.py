"""JavaScript's regular expressions: what ChainGraph's users write into their documents.

The interpreter's lock is released while a pattern matches, so that one which takes its whole
time limit doesn't stop the heartbeat of its process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import regex

from app.values.ecmascript import Flags, translate
from app.values.patterns import PatternError, PatternTimeout, Stopwatch
from app.values.utf16 import units


@dataclass(frozen=True, slots=True)
class Match:
    """One match: its bounds in the prepared text, and its groups (None: took no part)."""

    start: int
    end: int
    groups: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class RegExp:
    """A compiled pattern; `names` are the numbers of its named groups.

    Without `unicode` it sees texts as UTF-16 units, as JavaScript does.
    """

    compiled: regex.Pattern[str]
    names: Mapping[str, int]
    unicode: bool

    def prepare(self, text: str) -> str:
        """Give the text as `find_all` wants it; app.values.utf16.characters turns it back."""
        return text if self.unicode else units(text)

    def find_all(self, prepared: str, stopwatch: Stopwatch) -> Iterator[Match]:
        """Every match from left to right, as with the flag g; raises PatternTimeout."""
        position = 0
        while position <= len(prepared):
            found = self._search(prepared, position, stopwatch)
            if found is None:
                return
            yield Match(found.start(), found.end(), found.groups())
            # Python would look for a longer match where the empty one stood; JavaScript moves on.
            position = found.end() + (found.start() == found.end())

    def _search(
        self, prepared: str, position: int, stopwatch: Stopwatch
    ) -> regex.Match[str] | None:
        try:
            return self.compiled.search(
                prepared, position, timeout=stopwatch.left_s(), concurrent=True
            )
        except TimeoutError as error:
            raise PatternTimeout("the pattern takes too long") from error


@lru_cache(maxsize=256)
def compile_regexp(source: str, flags: Flags = Flags()) -> RegExp:  # noqa: B008 - it is frozen
    """Compile a JavaScript pattern; raises PatternError."""
    translation = translate(source, flags)
    options = regex.VERSION0 | regex.DOTALL | (regex.IGNORECASE if flags.ignore_case else 0)
    try:
        compiled = regex.compile(translation.pattern, options)
    except regex.error as error:
        raise PatternError(f"not a regular expression: {error}") from error
    return RegExp(compiled, translation.names, flags.unicode)


def matches(source: str, text: str, stopwatch: Stopwatch) -> bool:
    """Whether a pattern without flags matches somewhere in the text.

    Raises PatternError, PatternTimeout.
    """
    pattern = compile_regexp(source)
    return next(pattern.find_all(pattern.prepare(text), stopwatch), None) is not None
