"""Messages and their content blocks.

Requests and responses use the same blocks, so the message of a `Response` can be sent back as history. A dict is a
block in Converse's own format and is sent unchanged (`Raw`), so blocks that this version does not know can be sent too.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import msgspec

from ..errors import ConfigurationError
from . import Value
from .events import Citation
from .media import Audio, Document, Image, Video

__all__ = (
    "Block",
    "CachePoint",
    "CitedText",
    "Guarded",
    "Json",
    "Message",
    "Prompt",
    "Raw",
    "Reasoning",
    "Role",
    "SearchResult",
    "Status",
    "Text",
    "ToolCall",
    "ToolResult",
    "Ttl",
    "read_prompt",
)

Role: TypeAlias = Literal["user", "assistant", "system"]
Ttl: TypeAlias = Literal["5m", "1h"]
"""Lifetime of an entry of the prompt cache, as in the service model."""
ROLES: tuple[str, ...] = get_args(Role)


class _Block(Value, msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Base class that adds the `type` tag to each block."""


class Text(_Block, frozen=True, tag="text"):
    """Plain text."""

    type: ClassVar[Literal["text"]] = "text"
    text: str


class CitedText(_Block, frozen=True, tag="cited_text"):
    """Text of a response with citations."""

    type: ClassVar[Literal["cited_text"]] = "cited_text"
    texts: tuple[str, ...]
    """The text, in the parts in which the model returned it."""
    citations: tuple[Citation, ...] = ()
    """The sources of the text."""

    @property
    def text(self) -> str:
        """All parts, joined."""
        return "".join(self.texts)


class Reasoning(_Block, frozen=True, tag="reasoning"):
    """Reasoning of the model. It must be sent back unchanged, before the tool calls that followed it."""

    type: ClassVar[Literal["reasoning"]] = "reasoning"
    text: str = ""
    """The readable reasoning."""
    signature: str | None = None
    """Signature by which the service verifies the reasoning."""
    redacted: bytes | None = None
    """Encrypted reasoning, in place of `text`; of the Responses API the whole item, which `text` may be beside."""
    family: str | None = None
    """The family of the model that wrote it, as in `ModelFacts.family`; None if unknown. It is not sent."""


class ToolCall(_Block, frozen=True, tag="tool_call"):
    """A tool call of the model."""

    type: ClassVar[Literal["tool_call"]] = "tool_call"
    id: str
    """Id of the call, which the `ToolResult` refers to."""
    name: str
    """Name of the tool."""
    input: dict[str, Any] = {}
    """Arguments of the call."""
    server: bool = False
    """True if the service runs this tool itself. The caller must not run it."""
    extra: dict[str, Any] = {}
    """Members of the block that this version does not know, as received."""


class Json(_Block, frozen=True, tag="json"):
    """A JSON value in the result of a tool."""

    type: ClassVar[Literal["json"]] = "json"
    value: Any


class Raw(_Block, frozen=True, tag="raw"):
    """A block in Converse's own format, or one that a model's native API returned. It is sent unchanged."""

    type: ClassVar[Literal["raw"]] = "raw"
    value: dict[str, Any]


class CachePoint(_Block, frozen=True, tag="cache_point"):
    """A cache point: the service may cache everything before it.

    Raises `ConfigurationError` for an unsupported `ttl`.
    """

    type: ClassVar[Literal["cache_point"]] = "cache_point"
    ttl: Ttl | None = None
    """Lifetime of the cache entry: `5m` or `1h`. By default the service decides (`5m`)."""

    def __post_init__(self) -> None:
        if self.ttl not in (None, *get_args(Ttl)):
            raise ConfigurationError("CachePoint.ttl", f'expected "5m", "1h" or None, got {self.ttl!r}')


# The formats and the qualifiers of guardContent in the service model.
_GUARDED_FORMATS = ("png", "jpeg")
Qualifier: TypeAlias = Literal["grounding_source", "query", "guard_content"]
_QUALIFIERS = get_args(Qualifier)


class Guarded(_Block, frozen=True, tag="guarded"):
    """Text or an image for the guardrail to evaluate. Where a call has such blocks, it evaluates nothing else of the
    input.

    Raises `ConfigurationError` for blank text, for an image in S3 or of another format than png and jpeg, and for an
    unknown qualifier.

    >>> Guarded("Oslo is rainy.", ["grounding_source"])
    Guarded(content='Oslo is rainy.', qualifiers=('grounding_source',))
    """

    type: ClassVar[Literal["guarded"]] = "guarded"
    content: str | Image
    """The text or the image."""
    qualifiers: tuple[Qualifier, ...] = ()
    """The use of a text in contextual grounding: `grounding_source`, `query`, `guard_content`."""

    if TYPE_CHECKING:

        def __init__(self, content: str | Image, qualifiers: Iterable[Qualifier] = ()) -> None: ...

    def __post_init__(self) -> None:
        content: Any = self.content
        if isinstance(content, Text):
            content = content.text
            msgspec.structs.force_setattr(self, "content", content)
        if not isinstance(content, str | Image):
            raise ConfigurationError("Guarded", f"expected a str or an Image, got {type(content).__name__}")
        if isinstance(content, str) and not content.strip():
            raise ConfigurationError("Guarded", f"expected non-blank text, got {content!r}", "omit the block")
        if isinstance(content, Image) and (content.data is None or content.format not in _GUARDED_FORMATS):
            problem = "in S3" if content.data is None else f"in {content.format}"
            raise ConfigurationError("Guarded", f"expected the bytes of a png or jpeg image, got one {problem}")
        msgspec.structs.force_setattr(self, "qualifiers", _strings("Guarded.qualifiers", self.qualifiers))
        for qualifier in self.qualifiers:
            if qualifier not in _QUALIFIERS or isinstance(content, Image):
                allowed = "none for an image" if isinstance(content, Image) else f"some of {', '.join(_QUALIFIERS)}"
                raise ConfigurationError("Guarded.qualifiers", f"expected {allowed}, got {qualifier!r}")


