"""The node that reads the clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

from app.errors import NodeError
from app.nodes.sdk import Port, node

#: Characters of a custom format: each bracket that isn't closed is looked for to the end.
MAX_FORMAT = 1_000

TimeFormat = Literal["ISO", "Locale", "Custom"]

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: Tokens of a custom format, longest first; text in brackets stands for itself.
_TOKEN = re.compile(
    r"\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|dddd|ddd|d|HH|H|hh|h|mm|m|ss|s|SSS|ZZ|Z|A|a|X|x"
)


def time_zones() -> tuple[str, ...]:
    """The names of all time zones, UTC first, from the pinned `tzdata` and not the machine's."""
    names = resources.files("tzdata").joinpath("zones").read_text("utf-8").split()
    return ("UTC", *sorted(name for name in names if name != "UTC"))


class ServerTime(NamedTuple):
    """A moment, written and counted."""

    formatted_time: Annotated[str, Port("formattedTime", default="")]
    timestamp_seconds: Annotated[float, Port("timestampSeconds", default=0)]
    timestamp_milliseconds: Annotated[float, Port("timestampMilliseconds", default=0)]


@node("ServerTimeNode", category="utilities", tags=("time", "date", "clock"))
def server_time(
    time_format: Annotated[TimeFormat | None, Port("timeFormat")] = "ISO",
    custom_format: Annotated[str | None, Port("customFormat")] = "YYYY-MM-DD HH:mm:ss",
    timezone: Annotated[str | None, Port(options=time_zones())] = "UTC",
) -> ServerTime:
    """Tells the time of the server's clock.

    Ports: `timeFormat` is "ISO" (2026-03-01T09:05:07.120Z), "Locale" (3/1/2026, 9:05:07 AM) or
    "Custom", `customFormat` consists of YYYY YY MMMM MMM MM M DD D dddd ddd d HH H hh h mm m ss s
    SSS A a Z ZZ X x and [text as it is], `timezone` is a name of the IANA's database,
    `formattedTime` the time there, `timestampSeconds` and `timestampMilliseconds` since 1970.
    """
    return describe_time(
        datetime.now(UTC), time_format or "ISO", custom_format or "", timezone or "UTC"
    )


def describe_time(moment: datetime, form: TimeFormat, custom: str, zone: str) -> ServerTime:
    """Write and count a moment; `zone` is a name of `time_zones`."""
    local = moment.astimezone(ZoneInfo(zone))
    milliseconds = int(moment.timestamp() * 1_000)
    return ServerTime(_FORMATS[form](local, custom), milliseconds // 1_000, milliseconds)


def _iso(local: datetime, _: str) -> str:
    return local.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _locale(local: datetime, _: str) -> str:
    return _custom(local, "M/D/YYYY, h:mm:ss A")


def _custom(local: datetime, form: str) -> str:
    if len(form) > MAX_FORMAT:
        raise NodeError(
            f"customFormat has {len(form)} characters; at most {MAX_FORMAT} are allowed"
        )
    return _TOKEN.sub(lambda token: _written(local, token), form)


_FORMATS: Mapping[str, Callable[[datetime, str], str]] = {
    "ISO": _iso,
    "Locale": _locale,
    "Custom": _custom,
}


def _written(local: datetime, token: re.Match[str]) -> str:
    return token[1] if token[1] is not None else _TOKENS[token[0]](local)


def _offset(local: datetime, separator: str) -> str:
    text = f"{local:%z}"
    return f"{text[:3]}{separator}{text[3:5]}"


_TOKENS: Mapping[str, Callable[[datetime], str]] = {
    "YYYY": lambda t: f"{t.year:04}",
    "YY": lambda t: f"{t.year % 100:02}",
    "MMMM": lambda t: _MONTHS[t.month - 1],
    "MMM": lambda t: _MONTHS[t.month - 1][:3],
    "MM": lambda t: f"{t.month:02}",
    "M": lambda t: f"{t.month}",
    "DD": lambda t: f"{t.day:02}",
    "D": lambda t: f"{t.day}",
    "dddd": lambda t: _DAYS[t.weekday()],
    "ddd": lambda t: _DAYS[t.weekday()][:3],
    "d": lambda t: f"{t.isoweekday() % 7}",
    "HH": lambda t: f"{t.hour:02}",
    "H": lambda t: f"{t.hour}",
    "hh": lambda t: f"{t.hour % 12 or 12:02}",
    "h": lambda t: f"{t.hour % 12 or 12}",
    "mm": lambda t: f"{t.minute:02}",
    "m": lambda t: f"{t.minute}",
    "ss": lambda t: f"{t.second:02}",
    "s": lambda t: f"{t.second}",
    "SSS": lambda t: f"{t.microsecond // 1_000:03}",
    "A": lambda t: "AM" if t.hour < 12 else "PM",
    "a": lambda t: "am" if t.hour < 12 else "pm",
    "Z": lambda t: _offset(t, ":"),
    "ZZ": lambda t: _offset(t, ""),
    "X": lambda t: f"{int(t.timestamp())}",
    "x": lambda t: f"{int(t.timestamp() * 1_000)}",
}
