"""The JSON of a chat completion request as structs. Members that are not declared here are ignored.

This keeps Bedrock's own settings (`s3://` sources, regions, credentials, guardrails) out of the reach of clients.
Source: OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = (
    "AssistantMessage",
    "CacheControl",
    "ChatMessage",
    "CompletionRequest",
    "Content",
    "DeveloperMessage",
    "FilePart",
    "FunctionChoice",
    "ImagePart",
    "JsonObject",
    "JsonSchema",
    "Part",
    "RefusalPart",
    "SystemMessage",
    "TextPart",
    "ToolMessage",
    "ToolSpec",
    "UserMessage",
)


class CacheControl(msgspec.Struct, frozen=True):
    """A mark of clients that know Anthropic's caching: what precedes it may be cached."""

    type: str = "ephemeral"
    ttl: Literal["5m", "1h"] | None = None


class _Part(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    cache_control: CacheControl | None = None


class TextPart(_Part, frozen=True, tag="text"):
    text: str


class RefusalPart(_Part, frozen=True, tag="refusal"):
    refusal: str


class ImageUrl(msgspec.Struct, frozen=True):
    # `detail`, a hint for the resolution, has no equivalent in Bedrock.
    url: str


class ImagePart(_Part, frozen=True, tag="image_url"):
    image_url: ImageUrl


class File(msgspec.Struct, frozen=True):
    # OpenAI also accepts the `file_id` of an uploaded file.
    file_data: str | None = None
    filename: str | None = None


class FilePart(_Part, frozen=True, tag="file"):
    file: File


Part: TypeAlias = TextPart | RefusalPart | ImagePart | FilePart
Content: TypeAlias = str | list[Part]


class _Message(msgspec.Struct, frozen=True, tag_field="role", kw_only=True):
    # Beside content that is a str.
    cache_control: CacheControl | None = None


class SystemMessage(_Message, frozen=True, tag="system"):
    content: Content


# Replaces the system message for OpenAI's o1 and newer models.
class DeveloperMessage(_Message, frozen=True, tag="developer"):
    content: Content


class UserMessage(_Message, frozen=True, tag="user"):
    content: Content


class FunctionCall(msgspec.Struct, frozen=True):
    name: str
    # JSON as text, which the model may have left incomplete.
    arguments: str = ""


class CallSpec(msgspec.Struct, frozen=True):
    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class ReasoningDetail(msgspec.Struct, frozen=True):
    """A reasoning block that was sent on an earlier turn; see `integrations.protocols.openai`."""

    type: str
    text: str | None = None
    signature: str | None = None
    data: str | None = None


class AssistantMessage(_Message, frozen=True, tag="assistant"):
    # Null or absent beside tool calls.
    content: Content | None = None
    tool_calls: list[CallSpec] | None = None
    reasoning_details: list[ReasoningDetail] | None = None


class ToolMessage(_Message, frozen=True, tag="tool"):
    tool_call_id: str
    content: Content


ChatMessage: TypeAlias = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class FunctionSpec(msgspec.Struct, frozen=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    # Some clients put it here, others beside `function`.
    cache_control: CacheControl | None = None


class ToolSpec(msgspec.Struct, frozen=True):
    function: FunctionSpec
    type: Literal["function"] = "function"
    cache_control: CacheControl | None = None


class FunctionName(msgspec.Struct, frozen=True):
    name: str


class FunctionChoice(msgspec.Struct, frozen=True):
    function: FunctionName
    type: Literal["function"] = "function"


class _ResponseFormat(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class PlainText(_ResponseFormat, frozen=True, tag="text"):
    pass


class JsonObject(_ResponseFormat, frozen=True, tag="json_object"):
    pass


class Schema(msgspec.Struct, frozen=True):
    schema: dict[str, Any]


class JsonSchema(_ResponseFormat, frozen=True, tag="json_schema"):
    json_schema: Schema


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `POST /v1/chat/completions`, without `model`: the server may choose it."""

    # Each is decoded on its own, as a `ChatMessage`: a conversation may have very many.
    messages: list[msgspec.Raw]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Deprecated by OpenAI in favor of the next one; clients send either.
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    tools: list[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    response_format: PlainText | JsonObject | JsonSchema | None = None
    # Unsupported, but ignoring them would change the result: rejected by `openai.check_supported`.
    n: int | None = None
    logprobs: bool | None = None
    logit_bias: dict[str, float] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    modalities: list[str] | None = None
    functions: list[Any] | None = None
    web_search_options: dict[str, Any] | None = None
