"""Everything a caller may say about one call, checked in one table.

Each option has one line: its name and the check that names it, its value and the remedy. An unknown option is refused
with the nearest known name. Whatever Bedrock takes and this table does not know goes into `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from ..errors import ConfigurationError
from .checks import is_instance, is_integer
from .messages import CachePoint, Text
from .settings import Masked, RetryPolicy, Target, Timeouts, check_region, read_targets
from .tools import Tool, ToolLike, read_tools

__all__ = ("EFFORTS", "CallOptions", "Options", "read_options")


class CallOptions(TypedDict, total=False):
    """The keywords of `stream` and `generate`, for type checkers."""

    system: str | Sequence[str | Text | CachePoint | Mapping[str, Any]]
    tools: Sequence[ToolLike]
    tool_choice: str | Mapping[str, Any]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    stop_sequences: Sequence[str]
    reasoning: str | int
    output_schema: Mapping[str, Any] | type
    api_key: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str
    use_converse: bool
    additional_model_request_fields: Mapping[str, Any]
    response_field_paths: Sequence[str]
    anthropic_prompt_cache: bool
    anthropic_prompt_cache_ttl: str
    anthropic_cache_messages: bool | int
    anthropic_beta: Sequence[str]
    prompt_variables: Mapping[str, str]
    guardrail: Mapping[str, Any]
    performance: str
    service_tier: str
    request_metadata: Mapping[str, str]
    extra: Mapping[str, Any]
    provider_options: Mapping[str, Any]
    timeouts: Timeouts
    retry: RetryPolicy
    failover: Sequence[Target]
    keep: bool


class Options(Masked, frozen=True, kw_only=True):
    """The options of one call in their checked form; None where the caller said nothing."""

    system: tuple[Text | CachePoint | dict[str, Any], ...] = ()
    tools: tuple[Tool | dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] | None = None
    """`auto`, `any`, `none`, a tool's name, or a dict in Converse's own shape."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning: str | int | None = None
    """A word of effort, `none` included, or a budget of tokens."""
    output_schema: Any = None
    """JSON Schema or a type; see `output`."""
    api_key: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    use_converse: bool | None = None
    additional_model_request_fields: dict[str, Any] | None = None
    response_field_paths: tuple[str, ...] = ()
    anthropic_prompt_cache: bool | None = None
    anthropic_prompt_cache_ttl: str | None = None
    anthropic_cache_messages: bool | int | None = None
    """The index of a message behind which a cache point goes; True means the last."""
    anthropic_beta: tuple[str, ...] = ()
    prompt_variables: dict[str, str] | None = None
    guardrail: dict[str, Any] | None = None
    performance: str | None = None
    service_tier: str | None = None
    request_metadata: dict[str, str] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Merged into the body as it is."""
    timeouts: Timeouts | None = None
    retry: RetryPolicy | None = None
    failover: tuple[Target, ...] | None = None
    """Where else to go, in this order, where the first target fails before anything was seen of its answer."""
    keep: bool = True
    """Whether a stream assembles a `Response`."""

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _SECRETS)
        return f"Options({', '.join(shown)})"


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""What `reasoning` takes besides a budget; which of them a model takes is its family's affair."""

_SECRETS = frozenset({"api_key", "access_key_id", "secret_access_key", "session_token", "provider_options"})


def read_options(given: Mapping[str, Any]) -> Options:
    """Check what the caller said. Raises `ConfigurationError` naming the option, its value and the remedy."""
    merged = dict(given)
    provider = merged.pop("provider_options", None)
    if provider is not None:
        merged = {**_mapping("provider_options", provider), **merged}
    checked = {}
    for name, value in merged.items():
        check = _CHECKS.get(name)
        if check is None:
            raise _unknown(name)
        if value is not None:
            checked[name] = check(name, value)
    options = Options(**checked)
    _check_tool_choice(options)
    return options


def _unknown(name: str) -> ConfigurationError:
    from difflib import get_close_matches  # for this sentence alone

    near = get_close_matches(str(name), _CHECKS, 1)
    remedy = f"did you mean {near[0]}?" if near else f"known are {', '.join(_CHECKS)}; extra={{...}} is sent as it is"
    return ConfigurationError(name, "unknown option", remedy)


def _check_tool_choice(options: Options) -> None:
    choice = options.tool_choice
    if choice is None or choice in ("auto", "none"):
        return
    names = [tool.name for tool in options.tools if isinstance(tool, Tool)]
    if not options.tools:
        raise ConfigurationError("tool_choice", f"{choice!r} without tools", "give tools, or leave it out")
    if isinstance(choice, str) and choice != "any" and choice not in names and len(names) == len(options.tools):
        raise ConfigurationError("tool_choice", f"{choice!r} is not offered", f"use auto, any, none or one of {names}")


# ------------------------------------------------------------------------------------------------------- single checks


def _kind(name: str, value: Any, expected: type | tuple[type, ...], wanted: str) -> Any:
    if not is_instance(value, expected):
        shown = type(value).__name__ if name in _SECRETS else f"{value!r}"
        raise ConfigurationError(name, f"{shown[:200]} is not usable", f"give {wanted}")
    return value


