"""pydantic-ai's history as a conversation of this library.

Only what pydantic-ai has of its own is decided here: its parts, its files, and whose reasoning may go back. What a
model takes in which order is `request.conversation`'s.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ERROR_OUTCOMES,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)
from pydantic_ai.models import Model, ModelRequestParameters, download_item

from ...types import messages as own
from ...types.media import Document, Image, Video

__all__ = ("REDACTED", "REDACTED_BASE64", "Conversation", "read_messages")

REDACTED = "redacted_content"
"""The id of a thinking part whose signature is redacted reasoning, as `BedrockConverseModel` has it."""
REDACTED_BASE64 = "redacted_content_base64"
"""The same for redacted reasoning that is not text."""
_REDACTED_IDS = (REDACTED, REDACTED_BASE64, "redacted_thinking")


class Conversation(msgspec.Struct, frozen=True):
    """A system prompt and the messages after it."""

    system: list[str]
    messages: list[own.Message]


async def read_messages(
    messages: Sequence[ModelMessage], parameters: ModelRequestParameters, model: Model[Any], family: str | None
) -> Conversation:
    """Return the conversation for a model of this family.

    Downloads files that are given by their URL. Raises `UserError` for a part that cannot be sent.
    """
    system: list[str] = []
    turns: list[own.Message] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            turn = own.Message("assistant", _blocks_of_response(message, model, family))
        else:
            turn = own.Message("user", await _blocks_of_request(message, system))
        if turn.content:
            turns.append(turn)
    system += _instructions(messages, parameters)
    # The service needs a message, and refuses blank text.
    return Conversation(system, turns or [own.Message.user(".")])


def _instructions(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> list[str]:
    if parameters.instruction_parts is not None:
        return [part.content for part in parameters.instruction_parts if part.content.strip()]
    requests = [message for message in messages if isinstance(message, ModelRequest)]
    return [requests[-1].instructions] if requests and requests[-1].instructions else []


# ------------------------------------------------------------------------------------------------------------ requests


async def _blocks_of_request(message: ModelRequest, system: list[str]) -> list[own.Block]:
    """Return the blocks of a request; its system prompts are added to `system`."""
    blocks: list[own.Block] = []
    for part in message.parts:
        if isinstance(part, SystemPromptPart):
            if part.content.strip():
                system.append(part.content)
        elif isinstance(part, UserPromptPart):
            items = [part.content] if isinstance(part.content, str) else part.content
            for item in items:
                blocks += await _user_content(item)
        elif isinstance(part, ToolReturnPart):
            blocks.append(await _tool_result(part))
        else:
            # `Agent` replaces all others.
            name = type(part).__name__
            raise UserError(f"{name} cannot be sent; pass messages through model.prepare_messages(...) first")
    return blocks


async def _user_content(item: Any) -> list[own.Block]:
    if isinstance(item, str):
        return [own.Text(item)] if item.strip() else []
    if isinstance(item, TextContent):
        return await _user_content(item.content)
    if isinstance(item, CachePoint):
        return [own.CachePoint(item.ttl)]
    return [await _file(item)]


async def _tool_result(part: ToolReturnPart) -> own.ToolResult:
    items = part.content_items(mode="str", wrap_if_error=False)
    content: list[Any] = [item if isinstance(item, str) else await _file(item) for item in items]
    return own.ToolResult(part.tool_call_id, content, status="error" if part.outcome in ERROR_OUTCOMES else "success")


async def _file(item: Any) -> Image | Document | Video:
    """Return a file. Raises `UserError` for one of a kind that Converse has no block for."""
    if isinstance(item, BinaryContent):
        return _attachment(item.media_type, item.format, data=item.data)
    if isinstance(item, UploadedFile):
        return _attachment(item.media_type, item.format, s3_uri=item.file_id)
    if not isinstance(item, ImageUrl | DocumentUrl | VideoUrl):
        raise UserError(f"{type(item).__name__} cannot be sent to Bedrock")
    if item.url.startswith("s3://"):
        return _attachment(item.media_type, item.format, s3_uri=item.url)
    downloaded = await download_item(item, data_format="bytes", type_format="extension")
    return _attachment(item.media_type, item.format, data=downloaded["data"])


def _attachment(media_type: str, format: str, **source: Any) -> Image | Document | Video:
    kind = media_type.partition("/")[0]
    if kind == "image":
        return Image(format=format, **source)
    if kind == "video":
        return Video(format=format, **source)
    if kind == "audio":
        raise UserError("audio cannot be sent to Bedrock")
    return Document(format=format, **source)


# ----------------------------------------------------------------------------------------------------------- responses


def _blocks_of_response(message: ModelResponse, model: Model[Any], family: str | None) -> list[own.Block]:
    blocks: list[own.Block] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            if part.content.strip():
                blocks.append(own.Text(part.content))
        elif isinstance(part, ThinkingPart):
            blocks += _reasoning(part, message, model, family)
        elif isinstance(part, ToolCallPart):
            blocks.append(own.ToolCall(part.tool_call_id, part.tool_name, _arguments(part)))
        # Others are files, and calls of tools that another provider ran: no API takes them back.
    return blocks


def _arguments(part: ToolCallPart) -> dict[str, Any]:
    """Return the input of a call. The model is told in the result what was wrong with one that is not an object."""
    try:
        return part.args_as_dict()
    except (ValueError, AssertionError):
        return {"INVALID_JSON": part.args_as_json_str()}


def _reasoning(part: ThinkingPart, message: ModelResponse, model: Model[Any], family: str | None) -> list[own.Block]:
    """Return reasoning that this model may get back; a signature of another provider means nothing to it."""
    if part.signature is None or not model.accepts_stateless_artifacts(message, part):
        own_family = family if message.model_name == model.model_name else None
        return [own.Reasoning(part.content, family=own_family)] if part.content.strip() else []
    if part.id in _REDACTED_IDS:
        data = b64decode(part.signature) if part.id == REDACTED_BASE64 else part.signature.encode()
        return [own.Reasoning(part.content, redacted=data, family=family)]
    return [own.Reasoning(part.content, part.signature, family=family)]
