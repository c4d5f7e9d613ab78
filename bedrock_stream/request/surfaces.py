"""Choose the API of a call and the endpoint that serves it, by the caller's words and the model, with the reason. Pure.

The caller's words decide: `api`, `endpoint`, `use_converse`. Without them a call uses Converse or InvokeModel on
bedrock-runtime, as `route` chooses, and only an id that Converse does not serve goes to bedrock-mantle (`ModelFacts.
mantle`). What an endpoint is known to refuse is refused here, and never dropped.

Source: the Bedrock user guide, "Endpoints" and "bedrock-mantle", and live answers of the service.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..dialects import Dialect
from ..dialects.base import VendorDialect
from ..errors import UnsupportedOperation
from ..types.call_options import Api
from ..types.options import Options
from .endpoints import BEDROCK_MANTLE, BEDROCK_RUNTIME, Service
from .models import Model, is_plain
from .unsupported import Unsupported

__all__ = (
    "Surface",
    "adapt_model",
    "check_surface",
    "choose_count",
    "choose_surface",
    "other_prefix",
    "prefix_of",
    "vendor_dialect",
)

MESSAGES_PREFIX = "/anthropic/v1"
_OPENAI, _PLAIN = "/openai/v1", "/v1"
# On bedrock-mantle, each model is served under one of the two; the others under `/v1`.
_UNDER_OPENAI = ("openai.gpt-5", "openai.gpt-6", "google.gemma-4", "xai.grok-")
_NAMES = {"messages": "the Messages API", "chat": "Chat Completions", "responses": "the Responses API"}
# Options that the Messages API has no member for. A guardrail would not be applied.
_NOT_IN_MESSAGES = (
    "guardrail",
    "performance",
    "prompt_variables",
    "request_metadata",
    "response_field_paths",
    "service_tier",
)
_STORED = ("store", "previous_response_id")
# The families that bedrock-runtime serves by these APIs, by inference profiles and by plain ids that end in a version;
# those of Grok do not. Plain ids without a version are bedrock-mantle's.
_ON_RUNTIME = {"messages": ("claude",), "chat": ("gpt-oss", "grok")}
_VERSIONED = re.compile(r"-(v\d+|v?\d+:\d+)$")
_DATE_AND_VERSION = re.compile(r"(-\d{8})?" + _VERSIONED.pattern)


class Surface(msgspec.Struct, frozen=True):
    """The API and the endpoint of a call."""

    api: Api | None
    """None if the call uses Converse or InvokeModel, as `route` chooses by what it contains."""
    service: Service
    reason: str


def choose_surface(model: Model, options: Options) -> Surface:
    """Return the API and the endpoint of a call; `check_surface` says whether they go together."""
    own = options.use_converse is not None
    api = None if own else options.api
    endpoint = options.endpoint or ("runtime" if own else _default_endpoint(api, model))
    if endpoint == "mantle":
        api = api or model.facts.mantle or _api_of(model)
    service = BEDROCK_MANTLE if endpoint == "mantle" else BEDROCK_RUNTIME
    return Surface(api, service, _reason(api, endpoint, model, options))


def choose_count(model: Model, options: Options) -> tuple[Surface, Options]:
    """Return how the tokens of a prompt are counted, and the options for it: by Converse, or by Messages on mantle.

    Raises `UnsupportedOperation` for an endpoint or an API that cannot count.
    """
    replace = msgspec.structs.replace
    if options.api in ("chat", "responses"):
        problem = f"{_NAMES[options.api]} cannot count tokens"
        raise UnsupportedOperation("api", problem, "use converse, or messages for Claude")
    by_default = options.endpoint is None and options.api is None and options.use_converse is None
    on_mantle = options.endpoint == "mantle" or (by_default and _default_endpoint(None, model) == "mantle")
    if options.api != "messages" and not on_mantle:
        options = replace(options, api="converse", use_converse=True)
    elif options.endpoint == "runtime":
        problem = "bedrock-runtime does not count tokens by the Messages API"
        raise UnsupportedOperation("endpoint", problem, "use mantle, or omit api")
    elif model.vendor not in ("anthropic", None):
        problem = f"bedrock-mantle counts tokens for Claude alone, got {model.id!r}"
        raise UnsupportedOperation("model", problem, "use a Claude model")
    else:
        options = replace(options, api=options.api or "messages", endpoint="mantle")
    surface = choose_surface(model, options)
    check_surface(surface, model, options)
    return surface, options


def _default_endpoint(api: Api | None, model: Model) -> str:
    """Return the endpoint that serves a plain id by this API; bedrock-runtime where that is not known."""
    if not is_plain(model):
        return "runtime"
    if model.facts.mantle is not None:
        return "mantle"
    if api is None or model.vendor is None:
        return "runtime"
    served = model.family in _ON_RUNTIME.get(api, ())
    versioned = _VERSIONED.search(model.base) is not None or model.family == "grok"
    return "runtime" if served and versioned else "mantle"


def _api_of(model: Model) -> Api:
    if model.vendor == "anthropic":
        return "messages"
    return "responses" if model.family == "gpt" else "chat"


def _reason(api: Api | None, endpoint: str, model: Model, options: Options) -> str:
    words = [f"{name}={value!r}" for name in ("api", "endpoint") if (value := getattr(options, name)) is not None]
    if endpoint == "mantle" and options.endpoint is None:
        words.append(f"only bedrock-mantle serves {model.id}" + (f" by {_NAMES[api]}" if api in _NAMES else ""))
    elif api is not None and options.api is None:
        words.append(f"{model.family or model.vendor or 'an unknown model family'} uses {_NAMES[api]} there")
    return ", ".join(words)


# -------------------------------------------------------------------------------------------------------------- checks


def check_surface(surface: Surface, model: Model, options: Options, unsupported: Unsupported = "error") -> None:
    """Raise `UnsupportedOperation` for an API, an endpoint, a model or an option that do not go together.

    With `unsupported="send"`, the service decides which models an API serves.
    """
    if surface.service is BEDROCK_MANTLE:
        _check_mantle(model, options)
    if surface.api is not None:
        _check_api(surface, surface.api, model, options, unsupported)
    for name in _STORED:
        if surface.api != "responses" and getattr(options, name) is not None:
            raise UnsupportedOperation(name, "only the Responses API has it", 'use api="responses", or omit it')


def _check_mantle(model: Model, options: Options) -> None:
    if options.use_converse is not None:
        shown = f"api={options.api!r}" if options.api is not None else f"use_converse={options.use_converse}"
        remedy = "use messages, chat or responses as api, or omit endpoint"
        raise UnsupportedOperation("endpoint", f"bedrock-mantle does not serve {shown}", remedy)
    if not is_plain(model):
        kind = "ARNs" if model.arn_kind is not None else "inference profiles"
        problem = f"bedrock-mantle does not take {kind}, got {model.id!r}"
        plain = _DATE_AND_VERSION.sub("", model.base)  # ids of bedrock-mantle have neither
        remedy = 'use endpoint="runtime"' if model.base == model.id else f'use {plain!r}, or endpoint="runtime"'
        raise UnsupportedOperation("model", problem, remedy)
    if options.guardrail is not None:
        raise UnsupportedOperation("guardrail", "bedrock-mantle has no guardrails", 'use endpoint="runtime"')


def _check_api(surface: Surface, api: Api, model: Model, options: Options, unsupported: Unsupported) -> None:
    claude = model.vendor == "anthropic"
    if unsupported != "send":
        if model.vendor is not None and claude is not (api == "messages"):
            remedy = f"use {'messages' if claude else 'chat or responses'}, or omit it"
            raise UnsupportedOperation("api", f"{_NAMES[api]} does not serve {model.id!r}", remedy)
        if api == "responses" and model.arn_kind == "application-inference-profile":
            problem = f"{_NAMES[api]} does not take application inference profiles, got {model.id!r}"
            raise UnsupportedOperation("model", problem, "use the inference profile behind it")
    if api == "messages":
        for name in _NOT_IN_MESSAGES:
            if getattr(options, name):
                raise UnsupportedOperation(name, f"{_NAMES[api]} does not have it", 'omit it, or use api="converse"')
        if options.project is not None and surface.service is BEDROCK_RUNTIME:
            problem = f"{_NAMES[api]} takes it on bedrock-mantle alone"
            raise UnsupportedOperation("project", problem, 'use endpoint="mantle", or api="invoke"')
    if api == "responses" and options.guardrail is not None:
        raise UnsupportedOperation("guardrail", f"{_NAMES[api]} does not apply it", 'use api="chat" or "converse"')


# --------------------------------------------------------------------------------------------------------- the dialect


def vendor_dialect(surface: Surface, model: Model) -> Any:
    """Return the dialect of a vendor's API, for this endpoint and model."""
    on_runtime = surface.service is not BEDROCK_MANTLE
    prefix = _OPENAI if on_runtime or model.base.startswith(_UNDER_OPENAI) else _PLAIN
    match surface.api:  # imported on first use: most programs use Bedrock's own APIs
        case "messages":
            from ..dialects.anthropic.messages import Messages

            return Messages(MESSAGES_PREFIX)
        case "chat":
            from ..dialects.chat import Chat, TaggedChat

            return (TaggedChat if on_runtime and model.family == "gpt-oss" else Chat)(prefix)
    from ..dialects.responses import Responses

    return Responses(prefix)


