"""Handlebars without HTML escaping, within a budget.

The engine renders data only: no template reaches an attribute or a function of Python. What a
small template can do is multiply, by loops inside loops; so it sees its variables through views
that count what is read of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dotpromptz_handlebars import EscapeFunction, Handlebars, HelperOptions

from app.values.javascript import number_to_text, to_json, to_text
from app.values.ports import Value
from app.values.yaml_text import to_yaml

#: Characters that a template may produce, loops counted as if they printed all of it each time.
BUDGET = 32 * 1024 * 1024

#: What a turn of a loop costs beside the text in it.
TURN_COST = 100

#: What a character of a helper's text costs: writing JSON is slower than copying.
HELPER_COST = 32

#: Tags in a template: the parser looks through the rest of it for each.
MAX_TAGS = 20_000


class TemplateError(Exception):
    """The template can't be parsed or rendered; the message says why."""


def render(template: str, variables: Mapping[str, Value], check: Callable[[], None]) -> str:
    """Render a template; `check` is called now and then, and may raise to end it.

    Raises TemplateError where the template is wrong, or would produce far too much.
    """
    if "#*inline" in template:
        # A partial that includes itself twice doubles with every level.
        raise TemplateError("partials defined in a template are not supported")
    if template.count("{{") > MAX_TAGS:
        raise TemplateError(f"it has more than {MAX_TAGS} tags")
    budget = _Budget(len(template), check)
    try:
        return _engine(budget).compile(template)(_Object(variables, budget))
    except (ValueError, RecursionError) as error:
        raise TemplateError(str(error)) from error
    except (IndexError, TypeError) as error:
        # The parser reports some malformed tags by the exception that it ran into.
        raise TemplateError("one of its tags is malformed") from error


class _Budget:
    """Counts characters down, and looks up now and then."""

    def __init__(self, template_length: int, check: Callable[[], None]) -> None:
        self._left = BUDGET
        self._turn = template_length + TURN_COST
        self._check = check

    def spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise TemplateError(f"it would produce more than {BUDGET} characters")

    def turns(self, count: int) -> None:
        self._check()
        self.spend(count * self._turn)


class _Text(str):
    """A text that is counted when it is printed."""

    __slots__ = ("budget",)
    budget: _Budget

    def __str__(self) -> str:
        self.budget.spend(len(self))
        return str.__str__(self)


class _Number(float):
    """A number that prints as JavaScript prints it."""

    def is_integer(self) -> bool:
        # Whole floats are printed as Python integers otherwise: 1e+21 would be spelt out.
        return False

    def __str__(self) -> str:
        return number_to_text(float(self))


class _Array(Sequence[Any]):
    """An array, also seen as a mapping, so that `length` and its positions can be named."""

    def __init__(self, items: list[Value], budget: _Budget) -> None:
        self.raw = items
        self._budget = budget

    def __getitem__(self, key: Any) -> Any:
        if key == "length":
            return len(self.raw)
        return _view(self.raw[int(key)], self._budget)

    def __contains__(self, key: object) -> bool:
        return key == "length" or (str(key).isdecimal() and int(str(key)) < len(self.raw))

    def __len__(self) -> int:
        return len(self.raw)

    def __iter__(self) -> Iterator[Any]:
        self._budget.turns(len(self.raw))
        return (_view(item, self._budget) for item in self.raw)

    def keys(self) -> range:
        return range(len(self.raw))

    def get(self, key: str) -> Any:
        return self[key] if key in self else None  # noqa: SIM401 - this is `get`

    def items(self) -> Iterator[tuple[int, Any]]:
        return enumerate(self)


Mapping.register(_Array)


class _Object(Mapping[str, Any]):
    """An object."""

    def __init__(self, fields: Mapping[str, Value], budget: _Budget) -> None:
        self.raw = fields
        self._budget = budget

    def __getitem__(self, key: str) -> Any:
        return _view(self.raw[key], self._budget)

    def __len__(self) -> int:
        return len(self.raw)

    def __iter__(self) -> Iterator[str]:
        self._budget.turns(len(self.raw))
        return iter(self.raw)


def _view(value: Value, budget: _Budget) -> Any:
    if isinstance(value, str):
        text = _Text(value)
        text.budget = budget
        return text
    if isinstance(value, list):
        return _Array(value, budget)
    if isinstance(value, dict):
        return _Object(value, budget)
    if isinstance(value, bool) or value is None:
        return value
    return _Number(value)


def _raw(value: Any) -> Value:
    """The value behind a view, as the serializers want it."""
    if isinstance(value, _Array):
        return value.raw
    if isinstance(value, _Object | dict):
        return {key: _raw(item) for key, item in value.items()}
    if isinstance(value, _Text):
        return str.__str__(value)
    return value


def _engine(budget: _Budget) -> Handlebars:
    engine = Handlebars(escape_fn=EscapeFunction.NO_ESCAPE)
    engine.register_helper("lookup", _lookup)
    engine.register_helper("log", lambda _arguments, _options: "")
    for name, write in _HELPERS.items():
        engine.register_helper(name, _counted(write, budget))
    return engine


def _counted(
    write: Callable[[Value], str], budget: _Budget
) -> Callable[[list[Any], HelperOptions], str]:
    def helper(arguments: list[Any], _options: HelperOptions) -> str:
        value = _raw(arguments[0]) if arguments else None
        text = "" if value is None else write(value)
        budget.spend(len(text) * HELPER_COST)
        return text

    return helper


def _lookup(arguments: list[Any], _options: HelperOptions) -> Any:
    """`lookup items 2` and `lookup object "key"`; None where there is nothing."""
    if len(arguments) < 2 or not isinstance(arguments[0], _Array | _Object):
        return None
    return arguments[0].get(to_text(_raw(arguments[1])))


_HELPERS: Mapping[str, Callable[[Value], str]] = {
    "json": to_json,
    "yaml": lambda value: to_yaml(value).removesuffix("\n"),
    "yml": lambda value: to_yaml(value).removesuffix("\n"),
    "uppercase": lambda value: to_text(value).upper(),
    "lowercase": lambda value: to_text(value).lower(),
}