def _flag(name: str, value: Any) -> bool:
    return bool(_kind(name, value, bool, "True or False"))


def _text(name: str, value: Any) -> str:
    _kind(name, value, str, "a str")
    if not value.strip():
        raise ConfigurationError(name, "it is blank", "leave it out, or give a value")
    return str(value)


def _count(name: str, value: Any) -> int:
    if _kind(name, value, int, "a whole number") < 1:
        raise ConfigurationError(name, f"{value} is below 1", "leave it out to let the model decide")
    return int(value)


def _share(name: str, value: Any) -> float:
    if not 0 <= _kind(name, value, (int, float), "a number from 0 to 1") <= 1:
        raise ConfigurationError(name, f"{value!r} is outside 0 to 1", "Bedrock takes no other")
    return float(value)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    return dict(_kind(name, value, Mapping, "a dict"))


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigurationError(name, f"{value!r} is no list", "give a list of str")
    for item in value:
        if not isinstance(item, str) or not item:
            raise ConfigurationError(name, f"{item!r} is not usable", "give non-empty str")
    return tuple(value)


def _reasoning(name: str, value: Any) -> str | int:
    if is_integer(value):
        return _count(name, value)
    if value not in EFFORTS:
        raise ConfigurationError(name, f"{value!r} is not usable", f"use {', '.join(EFFORTS)}, or a budget of tokens")
    return str(value)


def _ttl(name: str, value: Any) -> str:
    if value not in ("5m", "1h"):
        raise ConfigurationError(name, f"{value!r} is not offered", 'use "5m" or "1h"')
    return str(value)


def _place(name: str, value: Any) -> bool | int:
    if not isinstance(value, int):
        raise ConfigurationError(name, f"{value!r} is no place", "give the index of a message, or True for the last")
    return value


def _schema(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping | type):
        raise ConfigurationError(
            name, f"a {type(value).__name__} is no schema", "give JSON Schema as a dict, or a model class"
        )
    return value


def _metadata(name: str, value: Any) -> dict[str, str]:
    pairs = _mapping(name, value)
    for key, text in pairs.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigurationError(name, f"{key!r}: {text!r} is no pair of str", "give str keys and values")
    return pairs


def _system(name: str, value: Any) -> tuple[Text | CachePoint | dict[str, Any], ...]:
    items = (value,) if isinstance(value, str | Text) else value
    if not isinstance(items, Sequence):
        raise ConfigurationError(
            name, f"a {type(value).__name__} is no system prompt", "give a str or a list of blocks"
        )
    return tuple(
        _system_block(f"{name}[{place}]" if len(items) > 1 else name, item) for place, item in enumerate(items)
    )


def _system_block(name: str, item: Any) -> Text | CachePoint | dict[str, Any]:
    if isinstance(item, str):
        item = Text(item)
    if isinstance(item, Mapping):
        item = dict(item)
    if (isinstance(item, Text) and not item.text) or item == {"text": ""}:
        raise ConfigurationError(name, "the text is empty", "leave it out")
    if not isinstance(item, Text | CachePoint | dict):
        raise ConfigurationError(
            name, f"a {type(item).__name__} cannot stand there", "use a str, Text, CachePoint or a dict"
        )
    return item


def _tools(name: str, value: Any) -> tuple[Tool | dict[str, Any], ...]:
    return read_tools(value)


def _tool_choice(name: str, value: Any) -> str | dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else _text(name, value)


def _timeouts(name: str, value: Any) -> Timeouts:
    timeouts: Timeouts = _kind(name, value, Timeouts, "Timeouts(...)")
    return timeouts


def _retry(name: str, value: Any) -> RetryPolicy:
    policy: RetryPolicy = _kind(name, value, RetryPolicy, "RetryPolicy(...)")
    return policy


def _failover(name: str, value: Any) -> tuple[Target, ...]:
    return read_targets(name, value)


def _region(name: str, value: Any) -> str:
    return check_region(value, name)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "system": _system,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "max_tokens": _count,
    "temperature": _share,
    "top_p": _share,
    "top_k": _count,
    "stop_sequences": _texts,
    "reasoning": _reasoning,
    "output_schema": _schema,
    "api_key": _text,
    "region": _region,
    "access_key_id": _text,
    "secret_access_key": _text,
    "session_token": _text,
    "use_converse": _flag,
    "additional_model_request_fields": _mapping,
    "response_field_paths": _texts,
    "anthropic_prompt_cache": _flag,
    "anthropic_prompt_cache_ttl": _ttl,
    "anthropic_cache_messages": _place,
    "anthropic_beta": _texts,
    "prompt_variables": _metadata,
    "guardrail": _mapping,
    "performance": _text,
    "service_tier": _text,
    "request_metadata": _metadata,
    "extra": _mapping,
    "timeouts": _timeouts,
    "retry": _retry,
    "failover": _failover,
    "keep": _flag,
}
