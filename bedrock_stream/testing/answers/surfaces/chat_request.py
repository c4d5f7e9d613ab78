"""Requests to Chat Completions: validation with OpenAI's words, and conversion to Converse."""

from __future__ import annotations

from typing import Any

from ...service.asked import Asked
from ...service.refusal import Refusal
from ..native.openai_request import check_pairs, to_converse
from .openai_rules import (
    check_effort,
    check_limit,
    check_names,
    check_project,
    check_sampling,
    is_gpt,
    is_gpt_oss,
    missing,
    refused,
)

__all__ = ("read",)

_TOP_LEVEL = frozenset(
    {"amazon-bedrock-guardrailConfig", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens"}
    | {"max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction"}
    | {"presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format"}
    | {"safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature"}
    | {"tool_choice", "tools", "top_k", "top_logprobs", "top_p", "user", "verbosity"}
)


def read(asked: Asked) -> dict[str, Any]:
    """Validate a body and return the Converse body of the same conversation. Raises `Refusal`."""
    body, model = asked.body, asked.model
    check_project(asked)
    for name in body:
        if name not in _TOP_LEVEL:
            raise refused(f"Unrecognized request argument supplied: {name}", name, "unknown_parameter")
    if not body.get("messages"):
        raise missing("messages")
    _check_stream(body)
    _check_settings(body, model)
    _check_tools(body)
    _check_ids(body["messages"])
    if asked.endpoint == "runtime":
        _check_images(body["messages"])
    converse = to_converse(body, media=not is_gpt_oss(model))
    try:
        check_pairs(converse)
    except Refusal as refusal:
        raise refused(refusal.message, "messages", "invalid_request_error") from None
    return converse


def _check_stream(body: dict[str, Any]) -> None:
    if not isinstance(body.get("stream") or False, bool):
        raise refused("Invalid type for 'stream': expected a boolean.", "stream", "invalid_type")
    if body.get("stream_options") is not None and not body.get("stream"):
        raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")


def _check_settings(body: dict[str, Any], model: str) -> None:
    if is_gpt(model) and body.get("max_tokens") is not None:
        raise refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.", "max_tokens", "unsupported_parameter",
        )  # fmt: skip
    for name in ("max_tokens", "max_completion_tokens"):
        check_limit(body.get(name), name, model)
    effort = body.get("reasoning_effort")
    check_effort(effort, "reasoning_effort", model)
    check_sampling(body, effort, model)
    if body.get("n") not in (None, 1):
        raise refused(f"Invalid 'n': only one choice is supported, but got {body['n']}.", "n")


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        if tool.get("type") != "function":
            raise refused(f"Invalid value: '{tool.get('type')}'. Supported values are: 'function'.", f"tools[{index}]")
    choice = body.get("tool_choice")
    if choice not in (None, "none") and not tools:
        raise refused("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else None
    check_names([tool["function"]["name"] for tool in tools], forced)


def _check_ids(messages: list[dict[str, Any]]) -> None:
    """Check that no call is in a message twice, and no call is answered twice. Raises `Refusal`."""
    answered: set[str] = set()
    for position, message in enumerate(messages):
        if message.get("role") == "tool":
            ids = [message["tool_call_id"]]
        else:
            answered.clear()
            ids = [call["id"] for call in message.get("tool_calls") or ()]
        if len(set(ids)) < len(ids) or answered.intersection(ids):
            raise refused(f"Duplicate value for 'tool_call_id' of '{ids[0]}' in message[{position}].", "messages")
        if message.get("role") == "tool":
            answered.update(ids)


def _check_images(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        for part in message["content"] if isinstance(message.get("content"), list) else ():
            if part.get("type") == "image_url" and not part["image_url"]["url"].startswith(("data:", "s3://")):
                raise refused("Images must be data URLs or in Amazon S3.", "messages")
