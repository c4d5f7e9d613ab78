"""What a model id says: how it is sent.

Accepted are foundation-model ids, inference-profile ids and every kind of ARN, with or without a leading `bedrock:` or
`amazon_bedrock:`. The id is sent as it was given; nothing is ever stripped from it but that prefix.
"""

from __future__ import annotations

from .errors import ConfigurationError

__all__ = ("MAX_LENGTH", "normalize")

MAX_LENGTH = 2048
"""The service's own limit on a model id."""

_PREFIXES = ("amazon_bedrock:", "bedrock:")


def normalize(model: str) -> str:
    """The id as it goes into the URL. Raises `ConfigurationError` for what cannot be one."""
    if not isinstance(model, str):
        raise ConfigurationError("model", f"a {type(model).__name__} is no model id", "use a str")
    name = model
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    if not name:
        raise ConfigurationError("model", f"{model!r} names no model", "use a model id, an inference profile or an ARN")
    if any(character.isspace() or not character.isprintable() for character in name):
        raise ConfigurationError("model", f"{model!r} contains white space or control characters", "remove them")
    if len(name) > MAX_LENGTH:
        raise ConfigurationError("model", f"it is {len(name)} characters long", f"{MAX_LENGTH} is the limit")
    return name
