"""The table of operations: how each one reads its request and sends its answer.

Every body is converted to the Converse body of the same conversation, from which the answer is derived. A new operation
is a new row; no other module names one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from ..answers.counting import COUNT, read_count
from ..answers.native import read_native
from ..answers.player import Exchange, play_as_asked, play_document, play_stream
from ..answers.rendering import CONVERSE, Form
from ..answers.surfaces import messages
from ..answers.surfaces.chat import read_chat
from ..answers.surfaces.responses import read_responses
from .asked import Asked, Endpoint
from .mantle_models import check_route
from .model_lists import read_list
from .refusal import invalid
from .validation import check_converse
from .vendor_errors import Vendor

__all__ = ("Operation", "find_operation", "has_path", "name_of", "vendor_of")

_PREFIXES: tuple[tuple[str, Vendor], ...] = (("/anthropic/", "anthropic"), ("/openai/", "openai"), ("/v1/", "openai"))


class Operation(NamedTuple):
    """One operation of Bedrock Runtime or Bedrock Mantle."""

    name: str
    read: Callable[[Asked], tuple[dict[str, Any], Form]]
    """Convert a request to a Converse body and the form of the answer. Raises `Refusal`."""
    play: Callable[[Exchange], Awaitable[web.StreamResponse]]
    """Send the answer."""
    uses_cache: bool = True
    """True if a model reads the prompt, so that the prompt cache applies."""
    vendor: Vendor = "aws"
    """Whose form its errors have. A vendor's body names the model."""
    only_mantle: bool = False
    """True if bedrock-runtime has no such path."""


def _read_converse(asked: Asked) -> tuple[dict[str, Any], Form]:
    check_converse(asked.body, asked.model)
    return asked.body, CONVERSE


def _read_native(asked: Asked) -> tuple[dict[str, Any], Form]:
    return read_native(asked.body, asked.model)


def _read_count(asked: Asked) -> tuple[dict[str, Any], Form]:
    return read_count(asked.body, asked.model), COUNT


def _on_its_route(
    read: Callable[[Asked], tuple[dict[str, Any], Form]],
) -> Callable[[Asked], tuple[dict[str, Any], Form]]:
    """Read a vendor's body, whose model must be one of those that the path serves."""

    def checked(asked: Asked) -> tuple[dict[str, Any], Form]:
        if not asked.model:
            raise invalid("model: Field required")
        check_route(asked.model, asked.path, asked.endpoint)
        return read(asked)

    return checked


_OPERATIONS = {
    "converse": Operation("Converse", _read_converse, play_document),
    "converse-stream": Operation("ConverseStream", _read_converse, play_stream),
    "invoke": Operation("InvokeModel", _read_native, play_document),
    "invoke-with-response-stream": Operation("InvokeModelWithResponseStream", _read_native, play_stream),
    "count-tokens": Operation("CountTokens", _read_count, play_document, uses_cache=False),
}

_MESSAGES = Operation("Messages", _on_its_route(messages.read_messages), play_as_asked, vendor="anthropic")
_COUNT = Operation(
    "CountMessageTokens", _on_its_route(messages.read_count), play_document, uses_cache=False, vendor="anthropic",
    only_mantle=True,
)  # fmt: skip
_CHAT = Operation("ChatCompletions", _on_its_route(read_chat), play_as_asked, vendor="openai")
_RESPONSES = Operation("Responses", _on_its_route(read_responses), play_as_asked, vendor="openai")
_LIST = Operation("ListModels", read_list, play_document, uses_cache=False, vendor="openai", only_mantle=True)
_SURFACES = {
    "/anthropic/v1/messages": _MESSAGES,
    "/anthropic/v1/messages/count_tokens": _COUNT,
    "/openai/v1/chat/completions": _CHAT,
    "/openai/v1/responses": _RESPONSES,
    "/v1/chat/completions": _CHAT._replace(only_mantle=True),
    "/v1/responses": _RESPONSES._replace(only_mantle=True),
}
_LISTS = {
    "/anthropic/v1/models": _LIST._replace(vendor="anthropic"),
    "/openai/v1/models": _LIST,
    "/v1/models": _LIST,
}


def find_operation(method: str, target: str) -> tuple[Operation, str] | None:
    """Return the operation and the model id of a request line, `POST /model/{modelId}/converse`; None if unknown.

    The model id is one path segment, so the slashes of an ARN must be percent-encoded. It is empty where the body has
    it.
    """
    path = target.partition("?")[0]
    of_path = {"POST": _SURFACES, "GET": _LISTS}.get(method, {}).get(path)
    if of_path is not None:
        return of_path, ""
    segments = path.split("/")
    if method != "POST" or len(segments) != 4 or segments[:2] != ["", "model"] or not segments[2]:
        return None
    operation = _OPERATIONS.get(segments[3])
    return (operation, unquote(segments[2])) if operation else None


def name_of(word: str) -> str | None:
    """Return the name of an operation by its last segments: `converse-stream`, `chat/completions`; None if unknown."""
    found = _OPERATIONS.get(word) or _SURFACES.get(f"/v1/{word}") or _SURFACES.get(f"/anthropic/v1/{word}")
    return found and found.name


def has_path(endpoint: Endpoint | None, operation: Operation) -> bool:
    """Return True if an endpoint has the operation's path; None stands for both."""
    if endpoint == "mantle":
        return operation.vendor != "aws"
    return endpoint is None or not operation.only_mantle


def vendor_of(path: str) -> Vendor:
    """Return whose form the errors of a path have, also of a path that is unknown."""
    return next((vendor for prefix, vendor in _PREFIXES if path.startswith(prefix)), "aws")
