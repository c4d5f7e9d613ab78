"""Validation of Converse bodies, with Bedrock's error messages. Unknown members pass.

Each check covers one rule and raises `Refusal`. Enum values are not checked, because the service adds new ones.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ...types.checks import check_cost, is_integer, is_number
from ..answers.turns import is_caller_block, unpaired
from .families import maker_of
from .refusal import Refusal, constraint, extraneous, invalid, malformed
from .refusals import check_model

__all__ = ("MAX_BODY_COST", "check_converse", "parse_body")

MAX_BODY_COST = 20
"""The most memory that a parsed body may need, in multiples of its size; many short messages need about 14 times."""

_TOP_LEVEL = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "performanceConfig",
        "projectIdentifier",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)
_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_.:-]+")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME_LENGTH = 64
# Makers whose models accept a conversation that starts with an assistant turn.
_ASSISTANT_FIRST = frozenset({"anthropic", "qwen", "zai", "moonshot", "moonshotai"})


def parse_body(body: bytes) -> dict[str, Any]:
    """Parse a body that must be a JSON object. Raises `Refusal`."""
    try:
        check_cost(body, MAX_BODY_COST)
    except ValueError as error:
        raise malformed(f"The request body cannot be read: {error}.") from None
    try:
        parsed = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise malformed("The request body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise malformed("Start of structure or map found where not expected.")
    return parsed


def check_converse(body: dict[str, Any], model: str) -> None:
    """Check a body of Converse or ConverseStream. Raises `Refusal`."""
    # Unknown members are refused at the top level only.
    for name in body:
        if name not in _TOP_LEVEL:
            raise extraneous(name)
    for name in ("messages", "system"):
        if not isinstance(body.get(name, []), list):
            raise malformed(f"Unexpected type for member '{name}': a list is expected.")
    for name in ("inferenceConfig", "toolConfig", "additionalModelRequestFields"):
        if not isinstance(body.get(name, {}), dict):
            raise malformed(f"Unexpected type for member '{name}': an object is expected.")
    _check_inference(body.get("inferenceConfig", {}))
    _check_tools(body.get("toolConfig"))
    _check_system(body.get("system", []))
    _check_turns(body.get("messages", []), model)
    _check_tool_turns(body.get("messages", []), offered="toolConfig" in body)
    check_model(body, model)


# ----------------------------------------------------------------------------------------------------------- settings


def _check_inference(config: dict[str, Any]) -> None:
    tokens = config.get("maxTokens", 1)
    if not is_integer(tokens):
        raise malformed("Unexpected type for member 'inferenceConfig.maxTokens': an integer is expected.")
    if tokens < 1:
        raise constraint(tokens, "inferenceConfig.maxTokens", "Member must have value greater than or equal to 1")
    # The service model limits both to 0..1, for every family.
    for name in ("temperature", "topP"):
        value = config.get(name, 0)
        if not is_number(value):
            raise malformed(f"Unexpected type for member 'inferenceConfig.{name}': a number is expected.")
        if value < 0:
            raise constraint(value, f"inferenceConfig.{name}", "Member must have value greater than or equal to 0")
        if value > 1:
            raise constraint(value, f"inferenceConfig.{name}", "Member must have value less than or equal to 1")
    sequences = config.get("stopSequences", [])
    if not isinstance(sequences, list) or not all(isinstance(item, str) for item in sequences):
        raise malformed("Unexpected type for member 'inferenceConfig.stopSequences': a list of strings is expected.")
    for sequence in sequences:
        if not sequence:
            raise constraint(
                sequence, "inferenceConfig.stopSequences", "Member must have length greater than or equal to 1"
            )


def _check_tools(config: dict[str, Any] | None) -> None:
    if config is None:
        return
    tools = config.get("tools")
    if not isinstance(tools, list) or not tools:
        raise constraint(tools or [], "toolConfig.tools", "Member must have length greater than or equal to 1")
    # System tools and cache points are entries of the list too; they have no spec.
    specs = [_member(tool, "toolSpec") for tool in tools if isinstance(tool, dict) and "toolSpec" in tool]
    names: list[Any] = [spec.get("name") for spec in specs]
    # Constraint messages count the members of a list from 1.
    for position, (name, spec) in enumerate(zip(names, specs, strict=True), 1):
        path = f"toolConfig.tools.{position}.member.toolSpec"
        _check_pattern(name, f"{path}.name", _TOOL_NAME)
        schema = _member(spec, "inputSchema").get("json")
        if not isinstance(schema, dict):
            raise _not_an_object(f"{path}.inputSchema.json")
        if schema.get("type") != "object":
            raise invalid(
                f"The value at toolConfig.tools.{position - 1}.toolSpec.inputSchema.json.type must be one of the "
                "following: object."
            )
        if names.count(name) > 1:
            raise invalid(f"The tool names in toolConfig must be unique. Duplicate name: {name}.")
    choice = config.get("toolChoice")
    if isinstance(choice, dict) and isinstance(choice.get("tool"), dict) and choice["tool"].get("name") not in names:
        raise invalid(f"The tool {choice['tool'].get('name')} in toolChoice is not among the tools of toolConfig.")


# ------------------------------------------------------------------------------------------------------------ turns


def _check_system(blocks: list[Any]) -> None:
    for position, block in enumerate(blocks):
        if isinstance(block, dict) and isinstance(text := block.get("text"), str) and not text.strip():
            raise _blank("SystemContentBlock", f"system.{position}")


def _check_turns(messages: list[Any], model: str) -> None:
    for position, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("content"), list):
            raise malformed(f"Unexpected type for member 'messages.{position}': role and content are expected.")
        if not message["content"]:
            raise invalid(
                f"The content field in the Message object at messages.{position} is empty. "
                "Add a ContentBlock object to the content field and try again."
            )
        for index, block in enumerate(message["content"]):
            _check_block(block, f"messages.{position}.content.{index}")
    first = messages[0].get("role") if messages else None
    # A managed prompt has its own messages, so a request to its ARN may have none.
    if not messages and ":prompt/" in model:
        return
    if first == "assistant" and maker_of(model)[0] in _ASSISTANT_FIRST:
        return
    if first != "user":
        raise invalid(
            "A conversation must start with a user message. "
            "Try again with a conversation that starts with a user message."
        )


def _check_block(block: Any, path: str) -> None:
    # A ContentBlock is a union: exactly one member is set.
    if not isinstance(block, dict) or len(block) != 1:
        raise invalid(f"The ContentBlock object at {path} must set exactly one of its members.")
    if "text" in block:
        if not isinstance(block["text"], str):
            raise malformed(f"Unexpected type for member '{path}.text': a string is expected.")
        if not block["text"].strip():
            raise _blank("ContentBlock", path)
    if "toolUse" in block:
        call = _member(block, "toolUse")
        _check_pattern(call.get("toolUseId"), f"{path}.toolUse.toolUseId", _TOOL_USE_ID)
        _check_pattern(call.get("name"), f"{path}.toolUse.name", _TOOL_NAME)
        # The input is an object, not a string of JSON as in other APIs.
        if not isinstance(call.get("input"), dict):
            raise _not_an_object(f"{path}.toolUse.input")
    if "toolResult" in block:
        result = _member(block, "toolResult")
        _check_pattern(result.get("toolUseId"), f"{path}.toolResult.toolUseId", _TOOL_USE_ID)
        content = result.get("content")
        if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
            raise malformed(f"Unexpected type for member '{path}.toolResult.content': a list of blocks is expected.")
        # Results of tools that the service runs have a form of their own.
        if not content and is_caller_block(block):
            raise invalid(
                f"The content field in the ToolResultBlock object at {path}.toolResult is empty. "
                "Add a ToolResultContentBlock object to the content field and try again."
            )
        for number, item in enumerate(content):
            _check_result(item, f"{path}.toolResult.content.{number}")


def _check_result(item: dict[str, Any], path: str) -> None:
    if "json" in item and not isinstance(item["json"], dict):
        raise _not_an_object(f"{path}.json")
    if "text" in item:
        if not isinstance(item["text"], str):
            raise malformed(f"Unexpected type for member '{path}.text': a string is expected.")
        if not item["text"].strip():
            raise _blank("ToolResultContentBlock", path)


def _check_tool_turns(messages: list[dict[str, Any]], *, offered: bool) -> None:
    # Every tool call must be answered in the next turn, and every result must belong to a call of the previous turn.
    for kind, position, calls in unpaired(messages):
        path = f"messages.{position}.content"
        if kind == "missing":
            raise invalid(f"Expected toolResult blocks at {path} for the following Ids: {', '.join(calls)}")
        raise invalid(
            f"The number of toolResult blocks at {path} exceeds the number of toolUse blocks of previous turn."
        )
    # Tool blocks in the history require the definitions of the tools, even if none will be called.
    used = any(is_caller_block(block) for message in messages for block in message["content"])
    if used and not offered:
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")


# ------------------------------------------------------------------------------------------------------------ helpers


def _member(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise malformed(f"Unexpected type for member '{name}': an object is expected.")
    return value


def _check_pattern(value: Any, path: str, pattern: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise constraint(value, path, f"Member must satisfy regular expression pattern: {pattern.pattern}")
    if len(value) > _MAX_NAME_LENGTH:
        raise constraint(value, path, f"Member must have length less than or equal to {_MAX_NAME_LENGTH}")


def _blank(kind: str, path: str) -> Refusal:
    return invalid(
        f"The text field in the {kind} object at {path} is blank. Add text to the text field, and try again."
    )


def _not_an_object(path: str) -> Refusal:
    return invalid(f"The format of the value at {path} is invalid. Provide a json object for the field and try again.")
