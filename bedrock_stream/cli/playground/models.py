"""The models that the page lists by name. Any other model id can be entered by hand."""

from __future__ import annotations

import msgspec

__all__ = ("MODELS", "Offered")


class Offered(msgspec.Struct, frozen=True):
    """A model id with its display name."""

    name: str
    id: str


MODELS = (
    Offered("Claude Sonnet 4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    Offered("Claude Haiku 4.5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
    Offered("Nova Pro", "us.amazon.nova-pro-v1:0"),
    Offered("gpt-oss 120b", "openai.gpt-oss-120b-1:0"),
    Offered("Llama 3.3 70B", "us.meta.llama3-3-70b-instruct-v1:0"),
)
