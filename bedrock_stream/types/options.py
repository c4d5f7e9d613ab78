"""Options of a call, and their validation.

Each option has one check in the table `_CHECKS`. Errors contain the name, the value and the remedy; for an unknown
option, they suggest the most similar one. Request fields that this version does not know go into `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import msgspec

from ..errors import ConfigurationError
from .call_options import Api, CallOptions, Effort, EndpointName, Ttl, Unsupported
from .checks import is_instance, is_integer
from .messages import CachePoint, Guarded, Text
from .settings import Masked, RetryPolicy, Target, Timeouts, check_region, read_targets
from .tools import Tool, read_tools

__all__ = (
    "ALIASES",
    "EFFORTS",
    "CallOptions",
    "Options",
    "check_arguments",
    "check_tool_choice",
    "mask_secrets",
    "read_options",
    "with_one_api",
)


class Options(Masked, frozen=True, kw_only=True):
    """The validated options of one call. None means that the caller did not set the option."""

    system: tuple[Text | Guarded | CachePoint | dict[str, Any], ...] = ()
    tools: tuple[Tool | dict[str, Any], ...] = ()
    tool_choice: str | dict[str, Any] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning: Effort | int | None = None
    """One of `EFFORTS`, or a budget in tokens."""
    output_schema: Any = None
    """JSON Schema as a dict, or a type."""
    api_key: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    use_converse: bool | None = None
    """True also with the API `converse`, False with `invoke`."""
    api: Api | None = None
    endpoint: EndpointName | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    additional_model_request_fields: dict[str, Any] | None = None
    response_field_paths: tuple[str, ...] = ()
    anthropic_prompt_cache: bool | None = None
    anthropic_prompt_cache_ttl: Ttl | None = None
    anthropic_cache_messages: bool | int | None = None
    """Index of a message; True means the last one."""
    anthropic_beta: tuple[str, ...] = ()
    prompt_variables: dict[str, str] | None = None
    guardrail: dict[str, Any] | None = None
    performance: str | None = None
    service_tier: str | None = None
    request_metadata: dict[str, str] | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    """Top-level fields of the request body, merged last."""
    timeouts: Timeouts | None = None
    retry: RetryPolicy | None = None
    failover: tuple[Target, ...] | None = None
    unsupported: Unsupported | None = None
    base_model: str | None = None
    project: str | None = None
    prompt_cache_auto: bool = False
    """True moves a cache point with the conversation."""
    keep: bool = True
    show_retries: bool = False

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _SECRETS)
        return f"Options({', '.join(shown)})"


EFFORTS: tuple[str, ...] = get_args(Effort)
"""The efforts that `reasoning` accepts. The model's family determines which of them it supports."""

# Options whose values must not be part of any repr or error; provider_options may contain all of them.
_SECRETS = frozenset({"api_key", "access_key_id", "secret_access_key", "session_token", "provider_options"})


def mask_secrets(arguments: Any) -> None:
    """Replace the keys in a call's keyword arguments: the frame that holds them is part of tracebacks."""
    for name in _SECRETS & arguments.keys():
        arguments[name] = "..."


def read_options(arguments: Mapping[str, Any]) -> Options:
    """Validate the keyword arguments of a call.

    Raises `ConfigurationError` for an unknown option or an invalid value.
    """
    merged = dict(arguments)
    provider = merged.pop("provider_options", None)
    if provider is not None:
        merged = {**_dict("provider_options", provider), **merged}
    options = Options(**check_arguments(merged))
    check_tool_choice(options)
    return with_one_api(options)


