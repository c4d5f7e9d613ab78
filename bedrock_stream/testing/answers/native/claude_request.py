"""Requests in the format of Claude's Messages API: validation with Claude's error messages, conversion to Converse."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any

from ....types.checks import is_integer
from ...service.model_rules import rules_of
from ...service.refusal import invalid
from ...service.refusals import check_native_claude
from ..turns import unpaired

__all__ = ("read",)

# `model` and `stream` of Anthropic's own API are refused: the model id is in the path, and there are two operations.
_TOP_LEVEL = frozenset(
    {"anthropic_beta", "anthropic_version", "context_management", "max_tokens", "messages", "metadata"}
    | {"output_config", "stop_sequences", "system", "temperature", "thinking", "tool_choice", "tools"}
    | {"top_k", "top_p", "amazon-bedrock-guardrailConfig"}
)
_TOOL = frozenset({"allowed_callers", "cache_control", "defer_loading", "description", "input_examples"}) | frozenset(
    {"input_schema", "name", "strict", "type"}
)
# Bedrock's own version, or a plain date, which newer releases of Anthropic's SDK send.
_VERSION = re.compile(r"(bedrock-)?\d{4}-\d\d-\d\d")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def read(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Validate a body and return the Converse body of the same conversation. Raises `Refusal`."""
    for name in body:
        # `cache_control` at the top places a cache point of its own after the last block.
        if name not in _TOP_LEVEL and not (name == "cache_control" and rules_of(model).automatic_cache):
            raise invalid(f"{name}: Extra inputs are not permitted")
    for name in ("anthropic_version", "max_tokens", "messages"):
        if name not in body:
            raise invalid(f"{name}: Field required")
    if not _VERSION.fullmatch(str(body["anthropic_version"])):
        raise invalid(f"Invalid API version: {body['anthropic_version']}")
    _check_settings(body)
    _check_tools(body)
    _check_messages(body["messages"])
    converse = _to_converse(body)
    _check_results(converse["messages"], offered=bool(body.get("tools")))
    check_native_claude(converse, model)
    return converse


# -------------------------------------------------------------------------------------------------------- validation


def _check_settings(body: dict[str, Any]) -> None:
    limit = body["max_tokens"]
    if not is_integer(limit):
        raise invalid("max_tokens: Input should be a valid integer")
    if limit < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and not 0 <= value <= 1:
            raise invalid(f"{name}: range: 0..1")


def _check_tools(body: dict[str, Any]) -> None:
    tools: list[dict[str, Any]] = body.get("tools") or []
    names = [tool.get("name") for tool in tools]
    for index, tool in enumerate(tools):
        # Anthropic's own tools (`bash_20250124`, ...) have members of their own.
        if not _is_custom(tool):
            continue
        if unknown := sorted(set(tool) - _TOOL):
            raise invalid(f"tools.{index}.custom.{unknown[0]}: Extra inputs are not permitted")
        if not _TOOL_NAME.fullmatch(str(tool.get("name", ""))):
            raise invalid(f"tools.{index}.custom.name: String should match pattern '^{_TOOL_NAME.pattern}$'")
        if not isinstance(tool.get("input_schema"), dict):
            raise invalid(f"tools.{index}.custom.input_schema: Field required")
        if "type" not in tool["input_schema"]:
            raise invalid(f"tools.{index}.custom.input_schema.type: Field required")
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    choice = body.get("tool_choice") or {}
    if choice.get("type") == "tool" and choice.get("name") not in names:
        raise invalid(f"Tool '{choice.get('name')}' not found in provided tools")


def _check_messages(messages: list[dict[str, Any]]) -> None:
    if not messages:
        raise invalid("messages: at least one message is required")
    for position, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            raise invalid(f"messages.{position}.role: Input should be 'user' or 'assistant'")
        blocks = _blocks(message["content"])
        if not blocks and position < len(messages) - 1:
            raise invalid(
                f"messages.{position}: all messages must have non-empty content "
                "except for the optional final assistant message"
            )
        for index, block in enumerate(blocks):
            _check_block(block, f"messages.{position}.content.{index}")


def _check_block(block: dict[str, Any], path: str) -> None:
    kind = block.get("type")
    if kind not in _TO_CONVERSE:
        tags = ", ".join(f"'{name}'" for name in _TO_CONVERSE)
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}")
    if kind == "text" and not block["text"]:
        raise invalid("messages: text content blocks must be non-empty")
    if kind == "text" and not block["text"].strip():
        raise invalid("messages: text content blocks must contain non-whitespace text")
    if kind == "tool_result":
        for number, part in enumerate(_blocks(block.get("content") or [])):
            _check_block(part, f"{path}.tool_result.content.{number}")
    # Bedrock takes images as base64 only; Anthropic's own API takes URLs too.
    if kind == "image" and block["source"].get("type") != "base64":
        raise invalid(
            f"{path}.image.source: Input tag '{block['source'].get('type')}' found using 'type' "
            "does not match any of the expected tags: 'base64'"
        )


