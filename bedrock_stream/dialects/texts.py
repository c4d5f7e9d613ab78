"""What the native forms share whose turns are plain text: a prompt's text, and a refusal that names what is none.

Nothing is left out in silence: a form that has no place for a block says so, and the call takes the Converse route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import UnsupportedOperation
from ..types.messages import Block, CitedText, Message, Raw, Text
from ..types.options import Options

__all__ = ("first_unsupported", "joined_text", "raise_refusal", "system_text", "system_texts", "with_fields")


def first_unsupported(messages: Sequence[Message], can_write: Callable[[Block, str], bool]) -> tuple[str, str] | None:
    """The first block that cannot be written in its role's turn: its place, and what it is."""
    for place, message in enumerate(messages):
        for index, block in enumerate(message.content):
            if not can_write(block, message.role):
                keys = f" ({', '.join(block.value)})" if isinstance(block, Raw) else ""
                return f"messages[{place}].content[{index}]", f"{type(block).__name__}{keys} in {message.role}'s turn"
    return None


def raise_refusal(reason: str | None) -> None:
    """Raises `UnsupportedOperation` where a dialect has a reason not to say it."""
    if reason:
        raise UnsupportedOperation("use_converse", reason, "take the Converse route")


def system_texts(options: Options) -> list[str | None]:
    """The texts of the system prompt; None for what is no text."""
    texts: list[str | None] = []
    for item in options.system:
        match item:
            case Text(text):
                texts.append(text)
            case {"text": str(text), **rest} if not rest:
                texts.append(text)
            case _:
                texts.append(None)
    return texts


def system_text(options: Options) -> str:
    """The system prompt as one text: each that is not empty is a line of its own."""
    return "\n".join(text for text in system_texts(options) if text)


def joined_text(blocks: Iterable[Block], role: str) -> str:
    """The text of blocks: those of an answer are joined as the model said them, those of a user are lines."""
    return ("" if role == "assistant" else "\n").join(b.text for b in blocks if isinstance(b, Text | CitedText))


def with_fields(body: dict[str, Any], fields: dict[str, Any], options: Options) -> dict[str, Any]:
    """A body with the options that were given (None and `[]` were not); the caller's own fields have the last word."""
    given = {name: value for name, value in fields.items() if value not in (None, [])}
    return {**body, **given, **(options.additional_model_request_fields or {}), **options.extra}
