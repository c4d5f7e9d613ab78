"""Claude's Messages API through InvokeModel: the native format of Anthropic's models."""

from __future__ import annotations

from typing import ClassVar

from ..base import BaseDialect, Parse, Unsupported, WriteBody
from ..chunks import ChunkReader
from .answer import parse
from .body import unsupported, write_body
from .reader import AnthropicReader

__all__ = ("Anthropic",)


class AnthropicChunkReader(ChunkReader, AnthropicReader):
    """Reader of one Messages stream in frames."""

    __slots__ = ()


class Anthropic(BaseDialect):
    """The Messages dialect."""

    unsupported: ClassVar[Unsupported] = staticmethod(unsupported)
    body: ClassVar[WriteBody] = staticmethod(write_body)
    reader: ClassVar[staticmethod[[], AnthropicChunkReader]] = staticmethod(AnthropicChunkReader)
    parse: ClassVar[Parse] = staticmethod(parse)
