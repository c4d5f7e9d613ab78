"""pydantic-ai's settings and request parameters as options of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from ...types.model_facts import ModelFacts
from ...types.options import EFFORTS, CallOptions
from ...types.tools import Tool

__all__ = ("BedrockStreamSettings", "call_options")


class BedrockStreamSettings(ModelSettings, total=False):
    """Settings of `BedrockStreamModel`, beside those of all models. `BedrockModelSettings` of pydantic-ai work too."""

    bedrock_stream_options: CallOptions
    """Options of `Client.stream`: `guardrail`, `service_tier`, `timeouts`, `additional_model_request_fields`, ... They
    take precedence over all other settings."""


_SAME = ("max_tokens", "temperature", "top_p", "top_k", "stop_sequences")
# The settings of `BedrockConverseModel` that are options under another name.
_RENAMED = {
    "bedrock_guardrail_config": "guardrail",
    "bedrock_request_metadata": "request_metadata",
    "bedrock_additional_model_response_fields_paths": "response_field_paths",
    "bedrock_additional_model_requests_fields": "additional_model_request_fields",
    "extra_body": "extra",
}
_CACHE = ("bedrock_cache_instructions", "bedrock_cache_tool_definitions", "bedrock_cache_messages")


def call_options(
    settings: Mapping[str, Any], parameters: ModelRequestParameters, facts: ModelFacts, model: str
) -> dict[str, Any]:
    """Return the options of a call, with its model as `model`.

    What the model is known to refuse is left out, so that the same settings work with every model.
    """
    options: dict[str, Any] = {"model": model, "unsupported": "drop", "use_converse": True}
    if facts.family == "claude" and facts.max_output is not None:
        options["max_tokens"] = facts.max_output  # Bedrock's own default is far less for some of them
    options |= {name: settings[name] for name in _SAME if settings.get(name) is not None}
    options |= {option: settings[name] for name, option in _RENAMED.items() if settings.get(name)}
    options |= _bedrock_options(settings, model)
    options |= _cache_options(settings, parameters)
    if parameters.thinking is not None:
        options["reasoning"] = _effort(parameters.thinking, facts)
    options |= _tool_options(settings.get("tool_choice"), parameters)
    if parameters.output_mode == "native" and parameters.output_object is not None:
        options["output_schema"] = parameters.output_object.json_schema
    return options | {**settings.get("bedrock_stream_options", {})}


def _bedrock_options(settings: Mapping[str, Any], model: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if performance := settings.get("bedrock_performance_configuration"):
        options["performance"] = performance["latency"]
    if variables := settings.get("bedrock_prompt_variables"):
        options["prompt_variables"] = {name: value["text"] for name, value in variables.items()}
    if tier := settings.get("bedrock_service_tier"):
        options["service_tier"] = tier["type"]
    elif (tier := settings.get("service_tier")) and tier != "auto":
        options["service_tier"] = tier
    if profile := settings.get("bedrock_inference_profile"):
        options |= {"model": profile, "base_model": model}
    return options


def _cache_options(settings: Mapping[str, Any], parameters: ModelRequestParameters) -> dict[str, Any]:
    """Return the cache points that are asked for: by the settings for Bedrock, or else by the one for all models."""
    if any(name in settings for name in _CACHE):
        before, tools, messages = (settings.get(name) for name in _CACHE)
        lifetimes = [value for value in (before, tools, messages) if isinstance(value, str)]
        cached = "auto" if messages else bool(before or tools)
    else:
        cache: Any = parameters.cache
        retention = cache.get("retention") if isinstance(cache, Mapping) else cache
        lifetimes = [retention] if isinstance(retention, str) else []
        whole = not isinstance(cache, Mapping) or cache.get("messages", True)
        cached = ("auto" if whole else True) if cache else False
    if not cached:
        return {}
    return {"prompt_cache": cached, **({"prompt_cache_ttl": lifetimes[0]} if lifetimes else {})}


def _effort(thinking: bool | str, facts: ModelFacts) -> str:
    """Return the effort for pydantic-ai's word: the model's own of this strength, or else the next lower one."""
    if thinking is False:
        return "none"
    word = "medium" if thinking is True else str(thinking)
    taken = facts.efforts or EFFORTS
    if word in taken or word not in EFFORTS:
        return word
    lower = [known for known in EFFORTS[: EFFORTS.index(word)] if known in taken]
    return lower[-1] if lower else next(known for known in EFFORTS if known in taken)


def _tool_options(choice: Any, parameters: ModelRequestParameters) -> dict[str, Any]:
    """Return the tools and the choice among them, which may leave tools out: Converse can force all tools or one."""
    declared = dict(parameters.declared_tool_defs)
    if not declared:
        return {}
    mode, names = _choice(choice, parameters)
    if names is not None and len(names) == 1 and mode == "any":
        return {"tools": _tools(declared), "tool_choice": next(iter(names))}
    if names is not None:
        declared = {name: tool for name, tool in declared.items() if name in names}
    return {"tools": _tools(declared), "tool_choice": mode}


def _choice(choice: Any, parameters: ModelRequestParameters) -> tuple[str, set[str] | None]:
    """Return the mode and the names that it is restricted to."""
    outputs = {tool.name for tool in parameters.output_tools}
    free = "auto" if parameters.allow_text_output or parameters.allow_image_output else "any"
    if choice is None or choice == "auto":
        return free, None
    if choice == "required":
        return "any", None
    only = getattr(choice, "function_tools", None)  # of a `ToolOrOutput`
    if only is not None:
        names = {*only, *outputs}
        return (free, names) if names else ("none", None)
    if isinstance(choice, list) and choice:
        return "any", {*choice}
    return (free, outputs) if outputs else ("none", None)


def _tools(declared: Mapping[str, ToolDefinition]) -> list[Tool]:
    return [
        Tool(
            name=tool.name,
            description=tool.description or "",
            input_schema=tool.parameters_json_schema,
            strict=tool.strict,
        )
        for tool in declared.values()
    ]
