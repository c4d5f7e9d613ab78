"""Prompt text for the native formats whose turns are plain text, and the error for unsupported content.

Content is never dropped silently: a format names the content that it does not support, and the call uses Converse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..errors import UnsupportedOperation
from ..types.messages import Block, CitedText, Message, Raw, Text
from ..types.options import Options

__all__ = ("first_unsupported", "joined_text", "raise_unsupported", "system_text", "system_texts")


def first_unsupported(messages: Sequence[Message], can_write: Callable[[Block, str], bool]) -> tuple[str, str] | None:
    """Return the path and the kind of the first block that cannot be written in a message of its role, or None."""
    for index, message in enumerate(messages):
        for position, block in enumerate(message.content):
            if not can_write(block, message.role):
                keys = f" ({', '.join(block.value)})" if isinstance(block, Raw) else ""
                return (
                    f"messages[{index}].content[{position}]",
                    f"{type(block).__name__}{keys} in {message.role} messages",
                )
    return None


def raise_unsupported(reason: str | None) -> None:
    """Raise `UnsupportedOperation` if there is a reason."""
    if reason:
        raise UnsupportedOperation("use_converse", reason, "use the Converse route")


def system_texts(options: Options) -> list[str | None]:
    """Return the texts of the system prompt, with None for each item that is not text."""
    texts: list[str | None] = []
    for item in options.system:
        match item:
            case Text(text):
                texts.append(text)
            case {"text": str(text), **rest} if not rest:  # in Converse's format
                texts.append(text)
            case _:
                texts.append(None)
    return texts


def system_text(options: Options) -> str:
    """Return the system prompt as one text, with a line for each item that is not empty."""
    return "\n".join(text for text in system_texts(options) if text)


def joined_text(blocks: Iterable[Block], role: str) -> str:
    """Return the text of blocks: an assistant's blocks are joined as they are, other blocks become lines."""
    return ("" if role == "assistant" else "\n").join(b.text for b in blocks if isinstance(b, Text | CitedText))
