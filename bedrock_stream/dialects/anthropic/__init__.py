"""Claude's Messages API behind InvokeModel: the native route of Anthropic's models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...types.messages import Message
from ...types.options import Options
from ...types.response import Response
from .answer import read_answer
from .body import unsupported, write_body
from .reader import AnthropicReader

__all__ = ("Anthropic",)


class Anthropic:
    """The Messages dialect."""

    route = "invoke"
    operation = "invoke"
    stream_operation = "invoke-with-response-stream"

    def unsupported(self, messages: Sequence[Message], options: Options) -> str | None:
        """See `dialects.Native`."""
        return unsupported(messages, options)

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`."""
        return write_body(messages, options)

    def reader(self) -> AnthropicReader:
        """See `dialects.Dialect`."""
        return AnthropicReader()

    def answer(self, body: bytes, *, request_id: str | None, model: str) -> Response:
        """See `dialects.Dialect`."""
        return read_answer(body, request_id=request_id, model=model, route=self.route)
