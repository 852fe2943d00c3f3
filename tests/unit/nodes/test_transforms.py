"""What the reference outcomes leave open about nodes on arrays and objects."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import NodeError
from app.nodes.registry import builtin_catalogue
from app.values.ports import PortConfig, PortType
from tests.unit.nodes.context import FakeContext, run


def result(type_: str, port: str = "result", /, **inputs: Any) -> Any:
    return run(builtin_catalogue()[type_], **inputs)[port]


PEOPLE = [{"name": "Ada", "born": {"year": 1815}}, {"name": "Alan"}, 5]


def test_null_counts_as_an_empty_array() -> None:
    assert result("ArrayConcatNode", arrayA=None, arrayB=[1]) == [1]
    assert result("ArrayLengthNode", "length", array=None) == 0


#: Every port of the library's transforms that takes an array.
ARRAY_INPUTS = [
    (name, port)
    for name, spec in builtin_catalogue().items()
    for port, config in spec.ports.items()
    if spec.category == "transforms" and config.type is PortType.ARRAY and config.takes_input
]


@pytest.mark.parametrize(("name", "port"), ARRAY_INPUTS)
def test_what_is_no_array_counts_as_an_empty_one(name: str, port: str) -> None:
    spec = builtin_catalogue()[name]
    arrays = {each: [{"a": 1}] for owner, each in ARRAY_INPUTS if owner == name}

    def outcome(value: Any) -> Any:
        try:
            return run(spec, **arrays | {port: value})
        except NodeError as error:
            return error.message

    for value in ("text", 3, {"length": 1}, True):
        assert outcome(value) == outcome([])


def test_an_array_is_still_checked() -> None:
    with pytest.raises(NodeError, match="port 'mappings'"):
        run(builtin_catalogue()["ArrayRemapNode"], source=[{}], mappings=[{"from": 1}])


@pytest.mark.parametrize("index", [-1, 2])
def test_a_place_outside_the_array_is_an_error(index: int) -> None:
    with pytest.raises(NodeError, match=f"Index {index} is out of bounds for array of length 2"):
        result("ArrayElementNode", "element", array=[1, 2], index=index)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", [{"value": 1}]),
        ("a.b", [{"a": {"b": 1}}]),
        ("a[1].b", [{"a": [None, {"b": 1}]}]),
    ],
)
def test_embedding_makes_the_way_to_its_path(path: str, expected: list[Any]) -> None:
    assert result("ArrayEmbedNode", array=[1], path=path) == expected


@pytest.mark.parametrize("path", ["a..b", "a[", "a[99999999]"])
def test_a_path_that_leads_nowhere_sensible_is_an_error(path: str) -> None:
    with pytest.raises(NodeError):
        result("ArrayEmbedNode", array=[1], path=path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("name", ["Ada", "Alan", None]),
        ("born.year", [1815, None, None]),
        ("born", [{"year": 1815}, None, None]),
    ],
)
def test_plucking_gives_null_where_there_is_nothing(path: str, expected: list[Any]) -> None:
    assert result("ArrayPluckNode", array=PEOPLE, path=path) == expected


@pytest.mark.parametrize("path", ["[1]", "1"])
def test_a_path_enters_arrays(path: str) -> None:
    assert result("ArrayPluckNode", array=[[1, 2], [3]], path=path) == [2, None]


def test_picking_follows_the_documents_schema() -> None:
    text = PortConfig(PortType.STRING)
    born = PortConfig(PortType.OBJECT, properties={"year": text})
    schema = PortConfig(PortType.OBJECT, properties={"name": text, "born": born})
    people = [{"name": "Ada", "born": {"year": 1815, "month": 12}, "city": "London"}, 5]
    outputs = run(
        builtin_catalogue()["ArrayPickNode"],
        FakeContext(schemas={"pickSchema": schema}),
        array=people,
    )
    assert outputs["result"] == [{"name": "Ada", "born": {"year": 1815}}, {}]


def test_picking_without_a_schema_follows_the_value() -> None:
    assert result("ArrayPickNode", array=PEOPLE[:2], pickSchema={"name": ""}) == [
        {"name": "Ada"},
        {"name": "Alan"},
    ]
    assert result("ArrayPickNode", array=PEOPLE) == PEOPLE


def test_remapping_renames_and_moves_fields() -> None:
    mappings = [
        {"from": "name", "to": "who.name"},
        {"from": "born.year", "to": "year"},
        {"from": "", "to": "all"},
    ]
    assert result("ArrayRemapNode", source=PEOPLE[:2], mappings=mappings) == [
        {"who": {"name": "Ada"}, "year": 1815, "all": PEOPLE[0]},
        {"who": {"name": "Alan"}, "all": PEOPLE[1]},
    ]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("shortest", [{"a": 1, "b": 3}]),
        ("longest", [{"a": 1, "b": 3}, {"a": 2}]),
        ("first", [{"a": 1, "b": 3}, {"a": 2}]),
        ("second", [{"a": 1, "b": 3}]),
    ],
)
def test_zipping_arrays_of_different_lengths(strategy: str, expected: list[Any]) -> None:
    assert result("ArrayZipNode", arrayA=[1, 2], arrayB=[3], lengthStrategy=strategy) == expected


def test_merging_by_place_lets_the_second_array_win() -> None:
    merged = result(
        "ArrayZipMergeNode",
        arrayA=[{"x": 1, "y": 1}, {"x": 2}, 7],
        arrayB=[{"y": 2}, 5],
    )
    assert merged == [{"x": 1, "y": 2}, 5, 7]


@pytest.mark.parametrize(
    ("operator", "value", "matching"),
    [
        ("eq", 10, [10, "10"]),
        ("eq", None, [None]),
        ("neq", 10, ["b", None, [1, 2], {}, 9]),
        ("gt", 9, [10, "10"]),
        ("gte", "9", [10, "b", {}, 9]),
        ("truthy", None, [10, "10", "b", [1, 2], {}, 9]),
        ("contains", 1, [10, "10", [1, 2]]),
        ("startsWith", "1", [10, "10", [1, 2]]),
        ("endsWith", "0", [10, "10"]),
    ],
)
def test_partitioning_compares_as_javascript_does(
    operator: str, value: Any, matching: list[Any]
) -> None:
    items = [10, "10", "b", None, [1, 2], {}, 9]
    found = run(
        builtin_catalogue()["ArrayPartitionNode"], array=items, operator=operator, value=value
    )
    assert found["matching"] == matching
    assert len(found["nonMatching"]) == len(items) - len(matching)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("sum", 5.5),
        ("avg", 2.75),
        ("min", 2.5),
        ("max", 3),
        ("count", 5),
        ("join", "3,2.5,true,4,"),
    ],
)
def test_reducing_counts_numbers_only(operation: str, expected: Any) -> None:
    assert (
        result("ArrayReduceNode", array=[3, 2.5, True, "4", None], operation=operation) == expected
    )


@pytest.mark.parametrize("query", ["(a", "name:/(/"])
def test_a_query_that_cannot_be_read_is_an_error(query: str) -> None:
    with pytest.raises(NodeError, match="the query can't be read"):
        result("FilterArrayLuceneNode", "filteredArray", inputArray=[{}], query=query)


def test_a_slow_expression_in_a_query_is_an_error() -> None:
    with pytest.raises(NodeError, match="a regular expression of the query"):
        result(
            "FilterArrayLuceneNode",
            "filteredArray",
            inputArray=["x" * 5_000],
            query="/(x+x+)+y/",
        )


def test_merging_goes_into_objects() -> None:
    merged = result("TypeMergeNode", "merged", typeA={"a": {"b": 1, "c": 1}}, typeB={"a": {"c": 2}})
    assert merged == {"a": {"b": 1, "c": 2}}


def test_focusing_on_nothing_gives_null() -> None:
    assert result("TypeFocusNode", "focused", source={"a": 1}, path="b.c") is None
    assert result("TypeFocusNode", "focused", source={"a": 1}, path="") == {"a": 1}


@pytest.mark.parametrize(("container", "element"), [([1, 2], 1), ([], None), ("text", None)])
def test_unwrapping_takes_the_first_item(container: Any, element: Any) -> None:
    assert result("TypeUnwrapNode", "element", container=container) == element


def test_the_array_is_handed_on_as_it_came() -> None:
    assert result("ArrayReverseNode", "array", array=[1, 2]) == [1, 2]
