"""Anthropic's Messages: the body of InvokeModel with model and `stream` in it, versions and betas in headers.

Token counts leave out what was cached, and the stream has no metrics of Bedrock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ...service.asked import Asked
from ...service.model_rules import rules_of
from ...service.refusal import invalid
from ...steps import ResponseFailed, Step
from ..facts import Facts, last_metadata, reasoning_tokens
from ..native import claude_answer, claude_request
from ..native.chunks import METRICS
from ..rendering import EventComposer, Form
from ..sse import SSE, Documents, MessagesWriter

__all__ = ("read_count", "read_messages")

_VERSION = re.compile(r"\d{4}-\d\d-\d\d")
# This version has no sampling settings, and only Claude 4.7 and later have it.
_WITHOUT_SAMPLING = "2026-10-21"
_SAMPLING = ("temperature", "top_p", "top_k")
# What Anthropic's own API has beyond Bedrock's.
_SERVER_TOOLS = re.compile(r"(web_search|web_fetch|code_execution|advisor|mcp_toolset)(_\d{8})?")
_WORKSPACE = re.compile(r"default|proj_[A-Za-z0-9]+")
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")  # bedrock-runtime makes the user's id request metadata
_BESIDE_COUNT = frozenset({"max_tokens", "stream", "stop_sequences", "metadata", *_SAMPLING})
_OWN = frozenset({"model", "service_tier", "stream", "user_profile_id"})


def read_messages(asked: Asked) -> tuple[dict[str, Any], Form]:
    """Return the conversation as a Converse body, and the form of its answer. Raises `Refusal`."""
    _check_version(asked)
    stream = asked.body.get("stream", False)
    if not isinstance(stream, bool):
        raise invalid("stream: Input should be a valid boolean")
    return _read(asked, asked.body), Form(
        _Events, _document, unsupported=_is_unsupported, writer=MessagesWriter, content_type=SSE,
        streamed=stream,
    )  # fmt: skip


def read_count(asked: Asked) -> tuple[dict[str, Any], Form]:
    """Return the conversation whose tokens are counted, and the form of the count. Raises `Refusal`."""
    _check_version(asked)
    for name in asked.body:
        if name in _BESIDE_COUNT:
            raise invalid(f"{name}: Extra inputs are not permitted")
    # The limit is no part of a count, but what else reads the body needs one.
    return _read(asked, {**asked.body, "max_tokens": _least_limit(asked.body)}), Form(EventComposer, _count)


def _least_limit(body: dict[str, Any]) -> int:
    thinking = body.get("thinking") or {}
    return int(thinking.get("budget_tokens", 0)) + 1


def _read(asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
    workspace = asked.headers.get("anthropic-workspace", "default")
    if not _WORKSPACE.fullmatch(workspace):
        raise invalid(f"anthropic-workspace: {workspace!r} is not a valid workspace")
    user = (body.get("metadata") or {}).get("user_id")
    if asked.endpoint == "runtime" and user is not None and not _METADATA.fullmatch(user):
        raise invalid("Request metadata contains a value that violates the regular expression")
    for index, tool in enumerate(body.get("tools") or ()):
        if _SERVER_TOOLS.fullmatch(str(tool.get("type"))):
            raise invalid(f"tools.{index}: tool type '{tool['type']}' is not supported on Amazon Bedrock")
    native = {name: value for name, value in body.items() if name not in _OWN}
    if "anthropic_beta" in native:  # betas are a header here
        raise invalid("anthropic_beta: Extra inputs are not permitted")
    return claude_request.read({"anthropic_version": _version(asked), **native}, asked.model)


def _version(asked: Asked) -> str:
    # Some clients still send the body of InvokeModel, with its version.
    return str(asked.headers.get("anthropic-version") or asked.body.get("anthropic_version", ""))


def _check_version(asked: Asked) -> None:
    version = _version(asked)
    if not version:
        raise invalid("anthropic-version: header is required")
    named = asked.headers.get("anthropic-version")
    if named is not None and not _VERSION.fullmatch(named):
        raise invalid(f"anthropic-version: {named!r} is not a valid version")
    if version != _WITHOUT_SAMPLING:
        return
    rules = rules_of(asked.model)
    if rules.thinking is not None and not rules.deprecated_sampling:
        raise invalid(f"anthropic-version: '{version}' is not supported for this model")
    for name in _SAMPLING:
        if name in asked.body:
            raise invalid(f"{name}: Extra inputs are not permitted")


# -------------------------------------------------------------------------------------------------------------- answer


def _is_unsupported(step: Step) -> bool:
    return isinstance(step, ResponseFailed) or claude_answer.is_unsupported(step)


def _details(steps: Sequence[Step]) -> dict[str, Any]:
    return {"output_tokens_details": {"thinking_tokens": reasoning_tokens(steps)}}


class _Events(Documents, claude_answer.Chunks):
    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for document in super().translate(name, payload):
            match document["type"]:
                case "message_start":
                    message = {**document["message"], "stop_details": None}
                    message["usage"] |= {"service_tier": "standard"}
                    yield {**document, "message": message}
                case "message_delta":
                    yield {**document, "usage": {**document["usage"], **_details(self.steps)}}
                case _:
                    yield {key: value for key, value in document.items() if key != METRICS}


def _document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    message = claude_answer.document(steps, facts)
    usage = {**message["usage"], **_details(steps), "service_tier": "standard"}
    return {**message, "stop_details": None, "usage": usage}


def _count(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    usage = facts.metadata(steps, last_metadata(steps))["usage"]
    return {"input_tokens": usage.get("inputTokens", 0)}
