"""What stands for a secret in a value: a reference to a stored one, or a sealed text.

`{"$secret": "name or id"}` names a secret of the owner's; `{"$sealed": "…"}` holds one that only
a process with the key can open. Plain text stands in no value but on its way in, before it is
sealed, and inside the node that opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.values.ports import PortConfig, PortType, Value

#: The only key of an object that stands for a secret.
STORED = "$secret"
SEALED = "$sealed"

#: What a reader sees in the place of a secret.
MASK = "********"

#: Encrypts data; the text can be opened where the key is.
Seal = Callable[[Value], str]


def is_reference(value: Value) -> bool:
    """Whether a value stands for a secret."""
    return isinstance(value, dict) and len(value) == 1 and (STORED in value or SEALED in value)


def is_sealed(value: Value) -> bool:
    """Whether a value is a sealed text."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(SEALED), str)


def reference_fault(config: PortConfig, value: Value) -> str | None:
    """Why a value can't stand in a port for secrets; None where it can."""
    if value == MASK:
        return "is the mask of a secret, and there is none in its place: give the secret itself"
    # Of a sealed object parts may be laid over by edges.
    if config.sealed or not isinstance(value, dict) or not (STORED in value or SEALED in value):
        return None
    name = value.get(STORED, value.get(SEALED))
    if len(value) == 1 and isinstance(name, str) and name:
        return None
    return f'refers to a secret as {{"{STORED}": "name or id"}} does, or not at all'


def holds_secrets(config: PortConfig) -> bool:
    """Whether a port, or a place inside it, is for secrets."""
    pending = [config]
    while pending:
        part = pending.pop()
        if part.sealed or part.type is PortType.SECRET:
            return True
        pending += (part.properties or {}).values()
        pending += [inner for inner in (part.item, part.underlying) if inner is not None]
    return False


def sealed(config: PortConfig, value: Value, seal: Seal) -> Value:
    """The value of a port with everything sealed in it that stands where secrets do.

    What is empty, and what stands for a secret already, stays as it is.
    """
    if not value or is_reference(value):
        return value
    if config.sealed or config.type is PortType.SECRET:
        return {SEALED: seal(value)}
    if config.type is PortType.ANY and config.underlying is not None:
        return sealed(config.underlying, value, seal)
    if isinstance(value, dict) and config.type is PortType.OBJECT:
        properties = config.properties or {}
        return {
            key: sealed(properties[key], part, seal) if key in properties else part
            for key, part in value.items()
        }
    if isinstance(value, list) and config.type is PortType.ARRAY and config.item is not None:
        return [sealed(config.item, part, seal) for part in value]
    return value


def masked(value: Value) -> Value:
    """The value as a reader sees it: no sealed text is in it. Itself, where none was."""
    return _masked(value) if any(is_sealed(part) for part in _parts(value)) else value


def masked_in(config: PortConfig, value: Value) -> Value:
    """The same for what stands in a port: nothing is seen of a plain secret there, either."""
    if not holds_secrets(config):
        return masked(value)
    return masked(sealed(config, value, lambda _: ""))


def _masked(value: Value) -> Value:
    if is_sealed(value):
        return MASK
    if isinstance(value, dict):
        return {key: _masked(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    return value


def _parts(value: Value) -> Iterator[Value]:
    """The objects and arrays of a value."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield part
            pending += part.values()
        elif isinstance(part, list):
            pending += part
