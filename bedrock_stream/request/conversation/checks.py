"""What cannot be fixed without loss is rejected with its path: results without calls, attachments, empty turns."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import ConfigurationError
from ...types.media import Document, Image
from ...types.messages import Message
from .blocks import all_blocks, call_id, is_kind, is_plain_text, is_point, is_text, result_id

__all__ = ("check_attachments", "check_results", "check_sizes", "check_turns")

_MAX_IMAGES = 20
_MAX_DOCUMENTS = 5
_MEBIBYTE = 1024 * 1024
# In mebibytes, from the documentation of Converse. The native formats have limits of their own.
_MAX_SIZES = {Image: 3.75, Document: 4.5}


def check_results(messages: Sequence[Message]) -> None:
    """Raise `ConfigurationError` for a result that no earlier call has the id of."""
    called: set[str] = set()
    for path, block in all_blocks(messages):
        if (call := call_id(block)) is not None:
            called.add(call)
        result = result_id(block)
        if result is not None and result not in called:
            raise ConfigurationError(
                path,
                f"the tool result for {result!r} has no preceding tool call",
                "put the assistant message with the call before it",
            )


def check_turns(messages: Sequence[Message]) -> None:
    """Raise `ConfigurationError` for a user turn of cache points alone: moved to another turn, they leave it empty."""
    before = None
    for number, message in enumerate(messages):
        if message.role == "user" and before != "user" and all(map(is_point, message.content)):
            path = f"messages[{number}].content"
            raise ConfigurationError(path, "has only cache points", "add a text, or omit the message")
        before = message.role


def check_attachments(messages: Sequence[Message]) -> None:
    """Source: the restrictions of Message.content in the Bedrock Runtime service model."""
    for number, message in enumerate(messages):
        images = documents = 0
        has_text = any(is_text(block) for block in message.content)
        for index, block in enumerate(message.content):
            path = f"messages[{number}].content[{index}]"
            if is_kind(block, Image, "image"):
                images += 1
                _check_count(path, images, _MAX_IMAGES, "image")
            if is_kind(block, Document, "document"):
                documents += 1
                _check_count(path, documents, _MAX_DOCUMENTS, "document")
                # The text may be anywhere in the same message, but not in another one.
                if not has_text:
                    raise ConfigurationError(
                        path, "a document requires a text block in the same message", "add a Text to the message"
                    )


def check_sizes(messages: Sequence[Message]) -> None:
    """Raise `ConfigurationError` for an image or a document that is too large for Converse."""
    if is_plain_text(messages):
        return
    for path, block in all_blocks(messages):
        limit = _MAX_SIZES.get(type(block))
        # An attachment in S3 has no data here. The service checks its size.
        data = getattr(block, "data", None)
        if limit is not None and data is not None and len(data) > limit * _MEBIBYTE:
            kind = type(block).__name__.lower()
            problem = f"the {kind} has {len(data)} bytes, Converse accepts at most {limit:g} MB"
            raise ConfigurationError(path, problem, "make it smaller, or upload it to S3")


def _check_count(path: str, count: int, limit: int, kind: str) -> None:
    if count > limit:
        problem = f"expected at most {limit} {kind}s in a message, this is number {count}"
        raise ConfigurationError(path, problem, "send fewer in one message")
