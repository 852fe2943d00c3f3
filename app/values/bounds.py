"""The bounds of a port: lengths, ranges, patterns, options; the type is right already."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.values.patterns import TIME_LIMIT_S, PatternError, PatternTimeout, Stopwatch
from app.values.ports import PortConfig, PortType, Value
from app.values.regexp import compile_regexp, matches

#: Characters of a text that messages show.
MAX_SHOWN = 200


class PatternTime:
    """The time that all patterns of one value, or of one document, may take together.

    Only compiling and matching count, and not what is done between two patterns.
    """

    def __init__(self, limit_s: float = TIME_LIMIT_S) -> None:
        self._left_s = limit_s

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the pattern matches; raises PatternError, PatternTimeout."""
        with self._counted() as stopwatch:
            return matches(pattern, text, stopwatch)

    def check(self, pattern: str) -> None:
        """Raise PatternError if it is no pattern, PatternTimeout if there is no time left."""
        with self._counted() as stopwatch:
            stopwatch.left_s()
            compile_regexp(pattern)

    @contextmanager
    def _counted(self) -> Iterator[Stopwatch]:
        begun_at = time.thread_time()
        try:
            yield Stopwatch(self._left_s)
        finally:
            self._left_s -= time.thread_time() - begun_at


class Bounds:
    """Looks at the parts of values; what it learns of a config is learnt once.

    Whoever checks many values of few ports shares one between them: an enum may have more
    options than there are values.
    """

    def __init__(self, pattern_time: PatternTime) -> None:
        self._pattern_time = pattern_time
        # By identity; the config is kept along, so that no other one takes its place in memory.
        self._options: dict[int, tuple[PortConfig, frozenset[Value]]] = {}
        self._required: dict[int, tuple[PortConfig, tuple[str, ...]]] = {}

    def broken_by(self, config: PortConfig, value: Value) -> str | None:
        """What bound a value breaks, as a clause, or None."""
        match config.type:
            case PortType.STRING:
                return _outside_length(config, value, "characters") or self._unmatched(
                    config.pattern, value
                )
            case PortType.NUMBER:
                return _outside_range(config, value)
            case PortType.ARRAY:
                return _outside_length(config, value, "items")
            case PortType.ENUM:
                return self._no_option(config, value)
            case _:
                return None

    def absent(self, config: PortConfig, value: dict[str, Value]) -> str | None:
        """The first property that an object must have and has not."""
        if config.type is not PortType.OBJECT or not config.properties:
            return None
        known = self._required.get(id(config))
        if known is None:
            required = tuple(name for name, part in config.properties.items() if part.required)
            known = self._required[id(config)] = (config, required)
        return next((name for name in known[1] if name not in value), None)

    def _unmatched(self, pattern: str | None, text: str) -> str | None:
        if pattern is None:
            return None
        try:
            matched = self._pattern_time.matches(pattern, text)
            return None if matched else f"must match the pattern {shortened(pattern)}"
        except (PatternError, PatternTimeout) as error:
            return f"can't be checked against the pattern {shortened(pattern)}: {error}"

    def _no_option(self, config: PortConfig, value: Value) -> str | None:
        if not config.options:
            return None
        known = self._options.get(id(config))
        if known is None:
            known = self._options[id(config)] = (config, frozenset(map(as_option, config.options)))
        if as_option(value) in known[1]:
            return None
        shown = ", ".join(shortened(str(option)) for option in config.options[:10])
        more = f" … ({len(config.options)} in all)" if len(config.options) > 10 else ""
        return f"must be one of {shown}{more}"


def shortened(text: str) -> str:
    """A text of a document as messages show it: one of megabytes may be at fault many times."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def as_option(value: Value) -> Value:
    """A plain value as something that equals no other: in Python 1 == True, in JSON not."""
    return (isinstance(value, bool), value)


def _outside_length(config: PortConfig, value: Value, unit: str) -> str | None:
    if config.min_length is not None and len(value) < config.min_length:
        return f"must have at least {config.min_length} {unit}, not {len(value)}"
    if config.max_length is not None and len(value) > config.max_length:
        return f"must have at most {config.max_length} {unit}, not {len(value)}"
    return None


def _outside_range(config: PortConfig, value: float) -> str | None:
    if config.minimum is not None and value < config.minimum:
        return f"must be at least {config.minimum:g}"
    if config.maximum is not None and value > config.maximum:
        return f"must be at most {config.maximum:g}"
    if config.integer and value != math.floor(value):
        return "must be a whole number"
    if config.step is not None and not _on_step(value, config.minimum or 0, config.step):
        return f"must go in steps of {config.step:g} from {config.minimum or 0:g}"
    return None


def _on_step(value: float, start: float, step: float) -> bool:
    # Doubles don't hit 0.1 + 0.1 + 0.1 exactly, so a billionth of a step is forgiven.
    steps = (float(value) - start) / step
    return not math.isfinite(steps) or abs(steps - round(steps)) <= 1e-9 * max(1.0, abs(steps))
