"""Conversion of chat completion requests into calls of `Client.stream`. Raises `RequestError` with the invalid member.

Images and files must be `data:` URLs; nothing is fetched from the web or from S3. Members without an equivalent in
Bedrock are rejected if they change the result; hints and labels (`seed`, `user`, `metadata`, ...) are ignored.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError
from ..integrations.http_errors import NOT_CONFIGURED
from ..types.media import Attachment, Document, Image
from ..types.messages import Block, Message, Reasoning, Text, ToolCall, ToolResult
from ..types.tools import Tool
from .errors import RequestError
from .schema import (
    AssistantMessage,
    ChatRequest,
    DeveloperMessage,
    FilePart,
    FunctionChoice,
    ImagePart,
    JsonObject,
    JsonSchema,
    Part,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    ToolSpec,
    UserMessage,
)

__all__ = ("ChatCall", "build_call", "model_ids", "parse_request", "request_error")

_A = TypeVar("_A", bound=Attachment)


class ChatCall(msgspec.Struct, frozen=True):
    """The arguments of a `Client.stream` call."""

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any]


# RFC 2397: data:[<media type>][;<parameter>=<value>]*;base64,<data>
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
_DOCUMENT_FORMATS = {"plain": "txt", "markdown": "md", "csv": "csv", "html": "html", "pdf": "pdf"}
# Bedrock's service model allows only these characters in a document's name, and single spaces.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")

# Unsupported members that change the result, each with a check for the values that have no effect.
_UNSUPPORTED: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value == 1,
    "logprobs": lambda value: not value,
    "logit_bias": lambda value: not value,
    "frequency_penalty": lambda value: not value,
    "presence_penalty": lambda value: not value,
    "parallel_tool_calls": lambda value: value is True,
    "modalities": lambda value: value == ["text"],
    "functions": lambda value: not value,
    "web_search_options": lambda value: False,
}

# The library's arguments that a request determines, with the names of the members in OpenAI's API.
_MEMBERS = {
    "model": "model",
    "prompt": "messages",
    "messages": "messages",
    "Message": "messages",
    "Text": "messages",
    "Image": "messages",
    "Document": "messages",
    "ToolResult": "messages",
    "system": "messages",
    "tools": "tools",
    "Tool": "tools",
    "tool_choice": "tool_choice",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop_sequences": "stop",
    "reasoning": "reasoning_effort",
    "output_schema": "response_format",
}

_decode = msgspec.json.Decoder(ChatRequest).decode


def parse_request(body: bytes) -> ChatRequest:
    """Parse a request body and reject the members and values that the gateway does not support."""
    try:
        request = _decode(body)
    except msgspec.ValidationError as error:
        # msgspec reports the path as "... - at `$.messages[0].role`"; OpenAI's `param` has no "$".
        message, _, path = str(error).partition(" - at ")
        raise RequestError(400, message, param=path.strip("`").removeprefix("$").lstrip(".") or None) from None
    except (ValueError, RecursionError):
        raise RequestError(400, "The request body is not valid JSON.", code="invalid_json") from None
    for name, has_no_effect in _UNSUPPORTED.items():
        value = getattr(request, name)
        if value is not None and not has_no_effect(value):
            raise RequestError(
                400, f"{name}: {value!r} is not supported; omit it", param=name, code="unsupported_value"
            )
    # Bedrock's structured output needs a schema.
    if isinstance(request.response_format, JsonObject):
        raise RequestError(
            400, "response_format: json_object is not supported; use json_schema", param="response_format"
        )
    return request


def build_call(request: ChatRequest, model: str) -> ChatCall:
    """Convert a request into a call of `Client.stream`. `model` is the Bedrock id for the requested name."""
    try:
        messages, system = _conversation(request)
        return ChatCall(model, messages, _options(request, system))
    except ConfigurationError as error:
        raise request_error(error) from None


def request_error(error: ConfigurationError) -> RequestError:
    """Convert an error about an argument: 400 if the request determines the argument, else 500 without details."""
    root = re.split(r"[.\[(]", error.argument)[0]
    if root not in _MEMBERS:
        return RequestError(500, NOT_CONFIGURED)
    return RequestError(400, str(error), param=_MEMBERS[root])


def _options(request: ChatRequest, system: list[str]) -> dict[str, Any]:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    response_format = request.response_format
    schema = response_format.json_schema.schema if isinstance(response_format, JsonSchema) else None
    # OpenAI replaced `max_tokens` with `max_completion_tokens`, so the newer one takes precedence.
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    options = {
        "system": system or None,
        "tools": [_tool(tool, index) for index, tool in enumerate(request.tools)] if request.tools else None,
        "tool_choice": _tool_choice(request),
        "max_tokens": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": stop or None,
        "reasoning": request.reasoning_effort,
        "output_schema": schema,
    }
    return {name: value for name, value in options.items() if value is not None}


def _tool(spec: ToolSpec, index: int) -> Tool:
    function = spec.function
    # OpenAI: a function without `parameters` takes an empty object. Bedrock requires a schema.
    schema = function.parameters or {"type": "object", "properties": {}}
    try:
        return Tool(
            name=function.name,
            description=function.description or "",
            input_schema=schema,
            strict=function.strict,
        )
    except ConfigurationError as error:
        raise RequestError(400, str(error), param=f"tools[{index}].function") from None


def _tool_choice(request: ChatRequest) -> str | dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None  # Bedrock rejects a tool choice without tools
    if isinstance(choice, FunctionChoice):
        name = choice.function.name
        if name not in [tool.function.name for tool in request.tools]:
            raise RequestError(400, f"tool_choice: {name!r} is not one of the tools", param="tool_choice")
        return {"tool": {"name": name}}  # not just the name, since a tool may be named "auto"
    return {"required": "any"}.get(choice, choice)


# --------------------------------------------------------------------------------------------------------- conversation


def _conversation(request: ChatRequest) -> tuple[tuple[Message, ...], list[str]]:
    """Return the messages, and separately the system texts, which OpenAI allows at any position."""
    messages: list[Message] = []
    system: list[str] = []
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                system += [part.text for part in _parts(message.content, path) if isinstance(part, Text)]
            case UserMessage():
                messages.append(Message("user", _parts(message.content, path)))
            case AssistantMessage():
                messages.append(Message("assistant", _assistant_blocks(message, path)))
            case ToolMessage():
                _add_result(messages, ToolResult(message.tool_call_id, _parts(message.content, path)))
    return tuple(messages), system


def _add_result(messages: list[Message], result: ToolResult) -> None:
    """Append a tool result. OpenAI has one message per result; Bedrock wants all results of a turn in one message."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "user" and all(isinstance(block, ToolResult) for block in last.content):
        messages[-1] = Message("user", [*last.content, result])
    else:
        messages.append(Message("user", [result]))


