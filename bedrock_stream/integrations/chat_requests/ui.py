"""Requests of the AI SDK's `useChat`, versions 5 and 6, as messages of a call.

A browser sends the whole conversation, so it could have written all of it; it decides nothing else about the call. What
only a page shows is left out: sources, `data-*` parts, ids, metadata, and parts that this version does not know.
Source: the AI SDK's types of UI messages, and its conversion of them into model messages.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from ...errors import InvalidRequest
from ...types.messages import Block, Message, Reasoning, Text
from .decoding import RequestBody, decode, read_body
from .files import data_url, read_file
from .request import MAX_BYTES, MAX_FILE_BYTES, MAX_PARTS, ChatRequest, too_many_parts
from .ui_tools import TOOL_NAME_PREFIX, ToolParts

__all__ = ("messages_from_ui",)


class _UIMessage(msgspec.Struct, frozen=True):
    role: str
    parts: list[msgspec.Raw]


class _Body(msgspec.Struct, frozen=True):
    messages: list[msgspec.Raw]


class _AnyPart(msgspec.Struct, frozen=True):
    type: str


class _TextPart(msgspec.Struct, frozen=True):
    text: str


class _ReasoningPart(msgspec.Struct, frozen=True, rename="camel"):
    text: str = ""
    provider_metadata: Any = None  # of any shape where another provider wrote it


class _FilePart(msgspec.Struct, frozen=True, rename="camel"):
    url: str
    media_type: str = ""
    filename: str | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_message = msgspec.json.Decoder(_UIMessage).decode
_decode_any = msgspec.json.Decoder(_AnyPart).decode
_decode_text = msgspec.json.Decoder(_TextPart).decode
_decode_reasoning = msgspec.json.Decoder(_ReasoningPart).decode
_decode_file = msgspec.json.Decoder(_FilePart).decode


def messages_from_ui(
    body: RequestBody,
    *,
    allow_system: bool = False,
    max_bytes: int = MAX_BYTES,
    max_parts: int = MAX_PARTS,
    max_file_bytes: int = MAX_FILE_BYTES,
) -> ChatRequest:
    """Convert what `useChat` posts into the messages of `Client.stream` or `Client.run_tools`.

        messages, options = messages_from_ui(await request.body())
        run = client.run_tools(MODEL, messages, tools=[weather], system="Be brief.", **options)

    `body`: the JSON, or what was decoded from it; a list is taken for its `messages`. `allow_system`: True takes the
    text of system messages as the option `system`; otherwise they are refused, since a user can change what a page
    sends. `max_bytes`, `max_parts`, `max_file_bytes`: limits for the body, for its messages and their parts together,
    and for each file. Other members of the body, such as those of the `body` option of `useChat`, are not read: take
    from them what a browser may decide.

    Files must be `data:` URLs. Reasoning keeps the signature that the `ui-message` protocol sent. A tool call without a
    final output, and a call of the service's own tools, is left out. Each step becomes a message of the assistant and,
    if it called tools, one with their results.

    Raises `InvalidRequest` (a `ConfigurationError`) with the path of what is wrong: `messages[2].parts[0].url`. A body
    of megabytes takes some milliseconds for each; call it in a thread then.
    """
    document = read_body(body, max_bytes)
    is_list = document.lstrip(b" \t\r\n").startswith(b"[")
    raws = decode(_decode_list, document, "messages") if is_list else decode(_decode_body, document).messages
    reader = _Reader(allow_system, max_parts, max_file_bytes)
    messages = [message for index, raw in enumerate(raws) for message in reader.read(raw, f"messages[{index}]")]
    if not messages:
        raise InvalidRequest("messages", "expected at least one message with text or a file")
    return ChatRequest(tuple(messages), {"system": "\n\n".join(reader.system)} if reader.system else {})


def _messages(role: Literal["user", "assistant"], blocks: list[Block]) -> Iterator[Message]:
    if blocks:
        yield Message(role, blocks)


class _Reader:
    """Reads the messages of one request and counts what it has read."""

    def __init__(self, allow_system: bool, max_parts: int, max_file_bytes: int) -> None:
        self.system: list[str] = []
        """The texts of the system messages."""
        self._allow_system = allow_system
        self._max_parts = max_parts
        self._max_file_bytes = max_file_bytes
        self._parts = 0
        self._tools = ToolParts()

    def read(self, raw: msgspec.Raw, path: str) -> Iterator[Message]:
        """Yield the messages that a UI message consists of."""
        message = decode(_decode_message, raw, path)
        self._parts += 1 + len(message.parts)
        if self._parts > self._max_parts:
            raise too_many_parts(self._max_parts)
        match message.role:
            case "user":
                yield from _messages("user", self._user_blocks(message.parts, path))
            case "assistant":
                yield from self._steps(message.parts, path)
            case "system" if self._allow_system:
                blocks = self._user_blocks(message.parts, path)
                self.system += (block.text for block in blocks if isinstance(block, Text))
            case "system":
                remedy = "set the system prompt on the server, or pass allow_system=True"
                raise InvalidRequest(f"{path}.role", "a system message is not accepted from a browser", remedy)
            case role:
                raise InvalidRequest(f"{path}.role", f"expected user, assistant or system, got {role[:100]!r}")

    def _user_blocks(self, parts: list[msgspec.Raw], path: str) -> list[Block]:
        """Return the blocks of a message without tools and reasoning."""
        return [
            block
            for at, kind, raw in _typed(parts, path)
            if kind in ("text", "file")
            for block in self._blocks(kind, raw, at)
        ]

    def _steps(self, parts: list[msgspec.Raw], path: str) -> Iterator[Message]:
        """Yield a message for each step of the assistant, and one for the results of its tools."""
        typed = list(_typed(parts, path))
        # Without marks of steps, text behind a tool's part was written with its result.
        marked = any(kind == "step-start" for _, kind, _ in typed)
        blocks: list[Block] = []
        results: list[Block] = []
        for at, kind, raw in typed:
            is_tool = kind == "dynamic-tool" or kind.startswith(TOOL_NAME_PREFIX)
            if kind == "step-start" or (not marked and results and not is_tool):
                yield from _messages("assistant", blocks)
                yield from _messages("user", results)
                blocks, results = [], []
            if not is_tool:
                blocks += self._blocks(kind, raw, at)
            elif (pair := self._tools.read(kind, raw, at)) is not None:
                blocks.append(pair[0])
                results.append(pair[1])
        yield from _messages("assistant", blocks)
        yield from _messages("user", results)

    def _blocks(self, kind: str, raw: msgspec.Raw, path: str) -> Iterator[Block]:
        match kind:
            case "text":
                text = decode(_decode_text, raw, path).text
                if text.strip():  # the service refuses blank text
                    yield Text(text)
            case "reasoning":
                yield from _reasoning(decode(_decode_reasoning, raw, path))
            case "file":
                yield self._file(decode(_decode_file, raw, path), path)

    def _file(self, part: _FilePart, path: str) -> Block:
        path = f"{path}.url"
        if part.url[:5].lower() != "data:":
            remedy = "send the file as a data: URL, since nothing is fetched for a browser; or read it on the server"
            raise InvalidRequest(path, f"expected a data: URL, got {part.url[:100]!r}", remedy)
        if len(part.url) * 3 // 4 > self._max_file_bytes:
            problem = f"expected a file of at most {self._max_file_bytes} bytes"
            raise InvalidRequest(path, problem, status=413, code="request_too_large")
        media_type, data = data_url(part.url, path)
        return read_file(data, part.media_type or media_type, part.filename or "", path)


def _typed(parts: list[msgspec.Raw], path: str) -> Iterator[tuple[str, str, msgspec.Raw]]:
    """Yield the path, the type and the JSON of each part."""
    for index, raw in enumerate(parts):
        at = f"{path}.parts[{index}]"
        yield at, decode(_decode_any, raw, at).type, raw


def _reasoning(part: _ReasoningPart) -> Iterator[Reasoning]:
    """Yield the reasoning, with its signature or as the encrypted data that Bedrock sent."""
    signature = redacted = None
    match part.provider_metadata:
        case {"bedrock": {"redactedData": str(data)}}:
            try:
                redacted = b64decode(data, validate=True)
            except ValueError:
                return  # not what the protocol sent, and the service could not read it
        case {"bedrock": {"signature": str(text)}}:
            signature = text or None
    if redacted:
        yield Reasoning(part.text or "", redacted=redacted)
    elif part.text or signature is not None:
        yield Reasoning(part.text, signature)
