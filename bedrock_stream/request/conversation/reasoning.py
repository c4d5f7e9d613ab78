"""Reasoning of earlier turns: sent back only in the forms that the model takes.

Claude verifies the signature of its reasoning; most other models refuse reasoning in the history, and each refuses that
of another family. So it depends on the target: the same history may keep it for one and lose it for another. Reasoning
of a response names the family that wrote it; written by hand, or read from a request, it has only its form. What the
Responses API returned as items of its own goes back to that API alone.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from ...types.messages import Block, Message, Raw, Reasoning
from ...types.model_facts import ModelFacts, Replay
from ..unsupported import Refusals
from .blocks import is_item, is_reasoning, with_content

__all__ = ("fit_reasoning", "is_replayable")

_ITEM: Literal["Responses API"] = "Responses API"
_Form: TypeAlias = Literal["signed", "own", "unsigned", "redacted", "another family's", "Responses API", "unknown"]

_TAKEN: dict[Replay, tuple[_Form, ...]] = {
    "any": ("signed", "own", "unsigned", "redacted", "unknown"),
    "signed": ("signed", "redacted", "unknown"),
    "unsigned": ("own", "unsigned", "unknown"),
    "own": ("own", "unknown"),
    "redacted": ("redacted", "unknown"),
    "items": (_ITEM, "unknown"),
    "none": (),
}


def fit_reasoning(messages: tuple[Message, ...], facts: ModelFacts, refusals: Refusals) -> tuple[Message, ...]:
    """Return the messages with the reasoning that the model takes back, without a turn that held nothing else."""
    taken = _TAKEN[facts.replay]
    kept = []
    for number, message in enumerate(messages):
        blocks = []
        for index, block in enumerate(message.content):
            block = _with_text_alone(block) if "own" in taken else block
            form = _form(block, facts.family) if is_reasoning(block) else None
            path = f"messages[{number}].content[{index}]"
            if is_item(block) and _ITEM not in taken:
                refusals.changed(f"an item of the Responses API was left out, no other one takes it: {path}")
            elif form is None or form in taken:
                blocks.append(block)
            else:
                refusals.changed(f"{form} reasoning was left out, {facts.name} does not take it back: {path}")
        if blocks or not message.content:
            kept.append(with_content(message, blocks))
    return tuple(kept)


def _is_response_item(block: Reasoning) -> bool:
    """Return whether encrypted reasoning is an item of the Responses API."""
    if block.redacted is None:
        return False
    from ...dialects.reasoning_items import is_reasoning_item  # few conversations have encrypted reasoning

    return is_reasoning_item(block.redacted)


def _with_text_alone(block: Block) -> Block:
    """Return reasoning of the Responses API without its item, which other APIs do not take, if it has readable text."""
    if isinstance(block, Reasoning) and block.text and _is_response_item(block):
        return msgspec.structs.replace(block, redacted=None)
    return block


def is_replayable(block: Block) -> bool:
    """Return whether a block is reasoning that Claude takes back."""
    return is_reasoning(block) and _form(block, "claude") in _TAKEN["signed"]


def _form(block: Block, family: str | None) -> _Form:
    if isinstance(block, Reasoning):
        own = block.family is not None and block.family == family
        if block.family is not None and family is not None and not own:
            return "another family's"
        if block.redacted is not None:
            return _ITEM if _is_response_item(block) else "redacted"
        return "signed" if block.signature else "own" if own else "unsigned"
    wire: Any = block.value if isinstance(block, Raw) else {}
    match wire:
        case {"type": "redacted_thinking"} | {"reasoningContent": {"redactedContent": _}}:
            return "redacted"
        case {"reasoningContent": {"reasoningText": dict(inner)}}:
            return "signed" if inner.get("signature") else "unsigned"
        case {"type": "thinking"}:
            return "signed" if wire.get("signature") else "unsigned"
    return "unknown"
