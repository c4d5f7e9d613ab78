"""Asyncio streaming from Amazon Bedrock.

    from bedrock_stream import stream

    async with stream("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Hello") as answer:
        async for text in answer.text_stream:
            print(text, end="", flush=True)

Calls: `stream` and `generate`, or the same on a `Client`, which also has `run_tools`, `invoke_stream`, `invoke`,
`count_tokens`, `explain` and `stats`.

Many calls: `Client.map`, with `Ask`, `Stop` and `Journal`, makes a `Batch` of `Row`s.

Conversation: `Message`, its blocks (`Text`, `Image`, `Document`, `Video`, `Audio`, `ToolCall`, `ToolResult`,
`Reasoning`, `CachePoint`, `Guarded`, `SearchResult`, ...), `Tool` and `SystemTool`.

Events of a `Stream`: `MessageStart`, `TextDelta`, `ReasoningDelta`, `ToolCallStart`, `ToolCallDelta`, `ToolCallEnd`,
`CitationDelta`, `BlockStop`, `MessageStop`, `Metadata`, `UnknownEvent`, ... They add up to a `Response`. The module
`events` has all of them.

Credentials: `Credentials`, `AssumeRole`, `AssumeRoleWithWebIdentity`, `ContainerRole`, `InstanceRole`,
`BotocoreSession`, `put_key`.

Settings: `Timeouts`, `RetryPolicy`, `Target`, `Price`, `Quota`, and `CallOptions`, the options of a call.

Errors: `BedrockStreamError` and its subclasses, such as `Throttled`, `StreamInterrupted` and `ConfigurationError`, also
in the module `errors`, which shows them as a tree.

Types for annotations: `Event`, `ToolEvent`, `ToolRunEvent`, `Block`, `Prompt`.

Other modules: `eventstream` and `sse` (framing alone), `auth.sigv4` (signing alone), `observing`
(hooks for traces and logs), `testing` (a local Bedrock), `integrations` and `gateway`.

Each name is imported from its module on first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import errors as errors
    from .auth.botocore import BotocoreSession as BotocoreSession
    from .auth.credentials import Credentials as Credentials
    from .auth.instance import ContainerRole as ContainerRole
    from .auth.instance import InstanceRole as InstanceRole
    from .auth.key_store import put_key as put_key
    from .auth.sts import AssumeRole as AssumeRole
    from .auth.sts import AssumeRoleWithWebIdentity as AssumeRoleWithWebIdentity
    from .batch.asks import Ask as Ask
    from .batch.batch import Batch as Batch
    from .batch.committed import Committed as Committed
    from .batch.journal import Journal as Journal
    from .batch.progress import Progress as Progress
    from .batch.rows import Row as Row
    from .batch.stop import Stop as Stop
    from .client.api import generate as generate
    from .client.api import stream as stream
    from .client.client import Client as Client
    from .client.pricing import Price as Price
    from .client.reports import Explanation as Explanation
    from .client.reports import Stats as Stats
    from .client.snapshots import Snapshot as Snapshot
    from .client.stream import RawStream as RawStream
    from .client.stream import Stream as Stream
    from .client.stream import ToolEvent as ToolEvent
    from .client.tool_calls import AfterCall as AfterCall
    from .client.tool_calls import BeforeCall as BeforeCall
    from .client.tool_loop import ToolRun as ToolRun
    from .client.tool_loop import ToolRunEvent as ToolRunEvent
    from .errors import AccessDenied as AccessDenied
    from .errors import BatchStopped as BatchStopped
    from .errors import BedrockStreamError as BedrockStreamError
    from .errors import ChecksumMismatch as ChecksumMismatch
    from .errors import ClientClosed as ClientClosed
    from .errors import ConfigurationError as ConfigurationError
    from .errors import ConnectionFailed as ConnectionFailed
    from .errors import ConnectTimeout as ConnectTimeout
    from .errors import ContextWindowExceeded as ContextWindowExceeded
    from .errors import CredentialsUnavailable as CredentialsUnavailable
    from .errors import ExpiredToken as ExpiredToken
    from .errors import FirstContentTimeout as FirstContentTimeout
    from .errors import FirstEventTimeout as FirstEventTimeout
    from .errors import FrameSizeError as FrameSizeError
    from .errors import IdleTimeout as IdleTimeout
    from .errors import InternalServerError as InternalServerError
    from .errors import InvalidFrame as InvalidFrame
    from .errors import InvalidHeader as InvalidHeader
    from .errors import InvalidRequest as InvalidRequest
    from .errors import InvalidSignature as InvalidSignature
    from .errors import JournalBusy as JournalBusy
    from .errors import JournalDamaged as JournalDamaged
    from .errors import JournalMismatch as JournalMismatch
    from .errors import MissingCredentials as MissingCredentials
    from .errors import ModelError as ModelError
    from .errors import ModelNotReady as ModelNotReady
    from .errors import ModelStreamError as ModelStreamError
    from .errors import ModelTimeout as ModelTimeout
    from .errors import NotAnEventStream as NotAnEventStream
    from .errors import PoolTimeout as PoolTimeout
    from .errors import QuotaExceeded as QuotaExceeded
    from .errors import RelayFull as RelayFull
    from .errors import RelayUnavailable as RelayUnavailable
    from .errors import ResourceNotFound as ResourceNotFound
    from .errors import RowInvalid as RowInvalid
    from .errors import ServiceError as ServiceError
    from .errors import ServiceUnavailable as ServiceUnavailable
    from .errors import SignatureExpired as SignatureExpired
    from .errors import StreamInterrupted as StreamInterrupted
    from .errors import Throttled as Throttled
    from .errors import TimeLimitError as TimeLimitError
    from .errors import ToolInputError as ToolInputError
    from .errors import ToolRoundsExceeded as ToolRoundsExceeded
    from .errors import TotalTimeout as TotalTimeout
    from .errors import TransportError as TransportError
    from .errors import UnreadTimeout as UnreadTimeout
    from .errors import UnsupportedOperation as UnsupportedOperation
    from .errors import ValidationFailed as ValidationFailed
    from .observing import Attempt as Attempt
    from .transport.quota import Quota as Quota
    from .transport.quota import QuotaLike as QuotaLike
    from .transport.quota import QuotaStats as QuotaStats
    from .types import events as events
    from .types.call_options import CallOptions as CallOptions
    from .types.docstrings import DocstringWarning as DocstringWarning
    from .types.events import BlockStop as BlockStop
    from .types.events import Citation as Citation
    from .types.events import CitationDelta as CitationDelta
    from .types.events import Event as Event
    from .types.events import ImageDelta as ImageDelta
    from .types.events import ImageStart as ImageStart
    from .types.events import MessageStart as MessageStart
    from .types.events import MessageStop as MessageStop
    from .types.events import Metadata as Metadata
    from .types.events import ReasoningDelta as ReasoningDelta
    from .types.events import Retrying as Retrying
    from .types.events import TextDelta as TextDelta
    from .types.events import ToolCallDelta as ToolCallDelta
    from .types.events import ToolCallEnd as ToolCallEnd
    from .types.events import ToolCallStart as ToolCallStart
    from .types.events import ToolResultDelta as ToolResultDelta
    from .types.events import ToolResultStart as ToolResultStart
    from .types.events import UnknownEvent as UnknownEvent
    from .types.events import Usage as Usage
    from .types.media import Audio as Audio
    from .types.media import Document as Document
    from .types.media import Image as Image
    from .types.media import Video as Video
    from .types.messages import Block as Block
    from .types.messages import CachePoint as CachePoint
    from .types.messages import CitedText as CitedText
    from .types.messages import Guarded as Guarded
    from .types.messages import Json as Json
    from .types.messages import Message as Message
    from .types.messages import Prompt as Prompt
    from .types.messages import Raw as Raw
    from .types.messages import Reasoning as Reasoning
    from .types.messages import SearchResult as SearchResult
    from .types.messages import Text as Text
    from .types.messages import ToolCall as ToolCall
    from .types.messages import ToolResult as ToolResult
    from .types.model_facts import ModelFacts as ModelFacts
    from .types.response import Response as Response
    from .types.response import Timing as Timing
    from .types.settings import RetryPolicy as RetryPolicy
    from .types.settings import Target as Target
    from .types.settings import Timeouts as Timeouts
    from .types.tools import SystemTool as SystemTool
    from .types.tools import Tool as Tool


def _lazy_attributes(
    namespace: dict[str, Any], module_of: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and `__dir__` of a package whose names are imported on first use (PEP 562).

    A name that is also its module's is the module itself.
    """
    package = namespace["__name__"]

    def load(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f".{module_of[name]}", package)
        value = namespace[name] = module if name == module_of[name].rpartition(".")[2] else getattr(module, name)
        return value

    return load, lambda: sorted({*namespace, *module_of})