def _assistant_blocks(message: AssistantMessage, path: str) -> Iterable[Block]:
    # Reasoning comes first in a turn. Without its signature, the model would reject it, so it is dropped.
    for detail in message.reasoning_details or ():
        if detail.type == "reasoning.encrypted" and detail.data is not None:
            yield Reasoning(redacted=_base64(detail.data, f"{path}.reasoning_details"))
        elif detail.type == "reasoning.text" and detail.signature is not None:
            yield Reasoning(detail.text or "", detail.signature)
    yield from _parts(message.content or "", path)
    for index, call in enumerate(message.tool_calls or ()):
        arguments = _arguments(call.function.arguments, f"{path}.tool_calls[{index}].function.arguments")
        yield ToolCall(call.id, call.function.name, arguments)


def _arguments(text: str, path: str) -> dict[str, Any]:
    """Parse a call's arguments, which are JSON in a string; blank text is a call without arguments."""
    try:
        value = msgspec.json.decode(text) if text.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(400, f"{path}: expected a JSON object", param=path)
    return value


def _parts(content: str | list[Part], path: str) -> list[Any]:
    """Convert a content into blocks. Empty texts are dropped: clients send them beside tool calls."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    blocks = (_part(part, f"{path}.content[{index}]") for index, part in enumerate(content))
    return [block for block in blocks if block != Text("")]


def _part(part: Part, path: str) -> Block:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)  # Bedrock has no block for a refusal; it is text of the assistant
        case ImagePart():
            media_type, data = _data_url(part.image_url.url, f"{path}.image_url.url")
            return _attachment(Image, path, data=data, format=media_type.rpartition("/")[2])
        case FilePart():
            return _document(part, path)


def _document(part: FilePart, path: str) -> Document:
    path = f"{path}.file.file_data"
    if part.file.file_data is None:
        raise RequestError(400, f"{path}: required; uploaded files (file_id) are not supported", param=path)
    media_type, data = _data_url(part.file.file_data, path)
    stem, _, suffix = (part.file.filename or "").rpartition(".")
    # Bedrock requires a name of at most 200 characters.
    name = " ".join(_NOT_IN_NAMES.sub(" ", stem).split())[:200] or "document"
    # Clients send application/octet-stream for what they do not know; then the file name's suffix decides.
    kind = _DOCUMENT_FORMATS.get(media_type.rpartition("/")[2], suffix.lower() if stem else "")
    return _attachment(Document, path, data=data, format=kind, name=name)


def _attachment(kind: Callable[..., _A], path: str, **fields: Any) -> _A:
    try:
        return kind(**fields)
    except ConfigurationError as error:
        message = "; ".join(text for text in (error.problem, error.remedy) if text)
        raise RequestError(400, f"{path}: {message}", param=path) from None


def _data_url(url: str, path: str) -> tuple[str, bytes]:
    """Return the media type and the data of a `data:` URL."""
    head = _DATA_URL.match(url)
    if head is None:
        raise RequestError(400, f"{path}: expected data:...;base64,...; URLs are not fetched", param=path)
    return head["type"] or "", _base64(url[head.end() :], path)


def _base64(text: str, path: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise RequestError(400, f"{path}: expected base64", param=path) from None


def model_ids(models: Mapping[str, str] | Iterable[str] | None) -> dict[str, str] | None:
    """Return the Bedrock model ids by the names that clients request; None if every model is allowed."""
    if models is None:
        return None
    if isinstance(models, str):
        raise ConfigurationError("models", f"expected a list of model ids or a mapping of names to ids, got {models!r}")
    return dict(models) if isinstance(models, Mapping) else {name: name for name in models}
