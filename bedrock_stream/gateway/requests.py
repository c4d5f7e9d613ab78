"""Conversion of chat completion requests into calls of `Client.stream`. Raises `RequestError` with the invalid member.

What a request says is read by `integrations.chat_requests`; what the model refuses of it is left out, see `fitting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from ..errors import ConfigurationError, InvalidRequest
from ..integrations.chat_requests.decoding import INVALID_JSON, WHOLE_BODY, decode
from ..integrations.chat_requests.openai import (
    MEMBERS,
    argument_of,
    body_without_messages,
    check_supported,
    decode_message,
    max_tokens,
    output_schema,
    read_conversation,
    read_tools,
    stop_sequences,
    tool_choice,
)
from ..integrations.chat_requests.openai_schema import CompletionRequest
from ..integrations.chat_requests.request import MAX_PARTS, too_many_parts
from ..integrations.http_errors import NOT_CONFIGURED
from ..types.checks import check_cost
from ..types.messages import CachePoint, Message
from ..types.model_facts import ModelFacts
from ..types.tools import Tool
from .errors import RequestError
from .fitting import Caching, Fitting

__all__ = ("ChatCall", "ModelRequest", "build_call", "model_ids", "parse_request", "request_error")


class ChatCall(msgspec.Struct, frozen=True):
    """The arguments of a `Client.stream` call."""

    model: str
    messages: tuple[Message, ...]
    options: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What was changed of the request, in sentences."""


class ModelRequest(CompletionRequest, frozen=True, kw_only=True):
    """A request that names its model, as the gateway requires."""

    model: str


_LARGE = 1024 * 1024  # bytes

_decode = msgspec.json.Decoder(ModelRequest).decode

_Decoded = TypeVar("_Decoded")


def parse_request(body: bytes) -> ModelRequest:
    """Parse a request body and reject the members and values that the gateway does not support."""
    _check_cost(body)
    request = _parse(_decode, body)
    try:
        if len(request.messages) > MAX_PARTS:
            raise too_many_parts(MAX_PARTS)
        check_supported(request)
    except InvalidRequest as error:
        raise request_error(error) from None
    return request


def _check_cost(body: bytes) -> None:
    if len(body) < _LARGE:
        return
    try:
        check_cost(body_without_messages(body))
    except InvalidRequest as error:
        raise _malformed(error) from None
    except ValueError as error:
        raise RequestError(413, f"The request body is too complex: {error}.", code="request_too_large") from None


def _parse(decoder: Callable[[bytes | msgspec.Raw], _Decoded], document: bytes | msgspec.Raw, at: str = "") -> _Decoded:
    """Decode JSON to structs. Raises `RequestError` with the path of the invalid member; `at` is the document's own."""
    try:
        return decode(decoder, document, at)
    except InvalidRequest as error:
        raise _malformed(error) from None


def _malformed(error: InvalidRequest) -> RequestError:
    """Convert an error about JSON that is not what it should be. OpenAI has the path in `param` alone."""
    if error.code == INVALID_JSON:
        return RequestError(400, "The request body is not valid JSON.", code=error.code)
    return RequestError(400, error.problem, param=None if error.member == WHOLE_BODY else error.member)


def build_call(request: ModelRequest, model: str, facts: ModelFacts, caching: Caching) -> ChatCall:
    """Convert a request into a call of `Client.stream`.

    `model` is the Bedrock id for the requested name, `facts` what the model takes, `caching` the gateway's own.
    """
    try:
        decoded = (_parse(decode_message, raw, f"messages[{index}]") for index, raw in enumerate(request.messages))
        messages, system = read_conversation(decoded)
        tools = list(read_tools(request.tools or ()))
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
    if isinstance(error, InvalidRequest):
        return RequestError(error.status, str(error), code=error.code, param=error.member)
    argument = argument_of(error)
    if argument not in MEMBERS:
        return RequestError(500, NOT_CONFIGURED)
    return RequestError(400, str(error), param=MEMBERS[argument])


def _options(request: ModelRequest, messages: tuple[Message, ...], fitting: Fitting) -> dict[str, Any]:
    reasoning = fitting.reasoning(request.reasoning_effort, messages)
    # Without tools, there are no calls that could be parallel.
    parallel = request.parallel_tool_calls is not False or not request.tools
    thinking = reasoning not in (None, "none")
    return {
        **fitting.tool_choice(tool_choice(request), parallel=parallel, thinking=thinking),
        "max_tokens": max_tokens(request),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": fitting.stop_sequences(stop_sequences(request)) or None,
        "reasoning": reasoning,
        "output_schema": output_schema(request),
    }


def _has_points(messages: Iterable[Message], system: Iterable[Any], tools: Iterable[Tool | dict[str, Any]]) -> bool:
    return (
        any(isinstance(tool, dict) for tool in tools)
        or any(isinstance(item, CachePoint) for item in system)
        or any(isinstance(block, CachePoint) for message in messages for block in message.content)
    )


def model_ids(models: Mapping[str, str] | Iterable[str] | None) -> dict[str, str] | None:
    """Return the Bedrock model ids by the names that clients request; None if every model is allowed."""
    if models is None:
        return None
    if isinstance(models, str):
        raise ConfigurationError("models", f"expected a list of model ids or a mapping of names to ids, got {models!r}")
    return dict(models) if isinstance(models, Mapping) else {name: name for name in models}