class SearchResult(_Block, frozen=True, tag="search_result"):
    """A result of a search that the caller made, which the model can cite. Also valid in a `ToolResult`.

    The service requires the same `citations` in all search results of a request. Raises `ConfigurationError` for a
    blank member.
    """

    type: ClassVar[Literal["search_result"]] = "search_result"
    source: str
    """Address or name of the source."""
    title: str
    """Title of the source."""
    content: tuple[str, ...]
    """The texts of the result. A citation refers to them by their indices. A single str is accepted."""
    citations: bool = False
    """True asks the model to cite the result."""

    if TYPE_CHECKING:

        def __init__(
            self, source: str, title: str, content: str | Iterable[str | Text], citations: bool = False
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("source", "title"):
            _strings(f"SearchResult.{name}", (getattr(self, name),))
        content: Any = (self.content,) if isinstance(self.content, str | Text) else self.content
        if isinstance(content, Iterable) and not isinstance(content, bytes | bytearray | Mapping):
            content = [item.text if isinstance(item, Text) else item for item in content]
        texts = _strings("SearchResult.content", content)
        if not texts:
            raise ConfigurationError("SearchResult.content", "has no texts", "omit the block")
        msgspec.structs.force_setattr(self, "content", texts)
        if not isinstance(self.citations, bool):
            raise ConfigurationError("SearchResult.citations", f"expected a bool, got {self.citations!r}")


def _strings(path: str, items: Any) -> tuple[str, ...]:
    """Return the items as a tuple. Raises `ConfigurationError` for anything but non-blank str."""
    if isinstance(items, str) or not isinstance(items, tuple | list):
        raise ConfigurationError(path, f"expected a list of str, got {type(items).__name__}")
    for item in items:
        if not isinstance(item, str) or not item.strip():
            raise ConfigurationError(path, f"expected a non-blank str, got {item!r}")
    return tuple(items)


ResultBlock: TypeAlias = Text | Json | Image | Document | Video | SearchResult | Raw
"""The blocks of a tool result."""
# The members of the union ToolResultContentBlock in the service model.
_RESULT_KEYS = frozenset({"text", "json", "image", "document", "video", "searchResult"})


Status: TypeAlias = Literal["success", "error"]


class ToolResult(_Block, frozen=True, tag="tool_result"):
    """The result of a tool call, sent back in a user message. Raises `ConfigurationError` for an unknown `status`."""

    type: ClassVar[Literal["tool_result"]] = "tool_result"
    id: str
    """Id of the `ToolCall`."""
    content: tuple[ResultBlock, ...] = ()
    """One value or a list of blocks. A str becomes `Text`, any other JSON value becomes `Json`."""
    status: Status | None = None
    """`success` or `error`. None leaves it out."""
    kind: str | None = None
    """The service's type of the result, for server-side tools."""
    name: str | None = None
    """Name of the tool; `run_tools` sets it. It is not sent."""

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,
            content: Any = (),
            status: Status | None = None,
            kind: str | None = None,
            name: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        if self.status not in (None, *get_args(Status)):
            raise ConfigurationError("ToolResult.status", f'expected "success", "error" or None, got {self.status!r}')
        content: Any = self.content
        # A list is a list of blocks only if all its items are blocks; otherwise it is one JSON value.
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
    Text
    | CitedText
    | Reasoning
    | ToolCall
    | ToolResult
    | CachePoint
    | Guarded
    | SearchResult
    | Image
    | Document
    | Video
    | Audio
    | Raw
)
"""All content blocks of a message."""
Content: TypeAlias = str | Block | Mapping[str, Any]
"""A block in any accepted form: a str is a `Text`, a dict a `Raw`."""


