"""Conversion of chat completion requests into calls of `Client.stream`. Raises `RequestError` with the invalid member.

Members without an equivalent in Bedrock are rejected if they change the result; hints and labels (`seed`, `user`,
`metadata`, ...) are ignored. What the model refuses is left out, see `fitting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError
from ..integrations.http_errors import NOT_CONFIGURED
from ..types.checks import check_cost
from ..types.messages import Block, CachePoint, Message, Reasoning, Text, ToolCall, ToolResult
from ..types.model_facts import ModelFacts
from ..types.tools import Tool
from .errors import RequestError
from .fitting import Caching, Fitting
from .parts import add_cache_point, read_base64, read_content
from .schema import (
    AssistantMessage,
    ChatMessage,
    ChatRequest,
    DeveloperMessage,
    FunctionChoice,
    JsonObject,
    JsonSchema,
    SystemMessage,
    ToolMessage,
    ToolSpec,
    UserMessage,
)

__all__ = ("ChatCall", "build_call", "model_ids", "parse_request", "request_error")


class ChatCall(msgspec.Struct, frozen=True):
    """The arguments of a `Client.stream` call."""

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What was changed of the request, in sentences."""


# A tool that returns nothing: the service refuses a blank result.
_NO_OUTPUT = "(no output)"

# Unsupported members that change the result, each with a check for the values that have no effect.
_UNSUPPORTED: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value == 1,
    "logprobs": lambda value: not value,
    "logit_bias": lambda value: not value,
    "frequency_penalty": lambda value: not value,
    "presence_penalty": lambda value: not value,
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

_LARGE = 1024 * 1024  # bytes
# Messages and their parts. More could not be planned in a reasonable time, and no model has a context for them.
_MAX_PARTS = 100_000


