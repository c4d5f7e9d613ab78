"""Requests in the format of Chat Completions, as for gpt-oss on Bedrock: validation and conversion to Converse."""

from __future__ import annotations

import json
from typing import Any

from ...service.refusal import extraneous, invalid
from ..turns import unpaired

__all__ = ("check_pairs", "output_config", "read", "to_converse", "tool_spec")

_TOP_LEVEL = frozenset(
    {"frequency_penalty", "max_completion_tokens", "max_tokens", "messages", "metadata", "model", "n"}
    | {"parallel_tool_calls", "presence_penalty", "reasoning_effort", "response_format", "seed", "service_tier"}
    | {"stop", "stream", "stream_options", "temperature", "tool_choice", "tools", "top_p", "user"}
    | {"amazon-bedrock-guardrailConfig"}
)
_EFFORTS = ("low", "medium", "high")  # gpt-oss always reasons, so "none" is not an effort


def read(body: dict[str, Any], _model: str) -> dict[str, Any]:
    """Validate a body and return the Converse body of the same conversation. Raises `Refusal`."""
    for name in body:
        if name not in _TOP_LEVEL:
            raise extraneous(name)
    if not body.get("messages"):
        raise invalid("messages: Field required")
    _check_settings(body)
    converse = to_converse(body)
    check_pairs(converse)
    return converse


def check_pairs(converse: dict[str, Any]) -> None:
    """Check that every call of a tool has its result, and every result its call. Raises `Refusal`."""
    for kind, position, calls in unpaired(converse["messages"]):
        if kind == "missing":
            raise invalid(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(calls)}"
            )
        raise invalid(
            f"messages.{position}: messages with role 'tool' must be a response to a preceding message with "
            "'tool_calls'."
        )


def _check_settings(body: dict[str, Any]) -> None:
    limit = _limit(body)
    if limit is not None and limit < 1:
        raise invalid(f"max_tokens must be at least 1, got {limit}.")
    for name, most in (("temperature", 2), ("top_p", 1)):
        if body.get(name) is not None and not 0 <= body[name] <= most:
            raise invalid(f"{name}: Input should be between 0 and {most}")
    effort = body.get("reasoning_effort", "low")
    if effort not in _EFFORTS:
        raise invalid(f"reasoning_effort: Input should be 'low', 'medium' or 'high', got {effort!r}")
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice["function"]["name"] not in names:
        raise invalid(f"tool_choice: {choice['function']['name']!r} is not among the tools")


def _limit(body: dict[str, Any]) -> Any:
    return body.get("max_completion_tokens", body.get("max_tokens"))


# ------------------------------------------------------------------------------------------------------- conversion


def to_converse(body: dict[str, Any], *, media: bool = False) -> dict[str, Any]:
    """Return the Converse body of a conversation, of a model that takes text alone unless `media` is true."""
    stops = body.get("stop") or []
    config: dict[str, Any] = {"stopSequences": [stops] if isinstance(stops, str) else stops}
    if (limit := _limit(body)) is not None:
        config["maxTokens"] = limit
    converse: dict[str, Any] = {"messages": [], "system": [], "inferenceConfig": config}
    for position, message in enumerate(body["messages"]):
        _add(message, converse, f"messages.{position}", media=media)
    if body.get("tools"):
        converse["toolConfig"] = _tools(body["tools"], body.get("tool_choice"))
    if "reasoning_effort" in body:
        converse["additionalModelRequestFields"] = {"reasoning_effort": body["reasoning_effort"]}
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        converse["outputConfig"] = output_config(form["json_schema"]["schema"])
    return converse


def output_config(schema: Any) -> dict[str, Any]:
    """Return Converse's form of an output schema."""
    structure = {"jsonSchema": {"schema": json.dumps(schema)}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def _add(message: dict[str, Any], converse: dict[str, Any], path: str, *, media: bool) -> None:
    role = message["role"]
    blocks = _blocks(message.get("content"), path, media=media)
    match role:
        case "system" | "developer":
            converse["system"] += blocks
        case "user":
            if not blocks or not all(block.get("text", "image") for block in blocks):
                raise invalid(f"{path}.content: text must not be empty")
            converse["messages"].append({"role": role, "content": blocks})
        case "assistant":
            calls = [_tool_use(call) for call in message.get("tool_calls") or ()]
            texts = [block for block in blocks if block.get("text")]
            converse["messages"].append({"role": role, "content": texts + calls})
        case "tool":
            # Some clients send the tool's name here; Bedrock refuses it.
            if "name" in message:
                raise extraneous("name", f"#/{path.replace('.', '/')}")
            _add_result(converse["messages"], {"toolUseId": message["tool_call_id"], "content": blocks})
        case _:
            raise invalid(f"{path}.role: Unexpected message role '{role}'.")


def _add_result(messages: list[dict[str, Any]], result: dict[str, Any]) -> None:
    # Each tool message has one result; on Converse the results of one turn are in one message.
    last = messages[-1]["content"] if messages and messages[-1]["role"] == "user" else []
    if not last or "toolResult" not in last[0]:
        last = []
        messages.append({"role": "user", "content": last})
    last.append({"toolResult": result})


def _blocks(content: Any, path: str, *, media: bool) -> list[dict[str, Any]]:
    if content is None:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        match part["type"]:
            case "text":
                blocks.append({"text": part["text"]})
            case "image_url" if media:
                blocks.append({"image": {"format": "png", "source": {"bytes": part["image_url"]["url"]}}})
            case "file" if media:
                source = {"bytes": part["file"]["file_data"]}
                blocks.append({"document": {"format": "pdf", "name": "document", "source": source}})
            case kind:
                raise invalid(f"{path}.content.{number}: this model does not support {kind} content")
    return blocks


def _tool_use(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {"toolUse": {"toolUseId": call["id"], "name": function["name"], "input": json.loads(function["arguments"])}}


def _tools(tools: list[dict[str, Any]], choice: Any) -> dict[str, Any]:
    specs = [tool_spec(tool["function"]) for tool in tools]
    if isinstance(choice, dict):
        return {"tools": specs, "toolChoice": {"tool": {"name": choice["function"]["name"]}}}
    return {"tools": specs, "toolChoice": {"any" if choice == "required" else choice or "auto": {}}}


def tool_spec(function: dict[str, Any]) -> dict[str, Any]:
    """Return Converse's form of a function."""
    description = {"description": function["description"]} if function.get("description") else {}
    schema = {"inputSchema": {"json": function.get("parameters") or {"type": "object"}}}
    return {"toolSpec": {"name": function["name"], **description, **schema}}
