"""Asyncio streaming from Amazon Bedrock.

    from bedrock_stream import stream

    async with stream("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Hello") as answer:
        async for text in answer.text_stream:
            print(text, end="", flush=True)

This module is the shop window: names only, each loaded from its room when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .assembly import Response as Response
    from .attachments import Audio as Audio
    from .attachments import Document as Document
    from .attachments import Image as Image
    from .attachments import Video as Video
    from .auth.botocore import BotocoreSession as BotocoreSession
    from .auth.credentials import Credentials as Credentials
    from .auth.instance import ContainerRole as ContainerRole
    from .auth.instance import InstanceRole as InstanceRole
    from .auth.keys import put_key as put_key
    from .auth.sts import AssumeRole as AssumeRole
    from .auth.sts import AssumeRoleWithWebIdentity as AssumeRoleWithWebIdentity
    from .client import Client as Client
    from .clocks import Timeouts as Timeouts
    from .events import BlockStop as BlockStop
    from .events import Citation as Citation
    from .events import CitationDelta as CitationDelta
    from .events import Event as Event
    from .events import ImageDelta as ImageDelta
    from .events import ImageStart as ImageStart
    from .events import MessageStart as MessageStart
    from .events import MessageStop as MessageStop
    from .events import Metadata as Metadata
    from .events import ReasoningDelta as ReasoningDelta
    from .events import TextDelta as TextDelta
    from .events import ToolCallDelta as ToolCallDelta
    from .events import ToolCallEnd as ToolCallEnd
    from .events import ToolCallStart as ToolCallStart
    from .events import ToolResultDelta as ToolResultDelta
    from .events import ToolResultStart as ToolResultStart
    from .events import UnknownEvent as UnknownEvent
    from .events import Usage as Usage
    from .explanation import Explanation as Explanation
    from .messages import CachePoint as CachePoint
    from .messages import CitedText as CitedText
    from .messages import Json as Json
    from .messages import Message as Message
    from .messages import Raw as Raw
    from .messages import Reasoning as Reasoning
    from .messages import Text as Text
    from .messages import ToolCall as ToolCall
    from .messages import ToolResult as ToolResult
    from .observing import Attempt as Attempt
    from .pricing import Price as Price
    from .retry import RetryPolicy as RetryPolicy
    from .shared import generate as generate
    from .shared import stream as stream
    from .statistics import Stats as Stats
    from .streaming import RawStream as RawStream
    from .streaming import Stream as Stream
    from .targets import Target as Target
    from .toolloop import ToolRun as ToolRun
    from .tools import Tool as Tool

_ROOMS = {
    "assembly": ("Response",),
    "attachments": ("Audio", "Document", "Image", "Video"),
    "observing": ("Attempt",),
    "auth.credentials": ("Credentials",),
    "auth.keys": ("put_key",),
    "auth.botocore": ("BotocoreSession",),
    "auth.instance": ("ContainerRole", "InstanceRole"),
    "auth.sts": ("AssumeRole", "AssumeRoleWithWebIdentity"),
    "client": ("Client",),
    "clocks": ("Timeouts",),
    "events": (
        "BlockStop",
        "Citation",
        "CitationDelta",
        "Event",
        "ImageDelta",
        "ImageStart",
        "MessageStart",
        "MessageStop",
        "Metadata",
        "ReasoningDelta",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallEnd",
        "ToolCallStart",
        "ToolResultDelta",
        "ToolResultStart",
        "UnknownEvent",
        "Usage",
    ),
    "explanation": ("Explanation",),
    "messages": ("CachePoint", "CitedText", "Json", "Message", "Raw", "Reasoning", "Text", "ToolCall", "ToolResult"),
    "pricing": ("Price",),
    "retry": ("RetryPolicy",),
    "shared": ("generate", "stream"),
    "statistics": ("Stats",),
    "streaming": ("RawStream", "Stream"),
    "targets": ("Target",),
    "toolloop": ("ToolRun",),
    "tools": ("Tool",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ("__version__", *_ROOM_OF)


def __getattr__(name: str) -> Any:
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{room}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
