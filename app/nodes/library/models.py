"""The nodes that ask language models, at any server with the OpenAI chat API."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

from app.errors import NodeError, NonRetryableError
from app.nodes.library.http import MAX_DELAY_MS, joined
from app.nodes.outbound.policy import AddressPolicy
from app.nodes.retry import RetryAfter
from app.nodes.sdk import NodeContext, Port, node, spec_of
from app.nodes.spec import NodeSpec
from app.nodes.streams import Stream
from app.values.conforming import Misfit, conform
from app.values.ports import PortConfig, PortType, Value

if TYPE_CHECKING:
    from app.nodes.outbound.connection import Resolve
    from app.nodes.outbound.exchange import NetworkFailure

CATEGORY = "ai"

#: Attempts at a server that is busy or can't be reached, the first one included.
MAX_ATTEMPTS = 5

_PATH = "chat/completions"

Messages = list[dict[str, str]]

ApiKey = Annotated[Any, Port("apiKey", type="secret")]
BaseUrl = Annotated[str, Port("baseUrl")]
MaxTokens = Annotated[float, Port("maxTokens")]


class Answer(NamedTuple):
    """What the model said, whole and piece by piece."""

    response: str
    output_stream: Annotated[Stream[str], Port("outputStream")]


class StructuredAnswer(NamedTuple):
    """What the model said, read, and its text piece by piece."""

    response: Annotated[dict[str, Any], Port(mutable=True)]
    output_stream: Annotated[Stream[str], Port("outputStream")]


def model_nodes(allow: Sequence[str] = (), *, resolve: Resolve | None = None) -> list[NodeSpec]:
    """Give the nodes, which may reach what `allow` names although it is not public.

    `resolve` looks names up instead of the system.
    """
    models = _Models(AddressPolicy.from_entries(allow), resolve)
    specs = [spec_of(_llm_call(models)), spec_of(_structured_call(models))]
    return [spec for spec in specs if spec is not None]


class _Models:
    """Language models at addresses that the policy allows; `resolve` looks names up."""

    def __init__(self, policy: AddressPolicy, resolve: Resolve | None) -> None:
        self._policy = policy
        self._resolve = resolve

    async def converse(
        self, ctx: NodeContext, url: str, key: Value, body: Mapping[str, Any]
    ) -> str:
        """Stream the answer to a node's `outputStream`, and give it whole.

        Raises RetryAfter where the server is to be asked again, else NodeError.
        """
        # Imported when first needed: no process starts slower for a node that it never runs.
        from app.nodes.outbound.chat import ChatQuestion, ask
        from app.nodes.outbound.connection import GuardedBackend, look_up
        from app.nodes.outbound.exchange import NetworkFailure

        question = ChatQuestion(_url(url), _api_key(ctx, key), ctx.idempotency_key, body)
        backend = GuardedBackend(self._policy, self._resolve or look_up)
        try:
            return await ask(
                question, backend, lambda piece: ctx.stream("outputStream").send(piece)
            )
        except NetworkFailure as failure:
            _fail_or_retry(failure, ctx.attempt)


def _llm_call(models: _Models) -> Callable[..., Any]:
    @node("LLMCallNode", category=CATEGORY, title="LLM Call", tags=("llm", "chat"))
    async def llm_call(
        ctx: NodeContext,
        prompt: str = "",
        model: str = "",
        api_key: ApiKey = None,
        base_url: BaseUrl = "",
        temperature: float = 0,
        max_tokens: MaxTokens = 0,
    ) -> Answer:
        """Asks a language model, and streams what it says.

        A server that is busy (429, 5xx), breaks off or can't be reached is asked again after the
        time that it names, or 1 s, 2 s, 4 s … later, five times in all; nothing is held meanwhile.

        Ports: `prompt` what to ask, `model` its name as the server has it, `apiKey` the key for
        that server, if it wants one, `baseUrl` where it is, up to what stands before
        `/chat/completions`, `temperature` 0 for the likeliest words, `maxTokens` the longest answer
        (0: as the server has it), `response` the whole answer, `outputStream` its pieces.
        """
        body = _body(model, _messages(prompt), temperature, max_tokens)
        response = await models.converse(ctx, base_url, api_key, body)
        return Answer(response, ctx.stream("outputStream"))

    return llm_call


def _structured_call(models: _Models) -> Callable[..., Any]:
    @node(
        "LLMCallWithStructuredOutputNode",
        category=CATEGORY,
        title="LLM Call With Structured Output",
        tags=("llm", "chat", "schema"),
    )
    async def structured_call(
        ctx: NodeContext,
        prompt: str = "",
        model: str = "",
        api_key: ApiKey = None,
        base_url: BaseUrl = "",
        temperature: float = 0,
        max_tokens: MaxTokens = 0,
    ) -> StructuredAnswer:
        """Asks a language model for an object with the fields that the document gives `response`.

        An answer that isn't such an object is an error. Servers are asked as LLMCallNode does.

        Ports: `prompt` what to ask, `model` its name as the server has it, `apiKey` the key for
        that server, if it wants one, `baseUrl` where it is, up to what stands before
        `/chat/completions`, `temperature` 0 for the likeliest words, `maxTokens` the longest answer
        (0: as the server has it), `response` the object, `outputStream` the pieces of its text.
        """
        schema = ctx.schema("response")
        body = {
            **_body(model, _messages(prompt, schema), temperature, max_tokens),
            "response_format": _format(schema),
        }
        response = await models.converse(ctx, base_url, api_key, body)
        return StructuredAnswer(_object(response, schema), ctx.stream("outputStream"))

    return structured_call


def _url(base_url: str) -> str:
    if not base_url.strip():
        raise NonRetryableError("baseUrl is empty: it takes the URL of a server with the chat API")
    try:
        return joined(base_url, _PATH)
    except NodeError as error:
        raise NonRetryableError("baseUrl must begin with http:// or https:// and a host") from error


def _api_key(ctx: NodeContext, secret: Value) -> str | None:
    """The key: a secret that is a text, or one of fields with it as `apiKey` or alone."""
    if secret is None:
        return None
    data = ctx.secret(secret)
    if isinstance(data, dict):
        data = data.get("apiKey", next(iter(data.values())) if len(data) == 1 else None)
    if not isinstance(data, str) or not data.isascii() or not data.isprintable():
        raise NonRetryableError("apiKey holds no key: it takes a text, or an object with apiKey")
    return data


def _messages(prompt: str, schema: PortConfig | None = None) -> Messages:
    asked = {"role": "user", "content": prompt}
    if schema is None:
        return [asked]
    wanted = json.dumps(json_schema(schema))
    rule = f"Answer with one JSON object and nothing else. It fits this JSON Schema: {wanted}"
    return [{"role": "system", "content": rule}, asked]


def _body(model: str, messages: Messages, temperature: float, max_tokens: float) -> dict[str, Any]:
    if not model:
        raise NonRetryableError("model is empty: it takes the name of a model")
    body = {"model": model, "messages": messages, "temperature": temperature, "stream": True}
    return {**body, "max_tokens": int(max_tokens)} if max_tokens > 0 else body


def _format(schema: PortConfig) -> dict[str, Any]:
    if not schema.properties:
        return {"type": "json_object"}
    described = {"name": "response", "schema": json_schema(schema)}
    return {"type": "json_schema", "json_schema": described}


_JSON_TYPES: Mapping[PortType, str] = {
    PortType.STRING: "string",
    PortType.NUMBER: "number",
    PortType.BOOLEAN: "boolean",
}


def json_schema(config: PortConfig) -> dict[str, Any]:
    """What a port allows as JSON Schema; its bounds are checked afterwards."""
    said = {"description": config.description} if config.description else {}
    if config.type is PortType.ANY:
        return {**said, **json_schema(config.underlying)} if config.underlying else said
    if config.type is PortType.ENUM:
        return {**said, "enum": list(config.options)}
    if config.type is PortType.ARRAY:
        item = json_schema(config.item) if config.item else {}
        return {**said, "type": "array", "items": item}
    if config.type in _JSON_TYPES:
        return {**said, "type": _JSON_TYPES[config.type]}
    properties = {name: json_schema(part) for name, part in (config.properties or {}).items()}
    if not properties:
        return {**said, "type": "object"}
    return {
        **said,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _object(text: str, schema: PortConfig) -> dict[str, Any]:
    """Read the answer, also where the model put it into a block of Markdown."""
    stripped = text.strip()
    if stripped.startswith("```"):
        stripped = stripped.partition("\n")[2].rpartition("```")[0]
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError) as error:
        raise NodeError("the model's answer is not JSON") from error
    if not isinstance(value, dict):
        raise NodeError("the model's answer is no object")
    if not schema.properties:
        return value
    try:
        fitting: dict[str, Any] = conform(schema, value)
    except Misfit as error:
        raise NodeError(f"the model's answer does not fit: {error}") from error
    return fitting


def _fail_or_retry(failure: NetworkFailure, attempt: int) -> NoReturn:
    if attempt >= MAX_ATTEMPTS:
        raise failure
    after_s = getattr(failure, "after_s", None)
    delay_ms = 1000 * 2 ** (attempt - 1) if after_s is None else round(after_s * 1000)
    raise RetryAfter(failure.message, delay_ms=min(delay_ms, MAX_DELAY_MS)) from failure