_MODULES = {
    "auth.botocore": ("BotocoreSession",),
    "auth.credentials": ("Credentials",),
    "auth.instance": (
        "ContainerRole",
        "InstanceRole",
    ),
    "auth.key_store": ("put_key",),
    "auth.sts": (
        "AssumeRole",
        "AssumeRoleWithWebIdentity",
    ),
    "batch.asks": ("Ask",),
    "batch.batch": ("Batch",),
    "batch.journal": ("Journal",),
    "batch.committed": ("Committed",),
    "batch.progress": ("Progress",),
    "batch.rows": ("Row",),
    "batch.stop": ("Stop",),
    "client.api": (
        "generate",
        "stream",
    ),
    "client.client": ("Client",),
    "client.pricing": ("Price",),
    "client.reports": (
        "Explanation",
        "Stats",
    ),
    "client.snapshots": ("Snapshot",),
    "client.stream": (
        "RawStream",
        "Stream",
        "ToolEvent",
    ),
    "client.tool_calls": (
        "AfterCall",
        "BeforeCall",
    ),
    "client.tool_loop": (
        "ToolRun",
        "ToolRunEvent",
    ),
    "errors": (
        "AccessDenied",
        "BedrockStreamError",
        "ChecksumMismatch",
        "ClientClosed",
        "ConfigurationError",
        "ConnectTimeout",
        "ConnectionFailed",
        "ContextWindowExceeded",
        "CredentialsUnavailable",
        "ExpiredToken",
        "FirstContentTimeout",
        "FirstEventTimeout",
        "FrameSizeError",
        "IdleTimeout",
        "InternalServerError",
        "InvalidFrame",
        "InvalidHeader",
        "InvalidRequest",
        "InvalidSignature",
        "MissingCredentials",
        "ModelError",
        "ModelNotReady",
        "ModelStreamError",
        "ModelTimeout",
        "NotAnEventStream",
        "PoolTimeout",
        "QuotaExceeded",
        "RelayFull",
        "RowInvalid",
        "BatchStopped",
        "JournalBusy",
        "JournalDamaged",
        "JournalMismatch",
        "RelayUnavailable",
        "ResourceNotFound",
        "ServiceError",
        "ServiceUnavailable",
        "SignatureExpired",
        "StreamInterrupted",
        "Throttled",
        "TimeLimitError",
        "ToolInputError",
        "ToolRoundsExceeded",
        "TotalTimeout",
        "TransportError",
        "UnreadTimeout",
        "UnsupportedOperation",
        "ValidationFailed",
    ),
    "observing": ("Attempt",),
    "transport.quota": (
        "Quota",
        "QuotaLike",
        "QuotaStats",
    ),
    "types.call_options": ("CallOptions",),
    "types.docstrings": ("DocstringWarning",),
    "types.events": (
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
        "Retrying",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallEnd",
        "ToolCallStart",
        "ToolResultDelta",
        "ToolResultStart",
        "UnknownEvent",
        "Usage",
    ),
    "types.model_facts": ("ModelFacts",),
    "types.media": (
        "Audio",
        "Document",
        "Image",
        "Video",
    ),
    "types.messages": (
        "Block",
        "CachePoint",
        "CitedText",
        "Guarded",
        "Json",
        "Message",
        "Prompt",
        "Raw",
        "Reasoning",
        "SearchResult",
        "Text",
        "ToolCall",
        "ToolResult",
    ),
    "types.response": (
        "Response",
        "Timing",
    ),
    "types.settings": (
        "RetryPolicy",
        "Target",
        "Timeouts",
    ),
    "types.tools": (
        "SystemTool",
        "Tool",
    ),
}
_MODULE_OF = {"errors": "errors", "events": "types.events"} | {
    name: module for module, names in _MODULES.items() for name in names
}

__all__ = ("__version__", *_MODULE_OF)


if not TYPE_CHECKING:  # a type checker then reports a misspelled import
    __getattr__, __dir__ = _lazy_attributes(globals(), _MODULE_OF)