def prefix_of(dialect: Dialect) -> str | None:
    """Return the prefix of a dialect that bedrock-mantle serves under two; None for any other."""
    prefix = dialect.prefix if isinstance(dialect, VendorDialect) else None
    return prefix if prefix in (_OPENAI, _PLAIN) else None


def other_prefix(dialect: Any) -> Any:
    """Return the same dialect under the other one of the two prefixes."""
    return type(dialect)(_PLAIN if dialect.prefix == _OPENAI else _OPENAI)


def adapt_model(model: Model, api: Api | None) -> Model:
    """Return a model with what it takes by a vendor's API, where that differs from Converse and InvokeModel."""
    facts = model.facts
    if api not in ("chat", "responses"):
        return model
    changes: dict[str, Any] = {"native_schema": True, "cache": False if facts.cache is not None else None}
    if facts.thinking == "effort":
        changes["reasoning_path"] = ("reasoning_effort",) if api == "chat" else ("reasoning", "effort")
    if api == "chat":
        changes["replay"] = "none"
    if api == "responses":
        changes |= {"stop_sequences": False, "replay": "items"}  # reasoning goes back as it came
        if facts.family == "gpt-oss":
            changes["tool_choices"] = ("auto",)
    return msgspec.structs.replace(model, facts=msgspec.structs.replace(facts, **changes))
