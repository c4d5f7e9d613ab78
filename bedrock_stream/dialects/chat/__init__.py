"""OpenAI's Chat Completions as Bedrock's endpoints serve them at a path of their own: `api="chat"`.

The format is that of `dialects.openai`, which is the same API through InvokeModel, with members of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...types.options import Options
from ..base import Headers, Parse, Unsupported, VendorDialect, WriteBody
from ..native import guardrail_headers
from ..openai.requests import project_headers
from .answer import parse, parse_tagged
from .body import unsupported, write_body
from .reader import ChatReader

__all__ = ("Chat",)


class Chat(VendorDialect):
    """The Chat Completions dialect."""

    route = "chat"
    operation = "chat/completions"
    stream_operation = "chat/completions"
    unsupported: ClassVar[Unsupported] = staticmethod(unsupported)
    body: ClassVar[WriteBody] = staticmethod(write_body)
    parse: ClassVar[Parse] = staticmethod(parse)
    tagged = False
    """Whether reasoning is tagged text in the content."""

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: project and guardrail."""
        return (*project_headers(options), *(() if options is None else guardrail_headers(options)))

    def complete_body(self, body: dict[str, Any], model: str, *, streaming: bool) -> dict[str, Any]:
        """See `Dialect.complete_body`. Without `include_usage`, a stream has no token counts."""
        if streaming:
            body = {"stream_options": {"include_usage": True}, **body}
        return super().complete_body(body, model, streaming=streaming)

    def reader(self) -> ChatReader:
        """See `Dialect.reader`."""
        return ChatReader(tagged=self.tagged)


class TaggedChat(Chat):
    """The dialect for gpt-oss on bedrock-runtime, which tags its reasoning as InvokeModel does."""

    parse: ClassVar[Parse] = staticmethod(parse_tagged)
    tagged = True
