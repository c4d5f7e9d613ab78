"""Which path serves a model, by the emulator's own facts; each model of bedrock-mantle is on exactly one.

An id of an unknown maker is taken on every path.
"""

from __future__ import annotations

import re

from .asked import Endpoint
from .families import is_claude, is_profile, maker_of
from .refusal import invalid
from .vendor_errors import wrong_route_message

__all__ = ("LISTED", "check_route")

# On /openai/v1; all other open weights are on /v1.
_OPENAI_PREFIX = re.compile(r"openai\.gpt-\d|google\.gemma-[4-9]|xai\.grok-")
_GPT_OSS = re.compile(r"openai\.gpt-oss-")
_OLD_CLAUDE = re.compile(r"claude-(v1|v2|instant|3|(opus|sonnet)-4(-[0-6])?(-\d{8}.*)?$)")
_NOT_ON_MANTLE = frozenset({"ai21", "amazon", "cohere", "meta", "stability", "twelvelabs"})

LISTED = (
    "anthropic.claude-haiku-4-5", "anthropic.claude-opus-4-8", "anthropic.claude-opus-5-5",
    "anthropic.claude-sonnet-5-5", "deepseek.v3.2", "google.gemma-3-27b-it", "google.gemma-4-31b",
    "mistral.mistral-large-3", "moonshotai.kimi-k2.5", "openai.gpt-5.6-luna", "openai.gpt-6-sol",
    "openai.gpt-oss-120b", "openai.gpt-oss-20b", "openai.gpt-oss-safeguard-20b", "qwen.qwen3-235b-a22b-2507",
    "xai.grok-4.6", "zai.glm-5",
)  # fmt: skip
"""Models of bedrock-mantle, as its lists have them."""


def check_route(model: str, path: str, endpoint: Endpoint | None) -> None:
    """Check that a path serves the model, on its endpoint or, if that is unknown, on one of them. Raises `Refusal`."""
    if not maker_of(model)[0]:
        return
    if is_claude(model) != path.startswith("/anthropic/"):
        raise invalid(f"The model '{model}' does not support the '{path}' API.")
    serves = {"runtime": _runtime_serves, "mantle": _mantle_serves}
    asked = serves.values() if endpoint is None else (serves[endpoint],)
    if not any(serve(model, path) for serve in asked):
        raise invalid(wrong_route_message(model))


def _mantle_serves(model: str, path: str) -> bool:
    maker, name = maker_of(model)
    # Ids are plain there: no region's prefix, no ARN.
    if is_profile(model) or maker in _NOT_ON_MANTLE:
        return False
    if is_claude(model):
        return not _OLD_CLAUDE.match(name)
    return path.startswith("/openai/") == bool(_OPENAI_PREFIX.match(model))


def _runtime_serves(model: str, path: str) -> bool:
    if path.startswith("/v1/"):
        return False
    base = ".".join(maker_of(model))
    oss = bool(_GPT_OSS.match(base))
    # GPT, Grok and current Claude models need a profile there.
    if path.endswith("/responses"):
        return base.startswith("openai.") and not oss
    return oss or is_claude(model) or base.startswith(("openai.gpt-", "xai.grok-"))
