"""OpenAI's Chat Completions behind InvokeModel: the native route of gpt-oss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...types.messages import Message
from ...types.options import Options
from ...types.response import Response
from .answer import read_answer
from .body import unsupported, write_body
from .reader import OpenAIReader

__all__ = ("OpenAI",)


class OpenAI:
    """The Chat Completions dialect."""

    route = "invoke"
    operation = "invoke"
    stream_operation = "invoke-with-response-stream"

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """Why this conversation cannot be said in this form; None where it can."""
        return unsupported(messages, options)

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`. `extra` has the last word."""
        return write_body(messages, options)

    def reader(self) -> OpenAIReader:
        """See `dialects.Dialect`."""
        return OpenAIReader()

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """See `dialects.Dialect`."""
        return read_answer(body, request_id=request_id, model=model, route=self.route)
