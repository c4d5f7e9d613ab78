"""A chat completion request in this library's words. Raises `Refused`, naming the member that is wrong.

Files and images come as `data:` URLs; nothing is fetched, from the web or from S3. What Bedrock has no words for and an
answer would be wrong without is refused; what merely tunes or labels (`seed`, `user`, `metadata`, ...) is passed over.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError
from ..types.media import Attachment, Document, Image
from ..types.messages import Block, Message, Reasoning, Text, ToolCall, ToolResult
from ..types.tools import Tool
from .errors import Refused
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

__all__ = ("Asked", "aliases", "ask_for", "blame", "read_request")

_A = TypeVar("_A", bound=Attachment)


class Asked(msgspec.Struct, frozen=True):
    """A request, ready for `Client.stream`."""

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any]


_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
_DOCUMENT_FORMATS = {"plain": "txt", "markdown": "md", "csv": "csv", "html": "html", "pdf": "pdf"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")

# Members that change the answer, each with the values that change nothing.
_NOT_OFFERED: dict[str, Callable[[Any], bool]] = {
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

# What the library calls a caller's own words, and what OpenAI calls them.
_CALLERS = {
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


def read_request(body: bytes) -> ChatRequest:
    """Parse and check a body."""
    try:
        request = _decode(body)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at ")
        raise Refused(400, problem, param=place.strip("`").removeprefix("$").lstrip(".") or None) from None
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.", code="invalid_json") from None
    for name, harmless in _NOT_OFFERED.items():
        value = getattr(request, name)
        if value is not None and not harmless(value):
            raise Refused(400, f"{name}: {value!r} is not offered; leave it out.", param=name, code="unsupported_value")
    if isinstance(request.response_format, JsonObject):
        raise Refused(400, "response_format: json_object is not offered; use json_schema.", param="response_format")
    return request


def ask_for(request: ChatRequest, model: str) -> Asked:
    """What to ask Bedrock. `model` is the id that stands behind the request's own."""
    try:
        messages, system = _conversation(request)
        return Asked(model, messages, _options(request, system))
    except ConfigurationError as error:
        raise blame(error) from None


def blame(error: ConfigurationError) -> Refused:
    """The refusal of what the library refuses at the call; what is the owner's to mend is not shown."""
    root = re.split(r"[.\[(]", error.argument)[0]
    if root not in _CALLERS:
        return Refused(500, "The server is not set up for this request.")
    return Refused(400, str(error), param=_CALLERS[root])


