"""OpenAI's Chat Completions through InvokeModel: the native format of gpt-oss."""

from __future__ import annotations

from typing import ClassVar

from ..base import BaseDialect, Parse, Unsupported, WriteBody
from ..chunks import ChunkReader
from .answer import parse
from .body import unsupported, write_body
from .reader import OpenAIReader

__all__ = ("OpenAI",)


class OpenAIChunkReader(ChunkReader, OpenAIReader):
    """Reader of one Chat Completions stream in frames."""

    __slots__ = ()


class OpenAI(BaseDialect):
    """The Chat Completions dialect."""

    unsupported: ClassVar[Unsupported] = staticmethod(unsupported)
    body: ClassVar[WriteBody] = staticmethod(write_body)
    reader: ClassVar[staticmethod[[], OpenAIChunkReader]] = staticmethod(OpenAIChunkReader)
    parse: ClassVar[Parse] = staticmethod(parse)
