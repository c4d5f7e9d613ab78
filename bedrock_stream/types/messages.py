"""What a user sends and gets back: messages and the blocks they are made of.

The same blocks serve both ways, so the message of a `Response` goes straight back as history. A dict stands for a block
in Converse's own shape and leaves as it came (`Raw`): what AWS ships tomorrow can be sent today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..errors import ConfigurationError
from .events import Citation
from .media import Audio, Document, Image, Video

__all__ = (
    "Block",
    "CachePoint",
    "CitedText",
    "Json",
    "Message",
    "Prompt",
    "Raw",
    "Reasoning",
    "Text",
    "ToolCall",
    "ToolResult",
    "read_prompt",
)

ROLES = ("user", "assistant", "system")


class _Block(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """The base that gives each block its `type`."""


class Text(_Block, frozen=True, tag="text"):
    """Plain text."""

    text: str


class CitedText(_Block, frozen=True, tag="cited_text"):
    """Text of an answer with its sources."""

    texts: tuple[str, ...]
    """The pieces of text, in the model's own cut."""
    citations: tuple[Citation, ...] = ()

    @property
    def text(self) -> str:
        """The pieces joined."""
        return "".join(self.texts)


class Reasoning(_Block, frozen=True, tag="reasoning"):
    """The model's reasoning; it must go back unchanged before the tool calls that followed from it."""

    text: str = ""
    signature: str | None = None
    redacted: bytes | None = None
    """Encrypted reasoning, in place of a text."""


class ToolCall(_Block, frozen=True, tag="tool_call"):
    """The model asks for a tool to be run."""

    id: str
    name: str
    input: dict[str, Any] = {}
    server: bool = False
    """Whether the service runs this tool itself."""
    extra: dict[str, Any] = {}
    """Members of the wire's block that this version does not know, as they came."""


class Json(_Block, frozen=True, tag="json"):
    """A JSON value in a tool's result."""

    value: Any


class Raw(_Block, frozen=True, tag="raw"):
    """A block in Converse's own shape, sent as it is."""

    value: dict[str, Any]


class CachePoint(_Block, frozen=True, tag="cache_point"):
    """Everything before it may be cached by the service."""

    ttl: str | None = None
    """`5m` (the service's default) or `1h`."""

    def __post_init__(self) -> None:
        if self.ttl not in (None, "5m", "1h"):
            raise ConfigurationError("CachePoint.ttl", f"{self.ttl!r} is not offered", 'use "5m" or "1h"')


ResultBlock: TypeAlias = Text | Json | Image | Document | Video | Raw
_RESULT_KEYS = frozenset({"text", "json", "image", "document", "video", "searchResult"})


