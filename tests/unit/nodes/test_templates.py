"""Templates are filled, never evaluated, and can't multiply without end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.errors import NodeCancelled, NodeError
from app.nodes.registry import builtin_catalogue
from tests.unit.nodes.context import FakeContext, run

NODES = builtin_catalogue()


def handlebars(template: str, **variables: Any) -> Any:
    spec = NODES["HandlebarsTemplateNode"]
    return run(spec, template=template, variables=variables)["renderedText"]


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("Hello {{name}}!", {"name": '<Ada> & "co"'}, 'Hello <Ada> & "co"!'),
        ("{{{a}}}{{&a}}", {"a": "<"}, "<<"),
        ("{{missing}}|{{a.b.c}}", {}, "|"),
        (
            "{{a}} {{b}} {{c}} {{d}}",
            {"a": 1.0, "b": 1e21, "c": 1e-7, "d": -0.5},
            "1 1e+21 1e-7 -0.5",
        ),
        ("{{t}} {{f}} {{n}}", {"t": True, "f": False, "n": None}, "true false "),
        ("{{xs}} {{o}}", {"xs": [1, [2, 3], None], "o": {}}, "1,2,3, [object Object]"),
        ("{{#if a}}yes{{else}}no{{/if}}", {"a": 0}, "no"),
        ("{{#if a}}A{{else if b}}B{{else}}C{{/if}}", {"a": "", "b": [1]}, "B"),
        ("{{#unless a}}u{{/unless}}", {"a": []}, "u"),
        ("L:\n{{#each xs}}\n- {{this}}\n{{/each}}\nend", {"xs": [1, 2]}, "L:\n- 1\n- 2\nend"),
        ("{{#each xs}}{{@index}}{{v}}{{../t}} {{/each}}", {"xs": [{"v": "a"}], "t": "T"}, "0aT "),
        ("{{#each o}}{{@key}}={{this}};{{/each}}", {"o": {"a": 1, "b": 2}}, "a=1;b=2;"),
        ("{{#each xs}}x{{else}}none{{/each}}", {"xs": []}, "none"),
        ("{{#with o}}{{a}}{{/with}}", {"o": {"a": 5}}, "5"),
        ("{{lookup xs 1}}{{lookup o 'k'}}", {"xs": ["a", "b"], "o": {"k": "v"}}, "bv"),
        ("{{xs.length}} {{xs.[0]}} {{xs.[9]}}", {"xs": ["p", "q"]}, "2 p "),
        ("{{uppercase a}} {{lowercase a}} {{uppercase 'b'}}", {"a": "xY"}, "XY xy B"),
        ("{{json o}}", {"o": {"a": [1.0, "ü"]}}, '{"a":[1,"ü"]}'),
        ("{{yaml o}}|{{yml o}}", {"o": {"a": [1]}}, "a:\n  - 1|a:\n  - 1"),
        ("{{json a}}{{uppercase a}}", {}, ""),
        ("{{! no }}{{!-- {{x}} --}}a {{~b~}} c", {"b": 1}, "a1c"),
        ('{"a": {{o}} }', {"o": 1}, '{"a": 1 }'),
        ("{{log a}}", {"a": 1}, ""),
    ],
)
def test_handlebars(template: str, variables: dict[str, Any], text: str) -> None:
    assert handlebars(template, **variables) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{__class__}}{{constructor}}",
        "{{a.__class__.__mro__}}",
        "{{a.__init__.__globals__}}",
        "{{xs.append}}{{xs.raw}}{{o.raw}}{{o.items}}{{o.keys}}",
        "{{lookup o '__class__'}}{{lookup xs '__len__'}}",
    ],
)
def test_no_template_reaches_python(template: str) -> None:
    assert handlebars(template, a="x", xs=[1], o={"k": 1}) == ""


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{#if a}}", "unclosed"),
        ("{{/}}", "malformed"),
        ("{{nohelper x}}", "nohelper"),
        ("{{> part}}", "part"),
        ("{{#*inline 'p'}}{{> p}}{{> p}}{{/inline}}{{> p}}", "partials"),
        ("{{a}}" * 20_001, "20000 tags"),
        ("{{#if a}}" * 200 + "{{/if}}" * 200, "depth"),
    ],
)
def test_templates_that_are_refused(template: str, message: str) -> None:
    with pytest.raises(NodeError, match=f"can't be rendered: .*{message}"):
        handlebars(template)


@pytest.mark.parametrize(
    ("template", "variables"),
    [
        ("{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}", {"a": [1] * 900}),
        ("{{#each a}}{{../s}}{{/each}}", {"a": [1] * 10_000, "s": "x" * 100_000}),
        ("{{#each a}}" + "x" * 100_000 + "{{/each}}", {"a": [1] * 10_000}),
        ("{{#each a}}{{json ../a}}{{/each}}", {"a": [1] * 3_000}),
    ],
)
def test_a_template_that_would_produce_far_too_much(
    template: str, variables: dict[str, Any]
) -> None:
    started = time.process_time()
    with pytest.raises(NodeError, match="more than"):
        handlebars(template, **variables)
    assert time.process_time() - started < 30


def test_a_stop_ends_a_long_template() -> None:
    context = FakeContext()
    context.cancelled.set()
    with pytest.raises(NodeCancelled):
        run(
            NODES["HandlebarsTemplateNode"],
            context,
            template="{{#each a}}{{/each}}",
            variables={"a": [1]},
        )


def langchain(template: str, **variables: Any) -> Any:
    spec = NODES["LangchainTemplateNode"]
    return run(spec, template=template, variables=variables)["renderedText"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Tell me about {topic}.", "Tell me about cats."),
        ("{{topic}} {{{topic}}}", "{topic} {cats}"),
        ("{n} {o} {b}", '1.5 {"a":[1]} true'),
        ("plain", "plain"),
        ("{ topic }", "cats"),
    ],
)
def test_langchain(template: str, text: str) -> None:
    assert langchain(template, topic="cats", n=1.5, o={"a": [1]}, b=True) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{missing}", "variable 'missing' that is not set"),
        ("a } b", "single '}' at character 3"),
        ("a { b", "single '{' at character 3"),
        ("{topic.__class__}", r"'topic\.__class__'"),
    ],
)
def test_langchain_templates_that_are_wrong(template: str, message: str) -> None:
    with pytest.raises(NodeError, match=message):
        langchain(template, topic="cats")


def test_the_default_template_needs_its_topic() -> None:
    with pytest.raises(NodeError, match="'topic'"):
        run(NODES["LangchainTemplateNode"])