def _options(request: ChatRequest, system: list[str]) -> dict[str, Any]:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    form = request.response_format
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    given = {
        "system": system or None,
        "tools": [_tool(tool, place) for place, tool in enumerate(request.tools)] if request.tools else None,
        "tool_choice": _tool_choice(request),
        "max_tokens": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": stop or None,
        "reasoning": request.reasoning_effort,
        "output_schema": form.json_schema.schema if isinstance(form, JsonSchema) else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _tool(spec: ToolSpec, place: int) -> Tool:
    function = spec.function
    schema = function.parameters or {"type": "object", "properties": {}}
    try:
        return Tool(
            name=function.name,
            description=function.description or "",
            input_schema=schema,
            strict=function.strict,
        )
    except ConfigurationError as error:
        raise Refused(400, str(error), param=f"tools[{place}].function") from None


def _tool_choice(request: ChatRequest) -> str | dict[str, Any] | None:
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None
    if isinstance(choice, FunctionChoice):
        name = choice.function.name
        if name not in [tool.function.name for tool in request.tools]:
            raise Refused(400, f"tool_choice: {name!r} is not among the tools.", param="tool_choice")
        return {"tool": {"name": name}}  # a tool may be called "auto"
    return {"required": "any"}.get(choice, choice)


# ----------------------------------------------------------------------------------------------------- the conversation


def _conversation(request: ChatRequest) -> tuple[tuple[Message, ...], list[str]]:
    """The messages, and apart from them what the system says, wherever it stood."""
    messages: list[Message] = []
    system: list[str] = []
    for number, message in enumerate(request.messages):
        place = f"messages[{number}]"
        match message:
            case SystemMessage() | DeveloperMessage():
                system += [part.text for part in _parts(message.content, place) if isinstance(part, Text)]
            case UserMessage():
                messages.append(Message("user", _parts(message.content, place)))
            case AssistantMessage():
                messages.append(Message("assistant", _said(message, place)))
            case ToolMessage():
                _add_result(messages, ToolResult(message.tool_call_id, _parts(message.content, place)))
    return tuple(messages), system


def _add_result(messages: list[Message], result: ToolResult) -> None:
    """The results of one answer's calls share a message."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "user" and all(isinstance(block, ToolResult) for block in last.content):
        messages[-1] = Message("user", [*last.content, result])
    else:
        messages.append(Message("user", [result]))


def _said(message: AssistantMessage, place: str) -> Iterable[Block]:
    for detail in message.reasoning_details or ():
        if detail.type == "reasoning.encrypted" and detail.data is not None:
            yield Reasoning(redacted=_base64(detail.data, f"{place}.reasoning_details"))
        elif detail.type == "reasoning.text" and detail.signature is not None:
            yield Reasoning(detail.text or "", detail.signature)
    yield from _parts(message.content or "", place)
    for number, call in enumerate(message.tool_calls or ()):
        where = f"{place}.tool_calls[{number}].function.arguments"
        yield ToolCall(call.id, call.function.name, _arguments(call.function.arguments, where))


def _arguments(text: str, place: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text) if text.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, f"{place}: it is not a JSON object.", param=place)
    return value


def _parts(content: str | list[Part], place: str) -> list[Any]:
    """The blocks of a content. An empty text is no block: clients send one beside tool calls."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    blocks = (_part(part, f"{place}.content[{number}]") for number, part in enumerate(content))
    return [block for block in blocks if block != Text("")]


def _part(part: Part, place: str) -> Block:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
        case ImagePart():
            kind, data = _data_url(part.image_url.url, f"{place}.image_url.url")
            return _attached(Image, place, data=data, format=kind.rpartition("/")[2])
        case FilePart():
            return _document(part, place)


def _document(part: FilePart, place: str) -> Document:
    where = f"{place}.file.file_data"
    if part.file.file_data is None:
        raise Refused(400, f"{where}: a file must come along; stored files are not offered.", param=where)
    kind, data = _data_url(part.file.file_data, where)
    stem, _, suffix = (part.file.filename or "").rpartition(".")
    name = " ".join(_NOT_IN_NAMES.sub(" ", stem).split())[:200] or "document"
    known = _DOCUMENT_FORMATS.get(kind.rpartition("/")[2], suffix.lower() if stem else "")
    return _attached(Document, where, data=data, format=known, name=name)


def _attached(kind: Callable[..., _A], place: str, **fields: Any) -> _A:
    try:
        return kind(**fields)
    except ConfigurationError as error:
        raise Refused(400, f"{place}: {error.problem}; {error.remedy}", param=place) from None


def _data_url(url: str, place: str) -> tuple[str, bytes]:
    """A media type and bytes."""
    head = _DATA_URL.match(url)
    if head is None:
        raise Refused(400, f"{place}: only data:...;base64,... is taken; nothing is fetched.", param=place)
    return head["type"] or "", _base64(url[head.end() :], place)


def _base64(text: str, place: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise Refused(400, f"{place}: it is not base64.", param=place) from None


def aliases(models: Mapping[str, str] | Iterable[str] | None) -> dict[str, str] | None:
    """What clients may ask for, and the id behind it; None where they may ask for any model."""
    if models is None:
        return None
    if isinstance(models, str):
        raise ConfigurationError("models", f"{models!r} is no list", "give a list of ids, or names with ids")
    return dict(models) if isinstance(models, Mapping) else {name: name for name in models}
