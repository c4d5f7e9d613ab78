"""Claude's Messages API through InvokeModel: the native format of Anthropic's models."""

from __future__ import annotations

from ..base import BaseDialect
from .answer import parse
from .body import unsupported, write_body
from .reader import AnthropicReader

__all__ = ("Anthropic",)


class Anthropic(BaseDialect):
    """The Messages dialect."""

    unsupported = staticmethod(unsupported)
    body = staticmethod(write_body)
    reader = staticmethod(AnthropicReader)
    parse = staticmethod(parse)