class _Conversation(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(ChatRequest).decode
_decode_conversation = msgspec.json.Decoder(_Conversation).decode
_decode_message = msgspec.json.Decoder(ChatMessage).decode

_Decoded = TypeVar("_Decoded")


def parse_request(body: bytes) -> ChatRequest:
    """Parse a request body and reject the members and values that the gateway does not support."""
    _check_cost(body)
    request = _parse(_decode, body)
    if len(request.messages) > _MAX_PARTS:
        raise _too_many()
    for name, has_no_effect in _UNSUPPORTED.items():
        value = getattr(request, name)
        if value is not None and not has_no_effect(value):
            raise RequestError(
                400, f"{name}: {repr(value)[:100]} is not supported; omit it", param=name, code="unsupported_value"
            )
    # Bedrock's structured output needs a schema.
    if isinstance(request.response_format, JsonObject):
        raise RequestError(
            400, "response_format: json_object is not supported; use json_schema", param="response_format"
        )
    return request


def _check_cost(body: bytes) -> None:
    """Check the body without the conversation, which is decoded to structs, so its cost is bounded."""
    if len(body) < _LARGE:
        return
    messages = _parse(_decode_conversation, body).messages
    try:
        check_cost(body.replace(messages, b"[]", 1) if messages else body)
    except ValueError as error:
        raise RequestError(413, f"The request body is too complex: {error}.", code="request_too_large") from None


def _parse(decode: Callable[[bytes | msgspec.Raw], _Decoded], document: bytes | msgspec.Raw, at: str = "") -> _Decoded:
    """Decode JSON to structs. Raises `RequestError` with the path of the invalid member; `at` is the document's own."""
    try:
        return decode(document)
    except msgspec.ValidationError as error:
        # msgspec reports the path as "... - at `$.messages[0].role`"; OpenAI's `param` has no "$".
        message, _, path = str(error).partition(" - at ")
        param = (at + path.strip("`").removeprefix("$")).lstrip(".")
        raise RequestError(400, message, param=param or None) from None
    except (ValueError, RecursionError):
        raise RequestError(400, "The request body is not valid JSON.", code="invalid_json") from None


def _too_many() -> RequestError:
    message = f"messages: expected at most {_MAX_PARTS} messages and content parts"
    return RequestError(413, message, code="request_too_large", param="messages")


def build_call(request: ChatRequest, model: str, facts: ModelFacts, caching: Caching) -> ChatCall:
    """Convert a request into a call of `Client.stream`.

    `model` is the Bedrock id for the requested name, `facts` what the model takes, `caching` the gateway's own.
    """
    try:
        messages, system = _conversation(request)
        tools = list(_tools(request.tools or ()))
        own_points = _has_points(messages, system, tools)
        fitting = Fitting(facts)
        fitting.check_attachments(messages)
        messages, system, tools = fitting.cache_points(messages, system, tools)
        options = _options(request, messages, fitting)
        if not own_points:  # the client's own cache points take the place of the gateway's
            options |= caching.options(facts)
    except ConfigurationError as error:
        raise request_error(error) from None
    options |= {"system": system or None, "tools": tools or None, "unsupported": "drop"}
    options = {name: value for name, value in options.items() if value is not None}
    return ChatCall(model, messages, options, tuple(fitting.notes))


def request_error(error: ConfigurationError) -> RequestError:
    """Convert an error about an argument: 400 if the request determines the argument, else 500 without details."""
    root = re.split(r"[.\[(]", error.argument)[0]
    if root not in _MEMBERS:
        return RequestError(500, NOT_CONFIGURED)
    return RequestError(400, str(error), param=_MEMBERS[root])


def _options(request: ChatRequest, messages: tuple[Message, ...], fitting: Fitting) -> dict[str, Any]:
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    response_format = request.response_format
    schema = response_format.json_schema.schema if isinstance(response_format, JsonSchema) else None
    # OpenAI replaced `max_tokens` with `max_completion_tokens`, so the newer one takes precedence.
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    reasoning = fitting.reasoning(request.reasoning_effort, messages)
    # Without tools, there are no calls that could be parallel.
    parallel = request.parallel_tool_calls is not False or not request.tools
    thinking = reasoning not in (None, "none")
    return {
        **fitting.tool_choice(_tool_choice(request), parallel=parallel, thinking=thinking),
        "max_tokens": limit,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": fitting.stop_sequences(stop) or None,
        "reasoning": reasoning,
        "output_schema": schema,
    }


def _tools(specs: Iterable[ToolSpec]) -> Iterator[Tool | dict[str, Any]]:
    for index, spec in enumerate(specs):
        yield _tool(spec, index)
        cache = spec.cache_control or spec.function.cache_control
        if cache is not None:
            yield {"cachePoint": {"type": "default"} if cache.ttl is None else {"type": "default", "ttl": cache.ttl}}


def _has_points(messages: Iterable[Message], system: Iterable[Any], tools: Iterable[Tool | dict[str, Any]]) -> bool:
    return (
        any(isinstance(tool, dict) for tool in tools)
        or any(isinstance(item, CachePoint) for item in system)
        or any(isinstance(block, CachePoint) for message in messages for block in message.content)
    )


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


def _conversation(request: ChatRequest) -> tuple[tuple[Message, ...], list[Text | CachePoint]]:
    """Return the messages, and separately the system texts, which OpenAI allows at any position."""
    messages: list[Message] = []
    system: list[Text | CachePoint] = []
    results: list[Block] = []  # of the tool messages since the last other one
    parts = 0
    for index, raw in enumerate(request.messages):
        path = f"messages[{index}]"
        message = _parse(_decode_message, raw, path)
        parts += _count_parts(message)
        if parts > _MAX_PARTS:
            raise _too_many()
        if isinstance(message, ToolMessage):
            results += _result_blocks(message, path)
            continue
        if isinstance(message, SystemMessage | DeveloperMessage):
            system += _system_items(message, path)
            continue
        _add_results(messages, results)
        if isinstance(message, UserMessage):
            messages.append(Message("user", read_content(message.content, path, message.cache_control)))
        else:
            messages.append(Message("assistant", _assistant_blocks(message, path)))
    _add_results(messages, results)
    return tuple(messages), system


def _count_parts(message: ChatMessage) -> int:
    """Return how many blocks a message becomes at most."""
    count = len(message.content) if isinstance(message.content, list) else 1
    if isinstance(message, AssistantMessage):
        count += len(message.tool_calls or ()) + len(message.reasoning_details or ())
    return count


def _system_items(message: SystemMessage | DeveloperMessage, path: str) -> Iterator[Text | CachePoint]:
    blocks = read_content(message.content, path, message.cache_control)
    return (block for block in blocks if isinstance(block, Text | CachePoint))


def _result_blocks(message: ToolMessage, path: str) -> list[Block]:
    """Return a tool result, and its cache point after it, since a result's own content has none."""
    content = read_content(message.content, path, message.cache_control)
    points = [block for block in content if isinstance(block, CachePoint)]
    content = [block for block in content if not isinstance(block, CachePoint)]
    return [ToolResult(message.tool_call_id, content or [Text(_NO_OUTPUT)]), *points[-1:]]


def _add_results(messages: list[Message], results: list[Block]) -> None:
    """Append the collected tool results and clear the list.

    OpenAI has one message per result; Bedrock wants all results of a turn in one message.
    """
    if results:
        messages.append(Message("user", results))
        results.clear()


def _assistant_blocks(message: AssistantMessage, path: str) -> list[Block]:
    # Reasoning comes first in a turn. Without its signature, the model would reject it, so it is dropped.
    blocks: list[Block] = []
    for detail in message.reasoning_details or ():
        if detail.type == "reasoning.encrypted" and detail.data is not None:
            blocks.append(Reasoning(redacted=read_base64(detail.data, f"{path}.reasoning_details")))
        elif detail.type == "reasoning.text" and detail.signature is not None:
            blocks.append(Reasoning(detail.text or "", detail.signature))
    blocks += read_content(message.content or "", path)
    for index, call in enumerate(message.tool_calls or ()):
        arguments = _arguments(call.function.arguments, f"{path}.tool_calls[{index}].function.arguments")
        blocks.append(ToolCall(call.id, call.function.name, arguments))
    if blocks and not isinstance(blocks[-1], Reasoning):  # the service refuses a cache point after reasoning
        add_cache_point(blocks, message.cache_control)
    return blocks


def _arguments(text: str, path: str) -> dict[str, Any]:
    """Parse a call's arguments, which are JSON in a string; blank text is a call without arguments."""
    try:
        document = text.encode()
        check_cost(document)
        value = msgspec.json.decode(document) if text.strip() else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(400, f"{path}: expected a JSON object", param=path)
    return value


def model_ids(models: Mapping[str, str] | Iterable[str] | None) -> dict[str, str] | None:
    """Return the Bedrock model ids by the names that clients request; None if every model is allowed."""
    if models is None:
        return None
    if isinstance(models, str):
        raise ConfigurationError("models", f"expected a list of model ids or a mapping of names to ids, got {models!r}")
    return dict(models) if isinstance(models, Mapping) else {name: name for name in models}
