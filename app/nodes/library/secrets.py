"""Nodes that bring secrets into a flow: only what stands for them crosses an edge."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from app.errors import NonRetryableError
from app.nodes.sdk import NodeContext, Port, node
from app.values.ports import Value
from app.values.secrets import SEALED, STORED, is_reference

#: What a secret may be for.
SecretType = Literal[
    "openai",
    "anthropic",
    "gemini",
    "coinmarketcap",
    "deepseek",
    "groq",
    "moonshot",
    "0g",
    "xAPI",
    "xApp",
    "OkxDexApi",
    "alchemy",
    "string",
]

Secret = Annotated[Any, Port("secret", type="secret")]


@node("SecretNode", category="secret", title="Secret", effects=False)
def stored_secret(secret_id: Annotated[str, Port("secretID")] = "") -> Secret:
    """Hands on a secret of the flow's owner.

    Only a reference crosses the edge. Whether there is such a secret is known where it is used.

    Ports: `secretID` the id or the name that it is stored under, `secret` what stands for it.
    """
    if not secret_id:
        raise NonRetryableError("secretID is empty: it takes the id or the name of a secret")
    return {STORED: secret_id}


@node("UnencryptedSecret", category="secret", title="Unencrypted Secret", effects=False)
def own_secret(
    ctx: NodeContext,
    *,
    secret_type: Annotated[SecretType, Port("secretType")] = "string",  # noqa: ARG001, S107
    data: Annotated[dict[str, Any], Port("unencryptedData", sealed=True, mutable=True, default={})],
) -> Secret:
    """Hands on a secret that the flow itself holds; saving the flow encrypts it.

    Ports: `secretType` what it is for, `unencryptedData` the secret by field names, `secret`
    what stands for it.
    """
    if is_reference(data):
        return data
    opened = _opened(data, ctx)
    if not opened:
        raise NonRetryableError("unencryptedData is empty")
    return opened


def _opened(value: Value, ctx: NodeContext) -> Value:
    """The data with what is sealed in it opened: edges may have laid more over it."""
    if not isinstance(value, dict):
        return value
    base = ctx.secret({SEALED: value[SEALED]}) if SEALED in value else {}
    if len(value) == 1 and SEALED in value:
        return base
    laid_over = {key: _opened(part, ctx) for key, part in value.items() if key != SEALED}
    return {**base, **laid_over} if isinstance(base, dict) else laid_over
