"""Tool parts of a UI message: each is a call and, in its final states, the result.

A call without a result would make a conversation that the service refuses, so it is left out until its output is final.
What the page sends as output becomes text or JSON, never a block in the service's own format: such a block could name
files in S3, which the server's account would read.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ...errors import ConfigurationError, InvalidRequest
from ...types.json_cost import check_cost_of_large
from ...types.media import Attachment
from ...types.messages import Json, Raw, ResultBlock, Text, ToolCall, ToolResult
from .decoding import check_depth, decode
from .request import NO_OUTPUT

__all__ = ("TOOL_NAME_PREFIX", "ToolParts")

TOOL_NAME_PREFIX = "tool-"
"""The type of a tool's part is this and the name of the tool."""

_DENIED = "The user denied the execution of this tool."  # where the page gives no reason
_FAILED = "The tool failed."
_LARGE = 1024 * 1024  # bytes
_TIMES = 16  # how much memory the values may need, in proportion to their JSON


class _Approval(msgspec.Struct, frozen=True):
    approved: Any = None
    reason: Any = None


class _ToolPart(msgspec.Struct, frozen=True, rename="camel"):
    tool_call_id: str
    state: str = ""
    tool_name: str = ""  # of a dynamic tool
    input: Any = None
    output: Any = None
    error_text: str | None = None
    provider_executed: bool | None = None
    preliminary: bool | None = None
    approval: _Approval = _Approval()


_decode = msgspec.json.Decoder(_ToolPart).decode


class ToolParts:
    """Reads the tool parts of one request, and bounds the memory for the values in them."""

    def __init__(self) -> None:
        self._size = 0

    def read(self, kind: str, raw: msgspec.Raw, path: str) -> tuple[ToolCall, ToolResult] | None:
        """Return a call and its result; None for a part that has no final result. Raises `InvalidRequest`."""
        self._check_cost(bytes(raw), path)
        part = decode(_decode, raw, path)
        name = part.tool_name if kind == "dynamic-tool" else kind.removeprefix(TOOL_NAME_PREFIX)
        # What the service's own tools found is in the text of the answer, and their blocks have more than a page keeps.
        if part.provider_executed or not isinstance(part.input, dict):
            return None
        status: Literal["success", "error"]
        match part.state:
            case "output-available" if not part.preliminary:
                content, status = _content(part.output), "success"
            case "output-error":
                content, status = (Text(_text(part.error_text, _FAILED)),), "error"
            case "output-denied" | "approval-responded" if not part.approval.approved:
                content, status = (Text(_text(part.approval.reason, _DENIED)),), "error"
            case _:
                return None
        if not name or not part.tool_call_id:
            raise InvalidRequest(path, "expected a tool's name and a toolCallId, got an empty one")
        for member in ("input", "output"):
            check_depth(getattr(part, member), f"{path}.{member}")
        return ToolCall(part.tool_call_id, name, part.input), ToolResult(part.tool_call_id, content, status)

    def _check_cost(self, part: bytes, path: str) -> None:
        """Check the memory that a part needs, once all parts so far are large together."""
        self._size += len(part)
        try:
            if self._size > _LARGE:
                check_cost_of_large(part, _TIMES)
        except ValueError as error:
            raise InvalidRequest(path, f"is too complex: {error}", status=413, code="request_too_large") from None


def _content(output: Any) -> tuple[ResultBlock, ...]:
    """Return an output as the content of a result."""
    match output:
        case None | str():
            return (Text(_text(output, NO_OUTPUT)),)
        case dict():  # Converse's JSON block must be an object
            return (Json(output),)
        case [*items] if items and (blocks := _blocks(items)):
            return blocks
    return (Text(msgspec.json.encode(output).decode()),)


def _text(text: Any, default: str) -> str:
    """Return a text that is not blank: the service refuses a blank one."""
    return text if isinstance(text, str) and text.strip() else default


def _blocks(items: list[Any]) -> tuple[ResultBlock, ...]:
    """Return the blocks of a result as the `ui-message` protocol sent them; nothing for any other list."""
    if not all(isinstance(item, dict) and isinstance(item.get("type"), str) for item in items):
        return ()
    try:
        blocks = msgspec.convert(items, tuple[ResultBlock, ...])
    except (ConfigurationError, msgspec.ValidationError):
        return ()
    own = all(not isinstance(block, Raw) and not (isinstance(block, Attachment) and block.s3_uri) for block in blocks)
    return blocks if own else ()