class Message(Value, msgspec.Struct, frozen=True):
    """One turn of a conversation: a role and its content blocks.

    `content` accepts a str, a block, a dict in Converse's own format, or an iterable of these. Raises
    `ConfigurationError` for an unknown role and for invalid content.

    >>> Message("user", "Hello") == Message.user(Text("Hello")) == Message("user", ["Hello"])
    True
    >>> message = Message.user("What is this?", Image(b"GIF89a..."))
    >>> message.text
    'What is this?'
    >>> Message.from_json(message.to_json()) == message
    True
    """

    role: Role
    """`user`, `assistant`, or `system` (a system message inside the conversation)."""
    content: tuple[Block, ...]
    """The content blocks."""

    if TYPE_CHECKING:

        def __init__(self, role: Role, content: Content | Iterable[Content]) -> None: ...

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise _unknown_role("Message.role", self.role)
        msgspec.structs.force_setattr(self, "content", _blocks(self.content, "Message.content"))

    @classmethod
    def user(cls, *content: Content) -> Message:
        """Return a message with the role `user`."""
        return cls("user", content)

    @classmethod
    def assistant(cls, *content: Content) -> Message:
        """Return a message with the role `assistant`."""
        return cls("assistant", content)

    def to_json(self) -> bytes:
        """Return the message as JSON, for storage. `from_json` restores an equal message."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Message:
        """Return the message from the output of `to_json`. Raises `ConfigurationError` for anything else."""
        try:
            return msgspec.json.decode(data, type=cls)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError("data", f"is not a message: {error}", "pass the output of to_json()") from None

    @property
    def text(self) -> str:
        """The text of all text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, Text | CitedText))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Tool calls for the caller to run, without those that the service runs itself."""
        return tuple(block for block in self.content if isinstance(block, ToolCall) and not block.server)

    @property
    def wants_tools(self) -> bool:
        """True if the message contains tool calls for the caller, independent of the stop reason."""
        return bool(self.tool_calls)


Prompt: TypeAlias = str | Message | Mapping[str, Any] | Iterable[Message | Mapping[str, Any]]
"""A str, a message, or messages; a dict has the keys `role` (default `user`) and `content`."""


def read_prompt(prompt: Prompt) -> tuple[Message, ...]:
    """Return any form of a prompt as messages. Raises `ConfigurationError` with the path of the invalid part."""
    if isinstance(prompt, str):
        if not prompt:
            raise ConfigurationError("prompt", "expected a non-empty str, got ''")
        return (Message("user", prompt),)
    if isinstance(prompt, Message | Mapping):
        prompt = (prompt,)
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray | AsyncIterable):
        kind = type(prompt).__name__
        raise ConfigurationError("prompt", f"expected a str, a Message or a sequence of messages, got {kind}")
    messages = tuple(_read_message(item, f"messages[{index}]") for index, item in enumerate(prompt))
    # The service rejects messages without content. A model may return one, so those of the assistant are omitted.
    for index, message in enumerate(messages):
        if not message.content and message.role != "assistant":
            raise ConfigurationError(f"messages[{index}].content", "has no blocks", "omit the message")
    messages = tuple(message for message in messages if message.content)
    if not messages:
        raise ConfigurationError("prompt", "has no messages", "pass at least one user message")
    return messages


def _read_message(item: Message | Mapping[str, Any], path: str) -> Message:
    if isinstance(item, Message):
        return Message(item.role, _blocks(item.content, f"{path}.content"))
    if not isinstance(item, Mapping):
        raise ConfigurationError(path, f"expected a Message or a dict, got {type(item).__name__}")
    unknown = set(item) - {"role", "content"}
    if unknown or "content" not in item:
        problem = f"unknown key {min(unknown, key=str)!r}" if unknown else "has no content"
        raise ConfigurationError(path, problem, 'use {"role": ..., "content": ...}')
    role = item.get("role", "user")
    if role not in ROLES:
        raise _unknown_role(f"{path}.role", role)
    return Message(role, _blocks(item["content"], f"{path}.content"))


def _unknown_role(path: str, role: Any) -> ConfigurationError:
    return ConfigurationError(path, f"expected one of {', '.join(ROLES)}, got {role!r}")


def _blocks(content: Any, path: str) -> tuple[Block, ...]:
    if isinstance(content, str):
        return (_block(content, path),)
    if isinstance(content, Mapping | msgspec.Struct):
        content = (content,)
    if not isinstance(content, Iterable) or isinstance(content, bytes | bytearray | AsyncIterable):
        raise ConfigurationError(path, f"expected a str or a list of blocks, got {type(content).__name__}")
    return tuple(_block(item, f"{path}[{index}]") for index, item in enumerate(content))


def _block(item: Any, path: str) -> Block:
    if isinstance(item, str):
        item = Text(item)
    elif isinstance(item, Mapping):
        if len(item) != 1:  # Converse's ContentBlock is a union: exactly one key
            keys = sorted(map(str, item))
            raise ConfigurationError(
                path, f"expected a block with one key, got {len(item)}: {keys}", "pass one block for each key"
            )
        item = Raw(dict(item))
    if not isinstance(item, Block):
        raise ConfigurationError(path, f"expected Text, Image, ... or a dict, got {type(item).__name__}")
    # The service rejects empty text blocks.
    if item in (Text(""), Raw({"text": ""})):
        raise ConfigurationError(path, "expected non-empty text, got ''", "omit the block")
    return item