def _check_results(messages: list[dict[str, Any]], *, offered: bool) -> None:
    seen: set[str] = set()
    for position, message in enumerate(messages):
        for index, block in enumerate(block for block in message["content"] if "cachePoint" not in block):
            identity = block.get("toolUse", {}).get("toolUseId")
            if identity in seen:
                raise invalid(f"messages.{position}.content.{index}: `tool_use` ids must be unique")
            seen |= {identity} - {None}
    for kind, position, calls in unpaired(messages):
        ids = ", ".join(calls)
        if kind == "missing":
            raise invalid(
                f"messages.{position - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
        raise invalid(
            f"messages.{position}: unexpected `tool_use_id` found in `tool_result` blocks: {ids}. "
            "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )
    used = any("toolUse" in block for message in messages for block in message["content"])
    if used and not offered:
        raise invalid("Requests which include `tool_use` or `tool_result` blocks must define tools")


# ------------------------------------------------------------------------------------------------------- conversion


def _to_converse(body: dict[str, Any]) -> dict[str, Any]:
    names = {
        "max_tokens": "maxTokens",
        "stop_sequences": "stopSequences",
        "temperature": "temperature",
        "top_p": "topP",
    }
    config = {converse_name: body[name] for name, converse_name in names.items() if body.get(name) is not None}
    converse: dict[str, Any] = {
        "messages": [
            {"role": message["role"], "content": list(_convert(_blocks(message["content"])))}
            for message in body["messages"]
        ],
        "inferenceConfig": config,
        "additionalModelRequestFields": {
            name: body[name] for name in ("output_config", "thinking", "top_k") if body.get(name)
        },
        # Claude always reports the stop sequence that it met.
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    if body.get("system"):
        converse["system"] = list(_convert(_blocks(body["system"])))
    if body.get("tools"):
        converse["toolConfig"] = _tools(body["tools"], body.get("tool_choice") or {})
    form = (body.get("output_config") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        schema = {"schema": json.dumps(form["schema"])}
        converse["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    return converse


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _with_cache_point(converted: dict[str, Any], block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    # A `cache_control` member is a block of its own on Converse, after the block that has it.
    yield converted
    if cache_control := block.get("cache_control"):
        yield {"cachePoint": {"type": "default", "ttl": cache_control.get("ttl", "5m")}}


def _convert(blocks: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        yield from _with_cache_point(_TO_CONVERSE[block["type"]](block), block)


def _is_custom(tool: dict[str, Any]) -> bool:
    return tool.get("type") in (None, "custom")


def _tools(tools: list[dict[str, Any]], choice: dict[str, Any]) -> dict[str, Any]:
    converted: list[dict[str, Any]] = []
    for tool in tools:
        spec = _tool_spec(tool) if _is_custom(tool) else {"systemTool": {"name": tool["name"]}}
        converted += _with_cache_point(spec, tool)
    kind = choice.get("type", "auto")
    return {"tools": converted, "toolChoice": {kind: {"name": choice["name"]} if kind == "tool" else {}}}


def _tool_spec(tool: dict[str, Any]) -> dict[str, Any]:
    members = {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    return {"toolSpec": {"name": tool["name"], **members, "inputSchema": {"json": tool["input_schema"]}}}


def _image(block: dict[str, Any]) -> dict[str, Any]:
    source = block["source"]
    return {"image": {"format": source["media_type"].partition("/")[2], "source": {"bytes": source["data"]}}}


def _document(block: dict[str, Any]) -> dict[str, Any]:
    source = block["source"]
    match source["type"]:
        case "text":
            content: dict[str, Any] = {"source": {"text": source["data"]}}
        case "content":
            content = {"source": {"content": [{"text": part["text"]} for part in _blocks(source["content"])]}}
        case _:
            content = {"format": "pdf", "source": {"bytes": source["data"]}}
    members = {"name": block.get("title") or "document", "citations": block.get("citations") or {}}
    return {"document": {**members, **content}}


def _tool_result(block: dict[str, Any]) -> dict[str, Any]:
    content = [_TO_CONVERSE[part["type"]](part) for part in _blocks(block.get("content") or [])]
    status = {"status": "error"} if block.get("is_error") else {}
    return {"toolResult": {"toolUseId": block["tool_use_id"], "content": content, **status}}


def _thinking(block: dict[str, Any]) -> dict[str, Any]:
    # A block without a signature is refused by the checks of the model.
    signature = {"signature": block["signature"]} if "signature" in block else {}
    return {"reasoningContent": {"reasoningText": {"text": block["thinking"], **signature}}}


def _redacted(block: dict[str, Any]) -> dict[str, Any]:
    return {"reasoningContent": {"redactedContent": b64encode(block["data"].encode()).decode()}}


_TO_CONVERSE = {
    "text": lambda block: {"text": block["text"]},
    "image": _image,
    "document": _document,
    "search_result": lambda block: {"searchResult": {name: block[name] for name in ("source", "title", "content")}},
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": lambda block: {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}},
    "tool_result": _tool_result,
}
