"""Choose between Converse and the native format of a family (InvokeModel), with the reason; or the API of a vendor.

Claude, gpt-oss and Llama use their native format. Tools, and anything that the format cannot express, move the call to
Converse, which all other families use. Claude's own tools, and blocks of an earlier response that only a native format
has, keep the call there. An explicit `api` or `use_converse` decides: if that API then cannot express the call, that is
an error and never a silent fallback. Caching does not change the route.
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
from .surfaces import choose_surface, vendor_dialect

__all__ = ("Route", "choose_route", "native_dialect")


class Route(msgspec.Struct, frozen=True):
    """The chosen dialect of a call."""

    dialect: Dialect
    reason: str
    messages: tuple[Message, ...]
    """The conversation in the form that this dialect accepts."""


_CONVERSE = Converse()
# Options that no native format has a field for.
_CONVERSE_ONLY = ("response_field_paths", "prompt_variables")
# Members of a Converse body that no native format has, for callers who put them into `extra`.
_CONVERSE_MEMBERS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "outputConfig",
        "performanceConfig",
        "projectIdentifier",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "toolConfig",
    }
)


def choose_route(model: Model, messages: tuple[Message, ...], options: Options) -> Route:
    """Return the route of a call. Raises `UnsupportedOperation` for an API that cannot express it."""
    surface = choose_surface(model, options)
    if surface.api is not None:
        dialect, typed = vendor_dialect(surface, model), tuple(_typed(message) for message in messages)
        if reason := dialect.unsupported(typed, options):
            raise UnsupportedOperation("api", f"cannot be {surface.api}: {reason}", "use another api")
        return Route(dialect, surface.reason, typed)
    named = "use_converse" if options.api is None else "api"
    word = f"{named}={getattr(options, named)!r}"
    _check_own_tools(model, options)
    if options.use_converse:
        return Route(_CONVERSE, word, messages)
    native = native_dialect(model)
    forced = options.use_converse is False
    if native is None:
        if forced:
            problem = f"cannot be {getattr(options, named)}: {model.id!r} has no native format in this library"
            raise UnsupportedOperation(named, problem, "omit it, or use invoke_stream")
        return Route(_CONVERSE, f"{model.family or 'an unknown model family'} uses Converse", messages)
    typed = tuple(_typed(message) for message in messages)
    unsupported = _unsupported(native, typed, options)
    if forced:
        if unsupported is not None:
            raise UnsupportedOperation(named, f"cannot be {getattr(options, named)}: {unsupported}", "omit it")
        return Route(native, word, typed)
    if unsupported is None and (kind := _native_kind(typed)):
        return Route(native, f"only the native format supports {kind} blocks", typed)
    if model.native == "anthropic" and (reason := _native_tools(options, unsupported)):
        return Route(native, reason, typed)
    # Tool calls and results in the history count as tools, whether or not any are offered now.
    if options.tools or uses_tools(typed):
        return Route(_CONVERSE, "calls with tools use Converse", messages)
    if unsupported is not None:
        return Route(_CONVERSE, unsupported, messages)
    return Route(native, f"{model.family} without tools uses its native format", typed)


def _native_kind(messages: Sequence[Message]) -> str | None:
    """Return the type of the first block that a native format sent and Converse rejects: its blocks have no `type`."""
    kinds = (block.value.get("type") for message in messages for block in message.content if isinstance(block, Raw))
    return next((kind for kind in kinds if isinstance(kind, str)), None)


def _own_tool(options: Options) -> tuple[str, str] | None:
    """Return the path and the type of the first tool that Claude defines itself, such as web search, or None."""
    for index, tool in enumerate(options.tools):
        if isinstance(tool, dict) and isinstance(tool.get("type"), str):
            return f"tools[{index}]", tool["type"]
    return None


def _check_own_tools(model: Model, options: Options) -> None:
    own_tool = _own_tool(options)
    if own_tool is not None and (options.use_converse or model.native != "anthropic"):
        path, kind = own_tool
        claude = model.native == "anthropic"
        remedy = "omit use_converse" if claude else "use a Claude model, or name the model behind the id in base_model"
        raise UnsupportedOperation(path, f"{kind!r} is supported only in Claude's native format", remedy)


def _native_tools(options: Options, unsupported: str | None) -> str | None:
    """Return the reason if a tool moves a call to Claude's native format, although calls with tools use Converse.

    Raises `UnsupportedOperation` for a tool that only this format has, in a call that it does not support.
    """
    if own_tool := _own_tool(options):
        if unsupported is not None:
            path, kind = own_tool
            problem = f"{kind!r} is supported only in Claude's native format, but {unsupported}"
            raise UnsupportedOperation(path, problem, "omit one of the two")
        return f"only Claude's native format supports {own_tool[1]!r}"
    # Converse defines none of the additional members of Claude's tools, e.g. `cache_control`.
    if unsupported is None and any(getattr(tool, "extra", None) for tool in options.tools):
        return "Tool.extra has members of Claude's native format"
    return None


def native_dialect(model: Model) -> Native | None:
    """Return the dialect of a model's native format, or None if this library has none for it."""
    match model.native:  # imported on first use: most programs use the models of one family
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


def _unsupported(native: Native, messages: Sequence[Message], options: Options) -> str | None:
    for name in _CONVERSE_ONLY:
        if getattr(options, name):
            return f"only Converse supports {name}"
    for name in options.extra:
        if name in _CONVERSE_MEMBERS:
            return f"only Converse supports {name}"
    return native.unsupported(messages, options)


def _typed(message: Message) -> Message:
    """Parse the caller's blocks in Converse's shape, since a native format can express only typed blocks."""
    blocks = tuple(_typed_block(block) for block in message.content)
    return message if blocks == message.content else Message(message.role, blocks)


def _typed_block(block: Block) -> Block:
    if isinstance(block, Raw):
        with suppress(InvalidFrame, ValueError, RecursionError):  # an unknown block is left as it is
            block = read_block(block.value)
    if isinstance(block, ToolResult):
        return msgspec.structs.replace(block, content=tuple(_typed_item(item) for item in block.content))
    return block


def _typed_item(item: Any) -> Any:
    match item:
        # Only the content of a tool result may be JSON: a message has no such block.
        case Raw({"json": value, **rest}) if not rest:
            return Json(value)
        case Raw():
            return _typed_block(item)
    return item
