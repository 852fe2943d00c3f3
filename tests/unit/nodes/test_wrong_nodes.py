"""Whatever may be wrong with a node: the process that loads it says where and what, in a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest

from app.errors import NodeDefinitionError
from app.nodes.sdk import NodeContext, Port, RetryPolicy, node


@dataclass
class Tree:
    left: Tree
    right: Tree


@dataclass
class Lost:
    place: Nowhere  # type: ignore[name-defined]  # noqa: F821


class LostOutputs(TypedDict):
    place: Nowhere  # type: ignore[name-defined]  # noqa: F821


def parameter(annotation: Any) -> Callable[[], None]:
    """What defines a node with a parameter of this type."""

    def define() -> None:
        kind = annotation

        @node("WrongNode", category="test")
        def wrong(value: kind) -> None: ...

    return define


def told(**more: Any) -> Callable[[], None]:
    """What defines a node that is told this as a whole."""

    def define() -> None:
        @node(**{"type": "WrongNode", "category": "test", **more})
        def wrong() -> None: ...

    return define


def without_category() -> None:
    @node("WrongNode")
    def wrong() -> None: ...


def without_type() -> None:
    @node(category="test")
    def wrong() -> None: ...


def bare() -> None:
    @node  # type: ignore[arg-type]
    def wrong() -> None: ...


def two_contexts() -> None:
    @node("WrongNode", category="test")
    def wrong(one: NodeContext, two: NodeContext) -> None: ...


def generator() -> None:
    @node("WrongNode", category="test")
    def wrong() -> Annotated[Any, Port("x")]:
        yield 1


def async_generator() -> None:
    @node("WrongNode", category="test")
    async def wrong() -> AsyncIterator[int]:
        yield 1


def async_in_place() -> None:
    @node("WrongNode", category="test", in_place=True)
    async def wrong() -> None: ...


def lost_outputs() -> None:
    @node("WrongNode", category="test")
    def wrong() -> LostOutputs: ...


def two_ports_in_one() -> None:
    parameter(Annotated[int, Port(min=1), Port(max=2)])()


def passthrough_output() -> None:
    @node("WrongNode", category="test")
    def wrong() -> Annotated[int, Port("x", direction="passthrough")]: ...


def retried(**policy: Any) -> Callable[[], None]:
    return told(retry=RetryPolicy(**policy))


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (parameter(Annotated[int, Port(min=3, max=2)]), "'value' has min 3 above max 2"),
        (
            parameter(Annotated[str, Port(min_length=3, max_length=2)]),
            "has min_length 3 above max_length 2",
        ),
        (parameter(Annotated[str, Port(min_length=-1)]), "a length is 0 or more"),
        (parameter(Annotated[float, Port(step=0)]), "a step is above 0"),
        (parameter(Annotated[str, Port(min=1)]), "is of type string, which has no min"),
        (parameter(Annotated[int, Port(max_length=1)]), "is of type number, which has no max_len"),
        (parameter(Annotated[int, Port(pattern="a")]), "is of type number, which has no pattern"),
        (parameter(Annotated[str, Port(pattern="(")]), "has the pattern \\(, which can't be read"),
        (parameter(list[Annotated[int, Port(min=3, max=2)]]), "has a part that has min 3 above"),
        (parameter(Annotated[int, Port(type="integer")]), "'integer' is not a valid PortType"),
        (
            parameter(Annotated[str, Port(options=["a"], default="b")]),
            "has a default that it does not allow: it must be one of a",
        ),
        (
            parameter(Annotated[str, Port(pattern="^a", default="b")]),
            "has a default that it does not allow: it must match the pattern",
        ),
        (two_ports_in_one, r"has two Port\(\.\.\.\)"),
        (parameter(Tree), "'value' has a type that contains itself"),
        (parameter(Lost), "has the type Lost, whose annotations can't be read: name 'Nowhere'"),
        (lost_outputs, "its return annotation has the type LostOutputs, whose annotations can't"),
        (passthrough_output, "is an passthrough; only a parameter can be that"),
        (two_contexts, "both 'one' and 'two' are its NodeContext"),
        (generator, "it yields, and a node returns its outputs"),
        (async_generator, "it yields, and a node returns its outputs"),
        (async_in_place, "it is async and in_place: what runs in place can't wait"),
        (told(in_place=True, timeout_ms=5), "in_place and has a timeout_ms"),
        (told(type=""), "its type has no name"),
        (told(type=3), "its type has no name"),
        (told(category=" "), "its category has no name"),
        (without_category, r'it has no category: write @node\("WrongNode", category="…"\)'),
        (without_type, r'it has no type: write @node\("…Node", category="…"\)'),
        (bare, r'it has no type: write @node\("…Node", category="…"\)'),
        (told(queue=""), "its queue is '', and its name must be 1 to 100 letters"),
        (told(tags="text"), "its tags are one text, not several"),
        (told(timeout_ms=0), "its timeout_ms is 0, and a timeout is above 0"),
        (told(timeout_ms="5"), "its timeout_ms is 5, and a timeout is above 0"),
        (told(retry={"maxAttempts": 3}), "its retry is no RetryPolicy"),
        (retried(max_attempts=0), "its retry allows 0 attempts, not 1 to 100"),
        (retried(backoff_ms=-1), "its retry has backoff_ms -1, not 0 to 86400000"),
        (retried(max_backoff_ms=86_400_001), "its retry has max_backoff_ms 86400001, not 0 to"),
        (retried(backoff_factor=0.5), "its retry has backoff_factor 0.5, not 1 to 10"),
    ],
)
def test_it_says_where_and_what(define: Callable[[], None], message: str) -> None:
    with pytest.raises(NodeDefinitionError, match=message) as caught:
        define()
    assert f"{__file__}:" in caught.value.message
    assert "wrong: " in caught.value.message
    assert "\n" not in caught.value.message


def test_what_is_neither_a_function_nor_a_class_is_no_node() -> None:
    with pytest.raises(NodeDefinitionError, match=f"{__file__}:.*neither a function nor a class"):
        node("WrongNode", category="test")(3)  # type: ignore[type-var]


def texts() -> Iterator[str]:
    yield "a"


def test_a_node_that_calls_a_generator_is_none() -> None:
    @node("FineNode", category="test")
    def fine() -> Annotated[list[str], Port("texts")]:
        return list(texts())

    assert fine() == ["a"]
