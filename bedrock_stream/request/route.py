"""Which API and which form a call takes, and why.

Families with a form of their own (Claude, gpt-oss, Llama) are asked in it; tools, and whatever that form has no words
for, take the call to Converse, which every other family speaks anyway. `use_converse` decides where it is given, and a
native route that cannot be taken is an error then, never a silent detour. Caching does not change the route.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from ..dialects import Dialect, Native
from ..dialects.converse import Converse
from ..dialects.converse.blocks import read_block
from ..errors import InvalidFrame, UnsupportedOperation
from ..types.messages import Block, Json, Message, Raw, ToolResult
from ..types.options import Options
from .conversation import uses_tools
from .models import Model

__all__ = ("Route", "choose_route")


class Route(msgspec.Struct, frozen=True):
    """A decision."""

    dialect: Dialect
    reason: str
    messages: tuple[Message, ...]
    """The conversation as this dialect takes it."""


_CONVERSE = Converse()
_CONVERSE_ONLY = ("response_field_paths", "prompt_variables")
# Members of its body that no native form has.
_CONVERSE_MEMBERS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "toolConfig",
    }
)


def choose_route(model: Model, messages: tuple[Message, ...], options: Options) -> Route:
    """Raises `UnsupportedOperation` where `use_converse=False` asks for what cannot be."""
    if options.use_converse:
        return Route(_CONVERSE, "use_converse=True", messages)
    native = _native(model)
    forced = options.use_converse is False
    if native is None:
        if forced:
            raise UnsupportedOperation(
                "use_converse", f"False, but {model.id!r} has no native form here", "leave it out, or use invoke_stream"
            )
        return Route(_CONVERSE, f"{model.family or 'an unknown family'} speaks Converse", messages)
    typed = tuple(_typed(message) for message in messages)
    obstacle = _obstacle(native, typed, options)
    if forced:
        if obstacle is not None:
            raise UnsupportedOperation("use_converse", f"False, but {obstacle}", "leave it out")
        return Route(native, "use_converse=False", typed)
    if options.tools or uses_tools(typed):
        return Route(_CONVERSE, "tools go through Converse", messages)
    if obstacle is not None:
        return Route(_CONVERSE, obstacle, messages)
    return Route(native, f"{model.family} without tools speaks its own form", typed)


def _native(model: Model) -> Native | None:
    match model.native:  # few programs speak to more than one family, so each form is imported when it is spoken
        case "anthropic":
            from ..dialects.anthropic import Anthropic

            return Anthropic()
        case "openai":
            from ..dialects.openai import OpenAI

            return OpenAI()
        case "llama":
            from ..dialects.llama import Llama

            return Llama(model.family or "llama3")
    return None


def _obstacle(native: Native, messages: Sequence[Message], options: Options) -> str | None:
    for name in _CONVERSE_ONLY:
        if getattr(options, name):
            return f"only Converse knows {name}"
    for name in options.extra:
        if name in _CONVERSE_MEMBERS:
            return f"only Converse knows {name}"
    return native.unsupported(messages, options)


def _typed(message: Message) -> Message:
    """A message with the caller's blocks in Converse's shape read, as far as they can be."""
    blocks = tuple(_typed_block(block) for block in message.content)
    return message if blocks == message.content else Message(message.role, blocks)


def _typed_block(block: Block) -> Block:
    if isinstance(block, Raw):
        with suppress(InvalidFrame, ValueError, RecursionError):  # what cannot be read stays as it is
            block = read_block(block.value)
    if isinstance(block, ToolResult):
        return msgspec.structs.replace(block, content=tuple(_typed_item(item) for item in block.content))
    return block


def _typed_item(item: Any) -> Any:
    match item:
        case Raw({"json": value, **rest}) if not rest:
            return Json(value)
        case Raw():
            return _typed_block(item)
    return item
