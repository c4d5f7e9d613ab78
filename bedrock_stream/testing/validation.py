"""What Bedrock refuses in a Converse body, in its own words. Everything else passes, known or not.

Each check looks at one thing and raises the refusal; enum values are never checked, since the service adds some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from .refusal import Refusal, invalid

__all__ = ("check_converse", "parse_body")

_TOP_LEVEL = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
# Families that take a conversation whose first turn is the assistant's.
_ASSISTANT_FIRST = frozenset({"anthropic", "qwen", "zai", "moonshot", "moonshotai"})


def parse_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises `Refusal` for anything else."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed("The request body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise _malformed("Start of structure or map found where not expected.")
    return parsed


def check_converse(body: dict[str, Any], model: str) -> None:
    """Raises `Refusal` where Converse or ConverseStream would not take this body."""
    for name in body:
        if name not in _TOP_LEVEL:
            raise invalid(
                f"Malformed input request: #: extraneous key [{name}] is not permitted, "
                "please reformat your input and try again."
            )
    for name in ("messages", "system"):
        if not isinstance(body.get(name, []), list):
            raise _malformed(f"Unexpected type for member '{name}': a list is expected.")
    for name in ("inferenceConfig", "toolConfig", "additionalModelRequestFields"):
        if not isinstance(body.get(name, {}), dict):
            raise _malformed(f"Unexpected type for member '{name}': an object is expected.")
    _check_inference(body.get("inferenceConfig", {}))
    offered = _check_tools(body.get("toolConfig"))
    _check_system(body.get("system", []))
    _check_turns(body.get("messages", []), model)
    _check_tool_turns(body.get("messages", []), offered=offered)
    _check_thinking(body, model)


# ------------------------------------------------------------------------------------------------------- the settings


def _check_inference(config: dict[str, Any]) -> None:
    tokens = config.get("maxTokens", 1)
    if not _is_integer(tokens):
        raise _malformed("Unexpected type for member 'inferenceConfig.maxTokens': an integer is expected.")
    if tokens < 1:
        raise _constraint(tokens, "inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
    for name in ("temperature", "topP"):
        value = config.get(name, 0)
        if not (_is_integer(value) or isinstance(value, float)):
            raise _malformed(f"Unexpected type for member 'inferenceConfig.{name}': a number is expected.")
        if value < 0:
            raise _constraint(value, f"inferenceConfig.{name}", "Member must have value greater than or equal to 0")
        if value > 1:
            raise _constraint(value, f"inferenceConfig.{name}", "Member must have value less than or equal to 1")
    sequences = config.get("stopSequences", [])
    if not isinstance(sequences, list) or not all(isinstance(item, str) for item in sequences):
        raise _malformed("Unexpected type for member 'inferenceConfig.stopSequences': a list of strings is expected.")
    for sequence in sequences:
        if not sequence:
            raise _constraint(
                sequence, "inferenceConfig.stopSequences", "Member must have length greater than or equal to 1"
            )


def _check_tools(config: dict[str, Any] | None) -> frozenset[str] | None:
    """Check the offered tools; their names, or None where no tool configuration came at all."""
    if config is None:
        return None
    tools = config.get("tools")
    if not isinstance(tools, list) or not tools:
        raise _constraint(tools or [], "toolConfig.tools", "Member must have length greater than or equal to 1")
    specs = [_member(tool, "toolSpec") for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
    names: list[Any] = [spec.get("name") for spec in specs]
    for position, (name, spec) in enumerate(zip(names, specs, strict=True), 1):
        place = f"toolConfig.tools.{position}.member.toolSpec"
        _check_pattern(name, f"{place}.name", _TOOL_NAME)
        if not isinstance(_member(spec, "inputSchema").get("json"), dict):
            raise _not_an_object(f"{place}.inputSchema.json")
        if names.count(name) > 1:
            raise invalid(f"The tool names in toolConfig must be unique. Duplicate name: {name}.")
    choice = config.get("toolChoice")
    if isinstance(choice, dict) and isinstance(choice.get("tool"), dict) and choice["tool"].get("name") not in names:
        raise invalid(f"The tool {choice['tool'].get('name')} in toolChoice is not among the tools of toolConfig.")
    return frozenset(names)


def _check_thinking(body: dict[str, Any], model: str) -> None:
    fields = body.get("additionalModelRequestFields", {})
    thinking = fields.get("thinking") or fields.get("reasoning_config")
    if "anthropic" not in _vendors(model) or not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return
    failed = "The model returned the following errors: "
    budget: Any = thinking.get("budget_tokens")
    limit = body.get("inferenceConfig", {}).get("maxTokens")
    if not _is_integer(budget) or budget < 1024:
        raise invalid(f"{failed}thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if limit is not None and limit <= budget:
        raise invalid(f"{failed}`max_tokens` must be greater than `thinking.budget_tokens`.")
    choice = body.get("toolConfig", {}).get("toolChoice") or {}
    if "any" in choice or "tool" in choice:
        raise invalid(f"{failed}Thinking may not be enabled when tool_choice forces tool use.")


# -------------------------------------------------------------------------------------------------------- the turns


def _check_system(blocks: list[Any]) -> None:
    for position, block in enumerate(blocks):
        if isinstance(block, dict) and isinstance(text := block.get("text"), str) and not text.strip():
            raise _blank("SystemContentBlock", f"system.{position}")


def _check_turns(messages: list[Any], model: str) -> None:
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise _malformed(f"Unexpected type for member 'messages.{position}': role and content are expected.")
        if not message["content"]:
            raise invalid(
                f"The content field in the Message object at messages.{position} is empty. "
                "Add a ContentBlock object to the content field and try again."
            )
        for place, block in enumerate(message["content"]):
            _check_block(block, f"messages.{position}.content.{place}")
    first = messages[0].get("role") if messages else None
    # A managed prompt brings its own messages, so its ARN may come with none.
    if not messages and ":prompt/" in model:
        return
    if first == "assistant" and not _ASSISTANT_FIRST.isdisjoint(_vendors(model)):
        return
    if first != "user":
        raise invalid(
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )


def _check_block(block: Any, place: str) -> None:
    if not isinstance(block, dict) or len(block) != 1:
        raise invalid(f"The ContentBlock object at {place} must set exactly one of its members.")
    if "text" in block:
        if not isinstance(block["text"], str):
            raise _malformed(f"Unexpected type for member '{place}.text': a string is expected.")
        if not block["text"].strip():
            raise _blank("ContentBlock", place)
    if "toolUse" in block:
        call = _member(block, "toolUse")
        _check_pattern(call.get("toolUseId"), f"{place}.toolUse.toolUseId", _TOOL_USE_ID)
        _check_pattern(call.get("name"), f"{place}.toolUse.name", _TOOL_NAME)
        if not isinstance(call.get("input"), dict):
            raise _not_an_object(f"{place}.toolUse.input")
    if "toolResult" in block:
        result = _member(block, "toolResult")
        _check_pattern(result.get("toolUseId"), f"{place}.toolResult.toolUseId", _TOOL_USE_ID)
        content = result.get("content")
        if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
            raise _malformed(f"Unexpected type for member '{place}.toolResult.content': a list of blocks is expected.")


def _check_tool_turns(messages: list[dict[str, Any]], *, offered: frozenset[str] | None) -> None:
    """Each turn of tool calls is followed by a turn with exactly their results."""
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message.get("role") == "system":
            continue
        results = list(_ids(message, "toolResult"))
        place = f"messages.{position}.content"
        if missing := [call for call in waiting if call not in results]:
            raise _expected_results(place, missing)
        if len(results) > len(waiting):
            raise invalid(
                f"The number of toolResult blocks at {place} exceeds the number of toolUse blocks of previous turn."
            )
        waiting = list(_ids(message, "toolUse"))
        if offered is None and (waiting or results):
            raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    if waiting:
        raise _expected_results(f"messages.{len(messages)}.content", waiting)


def _ids(message: dict[str, Any], kind: str) -> Iterator[str]:
    # Calls that ran on the service's own side come with their results in the same turn.
    return (
        block[kind]["toolUseId"]
        for block in message["content"]
        if kind in block and block[kind].get("type") in (None, "tool_use")
    )


# --------------------------------------------------------------------------------------------------------- the words


def _vendors(model: str) -> frozenset[str]:
    """The dotted parts of a model id, or of the last part of an ARN: the vendor is one of them."""
    return frozenset(model.rpartition("/")[2].split("."))


def _member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise _malformed(f"Unexpected type for member '{name}': an object is expected.")
    return value


def _check_pattern(value: Any, place: str, pattern: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _constraint(value, place, f"Member must satisfy regular expression pattern: {pattern.pattern}")
    if len(value) > _LONGEST_NAME:
        raise _constraint(value, place, f"Member must have length less than or equal to {_LONGEST_NAME}")


def _constraint(value: Any, place: str, rule: str) -> Refusal:
    return invalid(f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {rule}")


def _blank(kind: str, place: str) -> Refusal:
    return invalid(
        f"The text field in the {kind} object at {place} is blank. Add text to the text field, and try again."
    )


def _not_an_object(place: str) -> Refusal:
    return invalid(f"The format of the value at {place} is invalid. Provide a json object for the field and try again.")


def _expected_results(place: str, calls: list[str]) -> Refusal:
    return invalid(f"Expected toolResult blocks at {place} for the following Ids: {', '.join(calls)}")


def _malformed(message: str) -> Refusal:
    return Refusal(400, "SerializationException", message)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