def check_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the validated fields of `Options`, without each that is not set. Raises `ConfigurationError`."""
    _resolve_aliases(arguments)
    checked = {}
    for name, value in arguments.items():
        check = _CHECKS.get(name)
        if check is None:
            raise _unknown(name)
        if value is not None:  # None is the same as omitted
            checked[name] = check(name, value)
    return checked


ALIASES = {
    "effort": "reasoning",
    "prompt_cache": "anthropic_prompt_cache",
    "prompt_cache_ttl": "anthropic_prompt_cache_ttl",
    "prompt_cache_messages": "anthropic_cache_messages",
}
"""Other names of options. The names of before stay valid."""


def _resolve_aliases(arguments: dict[str, Any]) -> None:
    if arguments.get("effort") is not None and arguments["effort"] not in EFFORTS:
        raise ConfigurationError("effort", f"expected one of {', '.join(EFFORTS)}, got {arguments['effort']!r}")
    if arguments.get("prompt_cache") == "auto":
        arguments |= {"prompt_cache": True, "prompt_cache_auto": True}
    for alias, name in ALIASES.items():
        value = arguments.pop(alias, None)
        if value is not None:
            if arguments.get(name) is not None:
                raise ConfigurationError(alias, f"cannot be combined with {name}", "pass one of them")
            arguments[name] = value


def _unknown(name: str) -> ConfigurationError:
    from difflib import get_close_matches  # imported here, because only this error needs it

    names = [*(_CHECKS.keys() - {"prompt_cache_auto"}), *ALIASES]
    near = get_close_matches(str(name), names, 1)
    known = f"known options are {', '.join(sorted(names))}; fields in extra={{...}} are sent unchanged"
    remedy = f"did you mean {near[0]}?" if near else known
    return ConfigurationError(name, "unknown option", remedy)


def with_one_api(options: Options) -> Options:
    """Return the options with `use_converse` set by `api`. Raises `ConfigurationError` if they contradict."""
    api, use_converse = options.api, options.use_converse
    if api is not None:
        expected = {"converse": True, "invoke": False}.get(api)
        if use_converse not in (None, expected):
            problem = f"{use_converse} cannot be combined with api={api!r}"
            raise ConfigurationError("use_converse", problem, "omit one of them")
        options = msgspec.structs.replace(options, use_converse=expected)
    return options


def check_tool_choice(options: Options) -> None:
    """Raise `ConfigurationError` for a choice that the tools do not have."""
    choice = options.tool_choice
    if choice is None or choice in ("auto", "none"):  # both are valid without tools
        return
    names = [tool.name for tool in options.tools if isinstance(tool, Tool)]
    if not options.tools:
        raise ConfigurationError("tool_choice", f"{choice!r} requires tools", "pass tools, or omit tool_choice")
    # Tools in Converse's own format have names that are not checked here.
    if isinstance(choice, str) and choice != "any" and choice not in names and len(names) == len(options.tools):
        raise ConfigurationError("tool_choice", f"expected auto, any, none or one of {names}, got {choice!r}")


# --------------------------------------------------------------------------------------------- checks of single options


def _expect(name: str, value: Any, kinds: type | tuple[type, ...], expected: str) -> Any:
    if not is_instance(value, kinds):
        shown = type(value).__name__ if name in _SECRETS else f"{value!r}"
        raise ConfigurationError(name, f"expected {expected}, got {shown[:200]}")
    return value


def _bool(name: str, value: Any) -> bool:
    return bool(_expect(name, value, bool, "a bool"))


def _str(name: str, value: Any) -> str:
    _expect(name, value, str, "a str")
    if not value.strip():
        raise ConfigurationError(name, "is blank", "leave it out, or pass a value")
    return str(value)


def _positive_int(name: str, value: Any) -> int:
    # maxTokens has the minimum 1 in the service model.
    if _expect(name, value, int, "a positive int") < 1:
        raise ConfigurationError(name, f"expected a positive int, got {value}", "omit it to use the model's default")
    return int(value)


def _fraction(name: str, value: Any) -> float:
    # The range of temperature and topP in the service model.
    if not 0 <= _expect(name, value, (int, float), "a number from 0 to 1") <= 1:
        raise ConfigurationError(
            name, f"expected a number from 0 to 1, got {value!r}", "Bedrock accepts no other value"
        )
    return float(value)


def _dict(name: str, value: Any) -> dict[str, Any]:
    return dict(_expect(name, value, Mapping, "a dict"))


def _str_list(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ConfigurationError(name, f"expected a list of str, got {value!r}")
    # Stop sequences and field paths must not be empty in the service model.
    for item in value:
        if not isinstance(item, str) or not item:
            raise ConfigurationError(name, f"expected a list of non-empty str, got the item {item!r}")
    return tuple(value)


def _str_dict(name: str, value: Any) -> dict[str, str]:
    pairs = _dict(name, value)
    for key, text in pairs.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigurationError(name, f"expected str keys and values, got {key!r}: {text!r}")
    return pairs


def _reasoning(name: str, value: Any) -> str | int:
    if is_integer(value):
        return _positive_int(name, value)
    if value not in EFFORTS:
        raise ConfigurationError(name, f"expected one of {', '.join(EFFORTS)} or a budget in tokens, got {value!r}")
    return str(value)


def _ttl(name: str, value: Any) -> str:
    if value not in get_args(Ttl):
        raise ConfigurationError(name, f'expected "5m" or "1h", got {value!r}')
    return str(value)


def _message_index(name: str, value: Any) -> bool | int:
    if not isinstance(value, int):  # a bool is an int in Python, and True is valid here
        raise ConfigurationError(name, f"expected the index of a message, or True for the last one, got {value!r}")
    return value


def _schema(name: str, value: Any) -> Any:
    if not isinstance(value, Mapping | type):
        kind = type(value).__name__
        raise ConfigurationError(name, f"expected a dict with JSON Schema, or a model class, got {kind}")
    return value


def _system(name: str, value: Any) -> tuple[Text | Guarded | CachePoint | dict[str, Any], ...]:
    items = (value,) if isinstance(value, str | Text | Guarded) else value
    if not isinstance(items, Sequence):
        raise ConfigurationError(name, f"expected a str or a list of blocks, got {type(value).__name__}")
    return tuple(
        _system_block(f"{name}[{index}]" if len(items) > 1 else name, item) for index, item in enumerate(items)
    )


def _system_block(path: str, item: Any) -> Text | Guarded | CachePoint | dict[str, Any]:
    if isinstance(item, str):
        item = Text(item)
    if isinstance(item, Mapping):
        item = dict(item)
    if (isinstance(item, Text) and not item.text) or item == {"text": ""}:
        raise ConfigurationError(path, "expected non-empty text, got ''", "omit it")
    if not isinstance(item, Text | Guarded | CachePoint | dict):
        raise ConfigurationError(
            path, f"expected a str, Text, Guarded, CachePoint or a dict, got {type(item).__name__}"
        )
    return item


def _tools(name: str, value: Any) -> tuple[Tool | dict[str, Any], ...]:
    return read_tools(value)


def _tool_choice(name: str, value: Any) -> str | dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else _str(name, value)


def _one_of(words: Any) -> Callable[[str, Any], str]:
    """Return the check of an option that is one of the words of a `Literal`."""
    known: tuple[str, ...] = get_args(words)

    def check(name: str, value: Any) -> str:
        if value not in known:
            raise ConfigurationError(name, f"expected one of {', '.join(known)}, got {value!r}")
        return str(value)

    return check


def _timeouts(name: str, value: Any) -> Timeouts:
    timeouts: Timeouts = _expect(name, value, Timeouts, "Timeouts(...)")
    return timeouts


def _retry(name: str, value: Any) -> RetryPolicy:
    policy: RetryPolicy = _expect(name, value, RetryPolicy, "RetryPolicy(...)")
    return policy


def _region(name: str, value: Any) -> str:
    return check_region(value, name)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "system": _system,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "max_tokens": _positive_int,
    "temperature": _fraction,
    "top_p": _fraction,
    "top_k": _positive_int,
    "stop_sequences": _str_list,
    "reasoning": _reasoning,
    "output_schema": _schema,
    "api_key": _str,
    "region": _region,
    "access_key_id": _str,
    "secret_access_key": _str,
    "session_token": _str,
    "use_converse": _bool,
    "api": _one_of(Api),
    "endpoint": _one_of(EndpointName),
    "store": _bool,
    "previous_response_id": _str,
    "additional_model_request_fields": _dict,
    "response_field_paths": _str_list,
    "anthropic_prompt_cache": _bool,
    "anthropic_prompt_cache_ttl": _ttl,
    "anthropic_cache_messages": _message_index,
    "anthropic_beta": _str_list,
    "prompt_variables": _str_dict,
    "guardrail": _dict,
    "performance": _str,
    "service_tier": _str,
    "request_metadata": _str_dict,
    "extra": _dict,
    "timeouts": _timeouts,
    "retry": _retry,
    "failover": read_targets,
    "unsupported": _one_of(Unsupported),
    "base_model": _str,
    "project": _str,
    "prompt_cache_auto": _bool,
    "keep": _bool,
    "show_retries": _bool,
}