class ToolResult(_Block, frozen=True, tag="tool_result"):
    """What a tool returned, for the call of that id."""

    id: str
    content: tuple[ResultBlock, ...] = ()
    """A str becomes text, any other JSON value becomes JSON, blocks stay blocks."""
    status: str | None = None
    """`success` or `error`."""
    kind: str | None = None
    """The wire's type of a server-side tool's result."""

    if TYPE_CHECKING:

        def __init__(self, id: str, content: Any = (), status: str | None = None, kind: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        if self.status not in (None, "success", "error"):
            raise ConfigurationError("ToolResult.status", f"{self.status!r} is not known", 'use "success" or "error"')
        content: Any = self.content
        items = content if isinstance(content, tuple | list) and _are_blocks(content) else (content,)
        msgspec.structs.force_setattr(self, "content", tuple(_result_block(item) for item in items))


def _are_blocks(items: Iterable[Any]) -> bool:
    return all(isinstance(item, str | msgspec.Struct) or _is_result_dict(item) for item in items)


def _is_result_dict(item: Any) -> bool:
    return isinstance(item, Mapping) and len(item) == 1 and not _RESULT_KEYS.isdisjoint(item)


def _result_block(item: Any) -> ResultBlock:
    if isinstance(item, str):
        return Text(item)
    if isinstance(item, ResultBlock):
        return item
    return Raw(dict(item)) if _is_result_dict(item) else Json(item)


Block: TypeAlias = (
    Text | CitedText | Reasoning | ToolCall | ToolResult | CachePoint | Image | Document | Video | Audio | Raw
)
Content: TypeAlias = str | Block | Mapping[str, Any]


class Message(msgspec.Struct, frozen=True):
    """One turn: a role and its blocks.

    >>> Message("user", "Hello") == Message.user(Text("Hello")) == Message("user", ["Hello"])
    True
    >>> message = Message.user("What is this?", Image(b"GIF89a..."))
    >>> message.text
    'What is this?'
    >>> Message.from_json(message.to_json()) == message
    True
    """

    role: str
    """`user`, `assistant`, or `system` (a system message inside the conversation)."""
    content: tuple[Block, ...]

    if TYPE_CHECKING:

        def __init__(self, role: str, content: Content | Iterable[Content]) -> None: ...

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConfigurationError("Message.role", f"{self.role!r} is not known", f"use {', '.join(ROLES)}")
        msgspec.structs.force_setattr(self, "content", _blocks(self.content, "Message.content"))

    @classmethod
    def user(cls, *content: Content) -> Message:
        """A user's turn."""
        return cls("user", content)

    @classmethod
    def assistant(cls, *content: Content) -> Message:
        """The model's turn."""
        return cls("assistant", content)

    def to_json(self) -> bytes:
        """The message as JSON, for whoever keeps conversations; `from_json` gives it back exactly."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Message:
        """What `to_json` wrote. Raises `ConfigurationError` for anything else."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError("data", f"it is no message: {error}", "give what to_json() wrote") from None

    @property
    def text(self) -> str:
        """The text of all text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, Text | CitedText))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the caller is asked to run; what the service runs itself is left out."""
        return tuple(block for block in self.content if isinstance(block, ToolCall) and not block.server)

    @property
    def wants_tools(self) -> bool:
        """Whether the content asks for a tool, whatever the stop reason says."""
        return bool(self.tool_calls)


Prompt: TypeAlias = str | Message | Mapping[str, Any] | Iterable[Message | Mapping[str, Any]]


def read_prompt(prompt: Prompt) -> tuple[Message, ...]:
    """Every accepted form of a prompt as messages. Raises `ConfigurationError` naming the place of what is wrong."""
    if isinstance(prompt, str):
        if not prompt:
            raise ConfigurationError("prompt", "it is empty", "say something to the model")
        return (Message("user", prompt),)
    if isinstance(prompt, Message | Mapping):
        prompt = (prompt,)
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray):
        raise ConfigurationError(
            "prompt", f"a {type(prompt).__name__} is no prompt", "use a str, a Message, or a sequence of messages"
        )
    messages = tuple(_read_message(item, f"messages[{place}]") for place, item in enumerate(prompt))
    for place, message in enumerate(messages):
        if not message.content and message.role != "assistant":
            raise ConfigurationError(f"messages[{place}].content", "it has no blocks", "leave the message out")
    messages = tuple(message for message in messages if message.content)  # an answer can be empty, a turn cannot
    if not messages:
        raise ConfigurationError("prompt", "it has no messages", "give at least one user message")
    return messages


def _read_message(item: Message | Mapping[str, Any], place: str) -> Message:
    if isinstance(item, Message):
        return Message(item.role, _blocks(item.content, f"{place}.content"))
    if not isinstance(item, Mapping):
        raise ConfigurationError(place, f"a {type(item).__name__} is no message", "use Message or a dict")
    unknown = set(item) - {"role", "content"}
    if unknown or "content" not in item:
        problem = f"unknown key {min(unknown, key=str)!r}" if unknown else "it has no content"
        raise ConfigurationError(place, problem, 'use {"role": ..., "content": ...}')
    role = item.get("role", "user")
    if role not in ROLES:
        raise ConfigurationError(f"{place}.role", f"{role!r} is not known", f"use {', '.join(ROLES)}")
    return Message(role, _blocks(item["content"], f"{place}.content"))


def _blocks(content: Any, place: str) -> tuple[Block, ...]:
    if isinstance(content, str):
        return (_block(content, place),)
    if isinstance(content, Mapping | msgspec.Struct):
        content = (content,)
    if not isinstance(content, Iterable) or isinstance(content, bytes | bytearray):
        raise ConfigurationError(place, f"a {type(content).__name__} is no content", "use a str or a list of blocks")
    return tuple(_block(item, f"{place}[{index}]") for index, item in enumerate(content))


def _block(item: Any, place: str) -> Block:
    if isinstance(item, str):
        item = Text(item)
    elif isinstance(item, Mapping):
        if len(item) != 1:
            raise ConfigurationError(
                place, f"a block has one key, this has {len(item)}: {sorted(map(str, item))}", "make it one block each"
            )
        item = Raw(dict(item))
    if not isinstance(item, Block):
        raise ConfigurationError(place, f"a {type(item).__name__} is no block", "use Text, Image, ... or a dict")
    if item in (Text(""), Raw({"text": ""})):
        raise ConfigurationError(place, "the text is empty", "leave the block out")
    return item
