"""OpenAI's Chat Completions through InvokeModel: the native format of gpt-oss."""

from __future__ import annotations

from ..base import BaseDialect
from .answer import parse
from .body import unsupported, write_body
from .reader import OpenAIReader

__all__ = ("OpenAI",)


class OpenAI(BaseDialect):
    """The Chat Completions dialect."""

    unsupported = staticmethod(unsupported)
    body = staticmethod(write_body)
    reader = staticmethod(OpenAIReader)
    parse = staticmethod(parse)
