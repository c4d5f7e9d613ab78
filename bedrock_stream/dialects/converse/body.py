"""The request body of Converse and ConverseStream.

Source: ConverseRequest and ConverseStreamRequest in the Bedrock Runtime service model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...types.messages import Block, Message, Raw, ToolCall, ToolResult
from ...types.options import Options
from ...types.tools import Tool
from .blocks import write_block

__all__ = ("REQUEST_MEMBERS", "write_body")

REQUEST_MEMBERS = (
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
)
"""The members of a request to Converse and ConverseStream in the service model."""


def write_body(messages: Sequence[Message], options: Options) -> dict[str, Any]:
    """See `dialects.Dialect.body`. The body has only the members that the caller asked for."""
    body: dict[str, Any] = {
        "messages": [{"role": message.role, "content": _blocks(message.content)} for message in messages],
    }
    if options.system:
        body["system"] = [_system(item) for item in options.system]
    if inference := _inference(options):
        body["inferenceConfig"] = inference
    if tools := _tool_config(messages, options):
        body["toolConfig"] = tools
    # Members that Converse passes to the model unchanged, `top_k` and `anthropic_beta` among them.
    if options.additional_model_request_fields is not None:
        body["additionalModelRequestFields"] = options.additional_model_request_fields
    if options.response_field_paths:
        body["additionalModelResponseFieldPaths"] = options.response_field_paths
    if options.prompt_variables is not None:
        body["promptVariables"] = {name: {"text": text} for name, text in options.prompt_variables.items()}
    # The following are headers in the native formats, see `native`.
    if options.guardrail is not None:
        body["guardrailConfig"] = options.guardrail
    if options.performance is not None:
        body["performanceConfig"] = {"latency": options.performance}
    if options.service_tier is not None:
        body["serviceTier"] = {"type": options.service_tier}
    if options.request_metadata is not None:
        body["requestMetadata"] = options.request_metadata
    if options.project is not None:
        body["projectIdentifier"] = options.project
    return {**body, **options.extra}


def _blocks(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [write_block(block) for block in blocks]


def _is_result(block: Block) -> bool:
    return isinstance(block, ToolResult) or (isinstance(block, Raw) and "toolResult" in block.value)


def _is_call(block: Block) -> bool:
    return isinstance(block, ToolCall) or (isinstance(block, Raw) and "toolUse" in block.value)


def _system(item: Block | dict[str, Any]) -> dict[str, Any]:
    return item if isinstance(item, dict) else write_block(item)


def _inference(options: Options) -> dict[str, Any]:
    fields = {  # Converse has no top_k: it is an additional field of each vendor
        "maxTokens": options.max_tokens,
        "temperature": options.temperature,
        "topP": options.top_p,
        "stopSequences": options.stop_sequences or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_config(messages: Iterable[Message], options: Options) -> dict[str, Any] | None:
    """Return the tools and the choice among them.

    Converse has no choice "none". Without calls and results in the history, omitting the tools has the same effect.
    With them, Converse requires the tools, so they are sent without a choice.
    """
    if not options.tools:
        return None
    if options.tool_choice == "none" and not any(
        _is_call(block) or _is_result(block) for message in messages for block in message.content
    ):
        return None
    config: dict[str, Any] = {"tools": [_tool(tool) for tool in options.tools]}
    choice = options.tool_choice  # on the wire a union with one key
    if isinstance(choice, dict):
        config["toolChoice"] = choice
    elif choice in ("auto", "any"):
        config["toolChoice"] = {choice: {}}
    elif choice is not None and choice != "none":
        config["toolChoice"] = {"tool": {"name": choice}}
    return config


def _tool(tool: Tool | dict[str, Any]) -> dict[str, Any]:
    if isinstance(tool, dict):
        return tool
    spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": tool.input_schema}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {"toolSpec": {**spec, **tool.extra}}
