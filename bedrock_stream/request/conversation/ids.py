"""Tool-use ids: changed only where the model does not take them, one to one and the same in every call."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec

from ...types.messages import Block, Message, Raw, ToolCall, ToolResult
from ..unsupported import Refusals
from .blocks import call_id, result_id, with_content

__all__ = ("with_safe_ids",)

_Form: TypeAlias = Literal["any", "claude", "nine"]

_FORMS: dict[str, re.Pattern[str]] = {
    # The pattern of `toolUseId` in the Bedrock Runtime service model.
    "any": re.compile(r"[a-zA-Z0-9_.:-]{1,64}"),
    "claude": re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    "nine": re.compile(r"[a-zA-Z0-9]{9}"),
}
_NOT_IN_IDS = {"any": re.compile(r"[^a-zA-Z0-9_.:-]"), "claude": re.compile(r"[^a-zA-Z0-9_-]")}
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def with_safe_ids(messages: tuple[Message, ...], form: _Form, refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages with ids in the form that the model takes."""
    return tuple(
        with_content(message, [_with_safe_id(block, form, refusals) for block in message.content])
        for message in messages
    )


def _with_safe_id(block: Block, form: _Form, refusals: Refusals) -> Block:
    given = result_id(block) if (called := call_id(block)) is None else called
    if given is None or _FORMS[form].fullmatch(given):
        return block
    safe = _safe_id(given, form)
    refusals.changed(f"the tool id {given!r} became {safe!r}")
    if isinstance(block, Raw):  # a typed result may refer to a raw call, and vice versa
        key = "toolResult" if called is None else "toolUse"
        return Raw({**block.value, key: {**block.value[key], "toolUseId": safe}})
    return msgspec.structs.replace(block, id=safe) if isinstance(block, ToolCall | ToolResult) else block


def _safe_id(id: str, form: _Form) -> str:
    """Map an id to one that the service accepts: equal ids stay equal, different ids stay different."""
    from hashlib import sha256

    digest = sha256(id.encode("utf-8", "surrogatepass"))
    if form == "nine":
        number = int.from_bytes(digest.digest(), "big")
        return "".join(_DIGITS[number // len(_DIGITS) ** place % len(_DIGITS)] for place in range(9))
    # 48 readable characters, `_` and 12 digits of the hash: 61 of the 64 that are allowed.
    return f"{_NOT_IN_IDS[form].sub('_', id)[:48]}_{digest.hexdigest()[:12]}"
