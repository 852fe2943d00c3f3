"""A node comes from a signature; one that is written wrongly says where and how."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import pytest

from app.errors import NodeCancelled, NodeDefinitionError, NodeError
from app.nodes.sdk import NodeContext, Port, RetryPolicy, node, spec_of
from app.nodes.spec import NodeSpec
from app.values.ports import MISSING, Direction, PortType
from tests.unit.nodes.context import FakeContext, run


@node("ShoutNode", category="text", title="Shout", effects=False)
def shout(
    text: str = "", times: Annotated[int, Port(min=1, max=10)] = 1
) -> Annotated[str, Port("shouted")]:
    """Repeats a text in capitals.

    Ports: `text` to repeat, `times` 1..10, `shouted` the result.
    """
    return " ".join([text.upper()] * times)


def spec(target: object) -> NodeSpec:
    found = spec_of(target)
    assert found is not None
    return found


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(TypedDict):
    name: str
    age: NotRequired[int]


@dataclass
class Point:
    x: float
    y: Annotated[float, Port("why")] = 0


def test_the_node_of_the_docs_has_the_ports_of_its_signature() -> None:
    ports = spec(shout).ports
    assert list(ports) == ["text", "times", "shouted"]
    assert ports["text"].type is PortType.STRING
    assert ports["text"].default == ""
    assert (ports["times"].minimum, ports["times"].maximum) == (1, 10)
    assert ports["times"].integer
    assert ports["shouted"].direction is Direction.OUTPUT
    assert ports["shouted"].description == "the result"
    assert ports["times"].description == "1..10"


def test_what_the_decorator_is_told_and_the_docstring_become_the_spec() -> None:
    described = spec(shout)
    assert (described.type, described.category, described.title) == ("ShoutNode", "text", "Shout")
    assert described.description == "Repeats a text in capitals."
    assert not described.effects
    assert described.retry == RetryPolicy()


def test_a_word_in_backticks_that_names_no_port_is_just_a_word() -> None:
    @node("N", category="c")
    def n(path: str) -> None:
        """Does something.

        Ports: `path` where, or `nothing` at all.
        """

    assert spec(n).ports["path"].description == "where, or `nothing` at all"


def test_a_decorated_function_can_still_be_called() -> None:
    assert shout("hi", 2) == "HI HI"


def test_running_it_fills_in_defaults() -> None:
    assert run(spec(shout), text="hi") == {"shouted": "HI"}


@pytest.mark.parametrize(
    ("annotation", "type_", "detail"),
    [
        (str, PortType.STRING, {}),
        (int, PortType.NUMBER, {"integer": True}),
        (float, PortType.NUMBER, {"integer": False}),
        (int | float, PortType.NUMBER, {"integer": False}),
        (bool, PortType.BOOLEAN, {}),
        (dict, PortType.OBJECT, {"properties": None}),
        (dict[str, Any], PortType.OBJECT, {"properties": None}),
        (Any, PortType.ANY, {}),
        (Literal["a", "b"], PortType.ENUM, {"options": ("a", "b")}),
        (Colour, PortType.ENUM, {"options": ("red", "blue")}),
        (Annotated[Any, Port(type="stream")], PortType.STREAM, {}),
        (Annotated[Any, Port(type="secret")], PortType.SECRET, {}),
        (Annotated[str, Port(options=["x"])], PortType.ENUM, {"options": ("x",)}),
        (Annotated[str, Port(min_length=1, pattern="^a")], PortType.STRING, {"min_length": 1}),
        (Annotated[list, Port(max_length=3, mutable=True)], PortType.ARRAY, {"mutable": True}),
    ],
)
def test_types_become_ports(annotation: Any, type_: PortType, detail: dict[str, Any]) -> None:
    @node("N", category="c")
    def n(value: annotation) -> None: ...

    port = spec(n).ports["value"]
    assert port.type is type_
    for name, expected in detail.items():
        assert getattr(port, name) == expected


def test_items_and_properties_are_described_too() -> None:
    @node("N", category="c")
    def n(people: list[Person], point: Point) -> None: ...

    people, point = spec(n).ports.values()
    assert people.item is not None
    assert people.item.properties is not None
    assert people.item.properties["age"].type is PortType.NUMBER
    assert point.properties is not None
    assert list(point.properties) == ["x", "why"]


def test_values_arrive_as_the_types_that_were_written() -> None:
    seen: list[Any] = []

    @node("N", category="c")
    def n(colour: Colour, point: Point, points: list[Point], pair: tuple[int, ...]) -> None:
        seen.extend([colour, point, points, pair])

    run(spec(n), colour="blue", point={"x": 1, "why": 2}, points=[{"x": 3}], pair=[1, 2])
    assert seen == [Colour.BLUE, Point(1, 2), [Point(3)], (1, 2)]


def test_an_int_is_an_int_though_json_says_3_point_0() -> None:
    assert run(spec(shout), text="a", times=3.0) == {"shouted": "A A A"}


def test_a_parameter_without_default_is_required_unless_it_takes_none() -> None:
    @node("N", category="c")
    def n(a: str, b: str | None, c: Any, d: Annotated[str, Port(required=False)]) -> None: ...

    assert [port.required for port in spec(n).ports.values()] == [True, False, False, False]
    assert spec(n).ports["a"].default is MISSING


@pytest.mark.parametrize(("inputs", "message"), [({}, "has no value"), ({"d": None}, "is null")])
def test_a_value_that_the_function_can_not_take_is_a_node_error(
    inputs: dict[str, Any], message: str
) -> None:
    @node("N", category="c")
    def n(d: Annotated[str, Port(required=False)]) -> None: ...

    with pytest.raises(NodeError, match=f"port 'd' {message}"):
        run(spec(n), **inputs)


class Two(NamedTuple):
    first: str
    second: Annotated[int, Port("secondPort", default=0)]


@dataclass
class TwoClass:
    first: str
    second: Annotated[int, Port("secondPort", default=0)]


class TwoDict(TypedDict, total=False):
    first: str
    second: Annotated[int, Port("secondPort", default=0)]


@pytest.mark.parametrize(
    ("returns", "make"),
    [
        (Two, lambda: Two("a", 1)),
        (TwoClass, lambda: TwoClass("a", 1)),
        (TwoDict, lambda: {"first": "a", "second": 1}),
    ],
)
def test_several_outputs(returns: Any, make: Callable[[], Any]) -> None:
    @node("N", category="c")
    def n() -> returns:
        return make()

    assert list(spec(n).ports) == ["first", "secondPort"]
    assert run(spec(n)) == {"first": "a", "secondPort": 1}


def test_an_output_that_a_typed_dict_leaves_out_is_left_out() -> None:
    @node("N", category="c")
    def n() -> TwoDict:
        return {"first": "a"}

    assert run(spec(n)) == {"first": "a"}


def test_a_passthrough_comes_out_as_it_went_in_even_if_the_node_changes_its_own() -> None:
    @node("N", category="c")
    def n(items: Annotated[list[int], Port(direction="passthrough")]) -> None:
        items.append(9)

    assert run(spec(n), items=[1]) == {"items": [1]}


def test_a_node_may_set_its_passthrough() -> None:
    @node("N", category="c")
    def n(x: Annotated[int, Port(direction="passthrough")] = 1) -> Annotated[int, Port("x")]:
        return x + 1

    assert list(spec(n).ports) == ["x"]
    assert run(spec(n), x=4) == {"x": 5}


def test_at_a_lenient_port_another_type_counts_as_the_default() -> None:
    @node("N", category="c")
    def n(
        texts: Annotated[list[str], Port(direction="passthrough", default=["x"], lenient=True)],
    ) -> Annotated[int, Port("count")]:
        return len(texts)

    assert run(spec(n), texts=3) == {"texts": ["x"], "count": 1}
    for strict in (None, [3]):
        with pytest.raises(NodeError, match="port 'texts'"):
            run(spec(n), texts=strict)


def test_camel_case_ports() -> None:
    @node("N", category="c")
    def n(left_value: Annotated[str, Port("leftValue")] = "a") -> Annotated[str, Port("out")]:
        return left_value

    assert run(spec(n), leftValue="b") == {"out": "b"}


def test_a_context_parameter_is_no_port() -> None:
    @node("N", category="c")
    def n(text: str, context: NodeContext) -> None:
        context.log(text, "warn")

    context = FakeContext()
    run(spec(n), context, text="hello")
    assert list(spec(n).ports) == ["text"]
    assert context.logs == [("warn", "hello")]


def test_async_functions() -> None:
    @node("N", category="c")
    async def n(a: int) -> Annotated[int, Port("b")]:
        await asyncio.sleep(0)
        return a + 1

    assert run(spec(n), a=1) == {"b": 2}


def test_an_async_node_ends_when_the_run_is_stopped() -> None:
    @node("N", category="c")
    async def n(context: NodeContext) -> None:
        assert isinstance(context, FakeContext)
        context.cancelled.set()
        await asyncio.sleep(60)

    with pytest.raises(NodeCancelled):
        run(spec(n), FakeContext())


def test_classes_with_run_or_call_get_an_instance_for_each_run() -> None:
    @node("RunNode", category="c")
    class Counter:
        """Counts.

        Ports: `step` how far.
        """

        def __init__(self) -> None:
            self.count = 0

        def run(self, step: int = 1) -> Annotated[int, Port("count")]:
            self.count += step
            return self.count

    @node("CallNode", category="c")
    class Twice:
        async def __call__(self, x: int, ctx: NodeContext) -> Annotated[int, Port("y")]:
            ctx.log("twice")
            return x * 2

    assert spec(Counter).ports["step"].description == "how far"
    assert [run(spec(Counter), step=2) for _ in range(2)] == [{"count": 2}] * 2
    assert run(spec(Twice), x=4) == {"y": 8}


def test_the_title_is_read_from_the_type() -> None:
    @node("HTTPPageLoaderV2Node", category="c")
    def n() -> None: ...

    assert spec(n).title == "HTTP Page Loader V 2"


def wrong_unannotated() -> None:
    @node("N", category="c")
    def n(text) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def wrong_type() -> None:
    @node("N", category="c")
    def n(text: complex) -> None: ...


def wrong_union() -> None:
    @node("N", category="c")
    def n(text: str | bool) -> None: ...


def wrong_default() -> None:
    @node("N", category="c")
    def n(times: Annotated[int, Port(max=3)] = 4) -> None: ...


def wrong_system_port() -> None:
    @node("N", category="c")
    def n(x: Annotated[bool, Port("__execute")] = True) -> None: ...


def wrong_two_of_one_name() -> None:
    @node("N", category="c")
    def n(x: int, y: Annotated[int, Port("x")]) -> None: ...


def wrong_output_of_an_inputs_name() -> None:
    @node("N", category="c")
    def n(x: int) -> Annotated[int, Port("x")]: ...


def wrong_no_return() -> None:
    @node("N", category="c")
    def n(x: int): ...  # type: ignore[no-untyped-def]  # noqa: ANN202


def wrong_nameless_return() -> None:
    @node("N", category="c")
    def n() -> str: ...


def wrong_star() -> None:
    @node("N", category="c")
    def n(*texts: str) -> None: ...


def wrong_dotted() -> None:
    @node("N", category="c")
    def n(x: Annotated[int, Port("a.b")]) -> None: ...


def wrong_name() -> None:
    @node("N", category="c")
    def n(x: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def wrong_retry() -> None:
    @node("N", category="c", retry=RetryPolicy(max_attempts=101))
    def n() -> None: ...


def wrong_class() -> None:
    @node("N", category="c")
    class C: ...


def wrong_direction() -> None:
    @node("N", category="c")
    def n(x: Annotated[int, Port(direction="sideways")]) -> None: ...


def wrong_output_parameter() -> None:
    @node("N", category="c")
    def n(x: Annotated[int, Port(direction="output")]) -> None: ...


def wrong_keys() -> None:
    @node("N", category="c")
    def n(x: dict[int, str]) -> None: ...


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (wrong_unannotated, "parameter 'text' has no annotation"),
        (wrong_type, "parameter 'text' has the type complex, which no port holds"),
        (wrong_union, "a port holds one type"),
        (wrong_default, "parameter 'times' has a default that it does not allow: .*at most 3"),
        (wrong_system_port, "'__execute' has the name of a system port"),
        (wrong_two_of_one_name, "two of its ports have the name 'x'"),
        (wrong_output_of_an_inputs_name, "two of its ports have the name 'x'"),
        (wrong_no_return, "no return annotation"),
        (wrong_nameless_return, "names no port"),
        (wrong_star, "'texts' can't be a port"),
        (wrong_dotted, "'a.b' has a name with a dot"),
        (wrong_name, "'Nowhere' is not defined"),
        (wrong_retry, "allows 101 attempts"),
        (wrong_class, "neither a method run nor __call__"),
        (wrong_direction, "sideways"),
        (wrong_output_parameter, "outputs are returned"),
        (wrong_keys, "keys are not str"),
    ],
)
def test_a_node_written_wrongly_says_where_and_what(
    define: Callable[[], None], message: str
) -> None:
    with pytest.raises(NodeDefinitionError, match=message) as caught:
        define()
    assert f"{define.__name__}.<locals>." in caught.value.message
    if define is not wrong_class:
        assert f"{__file__}:" in caught.value.message
