"""Requests to Responses: validation with OpenAI's words, and conversion to Converse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ...service.asked import Asked
from ...service.refusal import Refusal
from ..native.openai_request import check_pairs, output_config, tool_spec
from .openai_rules import (
    check_effort,
    check_limit,
    check_names,
    check_project,
    check_sampling,
    is_gpt_oss,
    missing,
    refused,
)

__all__ = ("read",)

_TOP_LEVEL = frozenset(
    {"background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens"}
    | {"max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt"}
    | {"prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store"}
    | {"stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p"}
    | {"truncation", "user"}
)
# Kinds of tools besides functions, which the service runs or hands on; the emulator calls none of them.
_TOOLS = {
    "runtime": frozenset({"mcp", "custom", "apply_patch", "namespace", "tool_search", "computer"}),
    "mantle": frozenset({"mcp", "custom", "namespace", "tool_search", "web_search"}),
}
_TIERS = ("auto", "default")


def read(asked: Asked) -> dict[str, Any]:
    """Validate a body and return the Converse body of the same conversation. Raises `Refusal`."""
    body = asked.body
    check_project(asked)
    for name in body:
        if name not in _TOP_LEVEL:
            raise refused(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if body.get("input") in (None, "", []):
        raise missing("input")
    _check_settings(asked)
    tools, choice = _tools(asked)
    converse = _conversation(asked)
    try:
        check_pairs(converse)
    except Refusal as refusal:
        raise refused(refusal.message, "input", "invalid_request_error") from None
    if tools:
        converse["toolConfig"] = {"tools": tools, "toolChoice": choice}
    if (limit := body.get("max_output_tokens")) is not None:
        converse["inferenceConfig"] = {"maxTokens": limit}
    if effort := (body.get("reasoning") or {}).get("effort"):
        converse["additionalModelRequestFields"] = {"reasoning_effort": effort}
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        converse["outputConfig"] = output_config(form["schema"])
    return converse


def _check_settings(asked: Asked) -> None:
    body, model = asked.body, asked.model
    if not isinstance(body.get("stream") or False, bool):
        raise refused("Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")
    if body.get("background"):
        raise refused("Background responses are not supported.", "background", "unsupported_parameter")
    check_limit(body.get("max_output_tokens"), "max_output_tokens", model)
    reasoning = body.get("reasoning") or {}
    check_effort(reasoning.get("effort"), "reasoning.effort", model)
    check_sampling(body, reasoning.get("effort"), model)
    summary = reasoning.get("summary")
    if asked.endpoint == "mantle" and asked.path.startswith("/openai/") and summary not in (None, "auto"):
        raise refused(f"Unsupported value: '{summary}'. Supported values are: 'auto'.", "reasoning.summary")
    if body.get("service_tier") is not None and body["service_tier"] not in _TIERS:
        raise refused(f"Unsupported service tier: '{body['service_tier']}'.", "service_tier", "unsupported_value")


def _tools(asked: Asked) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the tools and the choice among them, in Converse's form."""
    taken = _TOOLS["runtime"] | _TOOLS["mantle"] if asked.endpoint is None else _TOOLS[asked.endpoint]
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(asked.body.get("tools") or ()):
        if tool.get("type") == "function":
            tools.append(tool_spec(tool))
        elif tool.get("type") in taken:
            tools.append({"systemTool": {"name": tool["type"]}})
        else:
            raise refused(f"Tool type '{tool.get('type')}' is not supported.", f"tools[{index}].type")
    choice = asked.body.get("tool_choice") or "auto"
    forced = choice.get("name") if isinstance(choice, dict) else None
    check_names([tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool], forced)
    if choice == "required" and is_gpt_oss(asked.model):
        raise refused("Only 'auto' is supported for 'tool_choice' with this model.", "tool_choice", "unsupported_value")
    if forced is not None:
        return tools, {"tool": {"name": forced}}
    return tools, {"any" if choice == "required" else choice: {}}


# -------------------------------------------------------------------------------------------------------- conversation


def _conversation(asked: Asked) -> dict[str, Any]:
    body = asked.body
    converse: dict[str, Any] = {"messages": [], "system": []}
    if (identity := body.get("previous_response_id")) is not None:
        earlier = None if asked.stored is None else asked.stored.find(identity)
        if earlier is None:
            message = f"Previous response with id '{identity}' not found."
            raise Refusal(404, "previous_response_not_found", message, param="previous_response_id")
        converse["messages"] = [{**message, "content": [*message["content"]]} for message in earlier]
    if body.get("instructions"):
        converse["system"].append({"text": body["instructions"]})
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    answered: set[str] = set()
    for index, item in enumerate(items):
        _add(item, converse, f"input[{index}]", media=not is_gpt_oss(asked.model))
        _check_once(item, answered, f"input[{index}]")
    return converse


def _check_once(item: dict[str, Any], open_ids: set[str], path: str) -> None:
    """Check that no two calls of one turn have the same id. An id may come again in a later turn. Raises `Refusal`."""
    match item.get("type"):
        case "function_call":
            if item["call_id"] in open_ids:
                raise refused(f"Duplicate call_id '{item['call_id']}'.", path)
            open_ids.add(item["call_id"])
        case "function_call_output":
            open_ids.discard(item["call_id"])


def _add(item: dict[str, Any], converse: dict[str, Any], path: str, *, media: bool) -> None:
    messages = converse["messages"]
    match item.get("type", "message"):
        case "message" if item.get("role") in ("system", "developer"):
            converse["system"] += _blocks(item["content"], path, media=media)
        case "message" if item.get("role") in ("user", "assistant"):
            blocks = _blocks(item["content"], path, media=media)
            if not blocks:
                raise refused(f"{path}.content: text must not be empty", f"{path}.content")
            _append(messages, item["role"], blocks)
        case "function_call":
            call = {"toolUseId": item["call_id"], "name": item["name"], "input": json.loads(item["arguments"] or "{}")}
            _append(messages, "assistant", [{"toolUse": call}])
        case "function_call_output":
            output = item["output"]
            content = [{"text": output}] if isinstance(output, str) else _blocks(output, path, media=media)
            _append(messages, "user", [{"toolResult": {"toolUseId": item["call_id"], "content": content}}])
        case "reasoning":
            _check_reasoning(item, path)
        case kind:
            raise refused(f"Invalid value: '{kind}' of {path} is not supported.", path)


def _append(messages: list[dict[str, Any]], role: str, blocks: Iterable[dict[str, Any]]) -> None:
    """Add blocks to the turn of the role; the items of one turn are one message on Converse."""
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": [*blocks]})


def _check_reasoning(item: dict[str, Any], path: str) -> None:
    if not isinstance(item.get("id"), str) or not isinstance(item.get("summary"), list):
        raise refused(f"{path}: a reasoning item needs its id and its summary", path)


def _blocks(content: Any, path: str, *, media: bool) -> list[dict[str, Any]]:
    parts = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
    blocks: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        match part.get("type"):
            case "input_text" | "output_text" | "text":
                blocks.append({"text": part["text"]})
            case "refusal":
                blocks.append({"text": part["refusal"]})
            case "input_image" if media:
                blocks.append({"image": {"format": "png", "source": {"bytes": part.get("image_url", "")}}})
            case "input_file" if media:
                source = {"bytes": part.get("file_data", "")}
                blocks.append({"document": {"format": "pdf", "name": "document", "source": source}})
            case kind:
                raise refused(f"{path}.content[{number}]: '{kind}' is not supported", f"{path}.content[{number}]")
    return [block for block in blocks if block.get("text", "media")]
