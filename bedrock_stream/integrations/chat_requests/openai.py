"""Chat completion requests as messages and options of a call. Nothing here knows the model that is called.

Members without an equivalent in Bedrock are rejected if they change the result; hints and labels (`seed`, `user`,
`metadata`, ...) are ignored. The gateway builds on the same functions and fits the request to its model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ...errors import ConfigurationError, InvalidRequest
from ...types.checks import check_cost
from ...types.messages import Block, CachePoint, Message, Reasoning, Text, ToolCall, ToolResult, read_prompt
from ...types.options import read_options
from ...types.tools import Tool
from .decoding import RequestBody, check_depth, decode, decode_object, read_body
from .files import read_base64
from .openai_parts import add_cache_point, read_content
from .openai_schema import (
    AssistantMessage,
    ChatMessage,
    CompletionRequest,
    DeveloperMessage,
    FunctionChoice,
    JsonObject,
    JsonSchema,
    SystemMessage,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from .request import MAX_BYTES, MAX_PARTS, NO_OUTPUT, ChatRequest, too_many_parts

__all__ = (
    "MEMBERS",
    "argument_of",
    "body_without_messages",
    "check_supported",
    "decode_message",
    "max_tokens",
    "messages_from_openai",
    "output_schema",
    "read_conversation",
    "read_tools",
    "stop_sequences",
    "tool_choice",
)

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

MEMBERS = {
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
"""The library's arguments that a request determines, with the names of the members in OpenAI's API."""


class _Conversation(msgspec.Struct):
    messages: msgspec.Raw = msgspec.Raw()


_decode_request = msgspec.json.Decoder(CompletionRequest).decode
_decode_conversation = msgspec.json.Decoder(_Conversation).decode
decode_message: Callable[[bytes], ChatMessage] = msgspec.json.Decoder(ChatMessage).decode
"""Decodes one of `CompletionRequest.messages`."""


def messages_from_openai(body: RequestBody, *, max_bytes: int = MAX_BYTES, max_parts: int = MAX_PARTS) -> ChatRequest:
    """Convert the body of a chat completion request into the messages and options of `Client.stream`.

        messages, options = messages_from_openai(await request.body())
        stream = client.stream(MODEL, messages, **options)

    `body`: the JSON, or the dict that was decoded from it. `max_bytes`, `max_parts`: limits for the body, and for its
    messages and their parts together. The options are, as far as the body determines them: `system` (from system and
    developer messages), `tools`, `tool_choice`, `max_tokens`, `temperature`, `top_p`, `stop_sequences`, `reasoning`
    and `output_schema`; the client chose them, so check what may cost you. `model`, `stream`, `parallel_tool_calls` and
    unknown members are not read. Images and files must be `data:` URLs.

    Raises `InvalidRequest` (a `ConfigurationError`) with the path of what is wrong. A body of megabytes takes some
    milliseconds for each; call it in a thread then.
    """
    document = read_body(body, max_bytes)
    outline = body_without_messages(document)
    try:
        check_cost(outline)
    except ValueError as error:
        raise InvalidRequest("body", f"is too complex: {error}", status=413, code="request_too_large") from None
    request = decode(_decode_request, document)
    check_supported(request)
    decoded = (decode(decode_message, raw, f"messages[{index}]") for index, raw in enumerate(request.messages))
    messages, system = read_conversation(decoded, max_parts)
    options = {
        "system": system,
        "tools": list(read_tools(request.tools or ())),
        "tool_choice": tool_choice(request),
        "max_tokens": max_tokens(request),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": stop_sequences(request),
        "reasoning": request.reasoning_effort,
        "output_schema": output_schema(request),
    }
    options = {name: value for name, value in options.items() if value not in (None, [])}
    _check(messages, options)
    return ChatRequest(messages, options)


def _check(messages: tuple[Message, ...], options: dict[str, Any]) -> None:
    """Check what the call itself would refuse, whatever its model. Raises `InvalidRequest`."""
    check_depth(options.get("output_schema"), "response_format")
    for tool in options.get("tools", ()):
        check_depth(getattr(tool, "input_schema", None), "tools")
    for call in (call for message in messages for call in message.tool_calls):
        check_depth(call.input, "messages")
    try:
        read_prompt(messages)
        read_options(options)
    except ConfigurationError as error:
        member = MEMBERS.get(argument_of(error), "")
        raise InvalidRequest(error.argument, error.problem, error.remedy, member=member) from None


def argument_of(error: ConfigurationError) -> str:
    """Return the name of the argument that an error is about."""
    return re.split(r"[.\[(]", error.argument)[0]


def body_without_messages(body: bytes) -> bytes:
    """Return a large body without the conversation, which is decoded to structs, so its cost is bounded."""
    messages = decode(_decode_conversation, body).messages
    return body.replace(messages, b"[]", 1) if messages else body


def check_supported(request: CompletionRequest) -> None:
    """Reject members and values that would be ignored although they change the result."""
    for name, has_no_effect in _UNSUPPORTED.items():
        value = getattr(request, name)
        if value is not None and not has_no_effect(value):
            problem = f"{repr(value)[:100]} is not supported"
            raise InvalidRequest(name, problem, "omit it", code="unsupported_value")
    # Bedrock's structured output needs a schema.
    if isinstance(request.response_format, JsonObject):
        raise InvalidRequest("response_format", "json_object is not supported", "use json_schema")


# -------------------------------------------------------------------------------------------------------------- options


def max_tokens(request: CompletionRequest) -> int | None:
    """Return the token limit."""
    # OpenAI replaced `max_tokens` with `max_completion_tokens`, so the newer one takes precedence.
    return request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens


def stop_sequences(request: CompletionRequest) -> list[str]:
    """Return the stop sequences."""
    return [request.stop] if isinstance(request.stop, str) else request.stop or []


def output_schema(request: CompletionRequest) -> dict[str, Any] | None:
    """Return the schema of a structured answer."""
    response_format = request.response_format
    return response_format.json_schema.schema if isinstance(response_format, JsonSchema) else None


def read_tools(specs: Iterable[ToolSpec]) -> Iterator[Tool | dict[str, Any]]:
    """Yield the tools, each with the cache point that follows it."""
    for index, spec in enumerate(specs):
        yield _tool(spec, index)
        cache = spec.cache_control or spec.function.cache_control
        if cache is not None:
            yield {"cachePoint": {"type": "default"} if cache.ttl is None else {"type": "default", "ttl": cache.ttl}}


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
        member = f"tools[{index}].function"
        raise InvalidRequest(error.argument, error.problem, error.remedy, member=member) from None


def tool_choice(request: CompletionRequest) -> str | dict[str, Any] | None:
    """Return the choice of tools in the form of the library's `tool_choice`."""
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None  # Bedrock rejects a tool choice without tools
    if isinstance(choice, FunctionChoice):
        name = choice.function.name
        if name not in [tool.function.name for tool in request.tools]:
            raise InvalidRequest("tool_choice", f"{name!r} is not one of the tools")
        return {"tool": {"name": name}}  # not just the name, since a tool may be named "auto"
    return {"required": "any"}.get(choice, choice)


# --------------------------------------------------------------------------------------------------------- conversation


def read_conversation(
    decoded: Iterable[ChatMessage], max_parts: int = MAX_PARTS
) -> tuple[tuple[Message, ...], list[Text | CachePoint]]:
    """Return the messages, and separately the system texts, which OpenAI allows at any position."""
    messages: list[Message] = []
    system: list[Text | CachePoint] = []
    results: list[Block] = []  # of the tool messages since the last other one
    parts = 0
    for index, message in enumerate(decoded):
        path = f"messages[{index}]"
        parts += _count_parts(message)
        if parts > max_parts:
            raise too_many_parts(max_parts)
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
    return [ToolResult(message.tool_call_id, content or [Text(NO_OUTPUT)]), *points[-1:]]


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
    return decode_object(text.encode(), path) if text.strip() else {}
