"""Nodes on numbers and texts."""

from __future__ import annotations

from typing import Annotated

from app.errors import NodeError
from app.nodes.sdk import Port, node
from app.values.javascript import number_to_text, to_exponential, to_fixed, utf16_length

CATEGORY = "data"

#: Decimal places that JavaScript writes at most.
MAX_PLACES = 100


@node("NumberToStringNode", category=CATEGORY, effects=False, tags=("number", "text", "convert"))
def number_to_string(
    number: float = 0,
    decimal_places: Annotated[float, Port("decimalPlaces", required=True)] = -1,
    exponential: bool | None = False,
) -> Annotated[str, Port("text", default="")]:
    """Writes a number as a text.

    Ports: `number` to write, `decimalPlaces` how many (-1: as it is), `exponential` writes
    1234.5 as 1.2345e+3, `text` the number.
    """
    places = int(decimal_places)
    if places > MAX_PLACES:
        raise NodeError(f"decimalPlaces is {places}, and {MAX_PLACES} are possible")
    if exponential:
        return to_exponential(number, places if places >= 0 else None)
    return to_fixed(number, places) if places >= 0 else number_to_text(number)


@node("StringLengthNode", category=CATEGORY, effects=False, in_place=True, tags=("text", "length"))
def string_length(
    text: str = "",
) -> Annotated[int, Port("length", default=0, required=True)]:
    """Counts the characters of a text.

    Ports: `text` to count, `length` in UTF-16 units, as JavaScript counts.
    """
    return utf16_length(text)


@node("TextSearchNode", category=CATEGORY, effects=False, tags=("text", "search"))
def text_search(
    source_text: Annotated[str, Port("sourceText")] = "",
    search_text: Annotated[str, Port("searchText")] = "",
) -> Annotated[bool, Port("result", default=False)]:
    """Tells whether a text contains another, whatever the case of their letters.

    Ports: `sourceText` is looked through, `searchText` is looked for (an empty one is found
    everywhere), `result` whether it was found.
    """
    return search_text.lower() in source_text.lower()
