"""What a converter of chat requests returns, and the limits that all of them have."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import InvalidRequest
from ...types.messages import Message

__all__ = ("MAX_BYTES", "MAX_FILE_BYTES", "MAX_PARTS", "NO_OUTPUT", "ChatRequest", "too_many_parts")

MAX_BYTES = 32 * 1024 * 1024
"""The default limit of a body: more than Bedrock accepts."""
MAX_FILE_BYTES = 25 * 1024 * 1024
"""The default limit of a file: more than Bedrock accepts inline."""
# More could not be planned in a reasonable time, and no model has a context for them.
MAX_PARTS = 100_000
"""The default limit of messages and their parts together."""

NO_OUTPUT = "(no output)"
"""The text of a tool result without output: the service refuses a blank one."""


class ChatRequest(NamedTuple):
    """A call for `Client.stream` that a front end asks for: `client.stream(MODEL, messages, **options)`."""

    messages: tuple[Message, ...]
    """The conversation. Every tool call of a finished step has its result."""
    options: dict[str, Any]
    """Options that the request determines."""


def too_many_parts(limit: int) -> InvalidRequest:
    """Return the error for a conversation with more than `limit` messages and parts."""
    problem = f"expected at most {limit} messages and content parts"
    return InvalidRequest("messages", problem, status=413, code="request_too_large")
