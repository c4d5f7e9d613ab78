"""Claude's Messages API at a path of its own, as bedrock-runtime and bedrock-mantle serve it: `api="messages"`.

The format is that of InvokeModel, but the version and the betas are headers, and model and stream flag are in the body.
The version is not the newest: a later one serves fewer models and takes no sampling parameters.
Source: Anthropic's API reference, and the Bedrock user guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...types.messages import Message
from ...types.options import Options
from ..base import Headers, Parse, Unsupported, VendorDialect
from ..error_events import decode_event
from ..native import check_header
from ..sse_reader import SSEReader
from .answer import parse
from .body import unsupported, write_body
from .reader import AnthropicReader

__all__ = ("COUNT", "Messages", "write_count")

COUNT = "count-tokens"
"""The operation that counts tokens, by the name that Bedrock's own has."""

_VERSION = ("anthropic-version", "2023-06-01")
# Members of the native body that are headers here, and those that counting has no use for.
_IN_HEADERS = ("anthropic_version", "anthropic_beta")
_NOT_COUNTED = ("max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences")


class MessagesReader(SSEReader, AnthropicReader):
    """Reader of one Messages stream in server-sent events."""

    __slots__ = ()

    def decode(self, document: bytes) -> dict[str, Any]:
        """See `AnthropicReader.decode`. A document without a type has that of its event. Raises `ServiceError`."""
        wire = decode_event(document, self.event_name, answer=("type",))
        if "type" not in wire and self.event_name != "message":  # the name of an event without one
            wire["type"] = self.event_name
        return wire


class Messages(VendorDialect):
    """The Messages dialect of the endpoints' own paths."""

    route = "messages"
    operation = "messages"
    stream_operation = "messages"
    unsupported: ClassVar[Unsupported] = staticmethod(unsupported)
    reader: ClassVar[staticmethod[[], MessagesReader]] = staticmethod(MessagesReader)
    parse: ClassVar[Parse] = staticmethod(parse)

    def body(self, messages: Sequence[Message], options: Options) -> dict[str, Any]:
        """See `dialects.Dialect`."""
        written = write_body(messages, options)
        return {name: value for name, value in written.items() if name not in _IN_HEADERS}

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: version, betas and workspace."""
        headers: Headers = (_VERSION,)
        if options is None:
            return headers
        if betas := _betas(options):
            headers += (("anthropic-beta", ",".join(betas)),)
        if options.project is not None:
            headers += (("anthropic-workspace", options.project),)
        for name, value in headers:
            check_header(name, value)
        return headers

    def path(self, model: str, operation: str) -> str:
        """See `Dialect.path`."""
        return super().path(model, "messages/count_tokens" if operation == COUNT else operation)


def _betas(options: Options) -> list[str]:
    """Return the betas of the option and of the caller's own fields, which take precedence in the native body."""
    for fields in (options.extra, options.additional_model_request_fields or {}):
        if isinstance(betas := fields.get("anthropic_beta"), list | tuple):
            return [str(beta) for beta in betas]
    return list(options.anthropic_beta)


def write_count(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the body that counts the tokens of a Messages body."""
    return {"model": model, **{name: value for name, value in body.items() if name not in _NOT_COUNTED}}
