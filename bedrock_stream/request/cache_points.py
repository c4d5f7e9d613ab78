"""Prompt caching: where the cache points stand, and what the service would refuse about them.

A cache point says that everything before it may be kept. The service takes four of them in all, and reads tools, system
and messages in this order: a point of one hour may not stand behind one of five minutes.
Source: "Prompt caching" in the Bedrock user guide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..errors import ConfigurationError, UnsupportedOperation
from ..types.messages import CachePoint, Message, Raw
from ..types.options import Options
from .models import Model

__all__ = ("check_cache_points", "place_cache_points")

_MOST = 4


def place_cache_points(
    model: Model, messages: tuple[Message, ...], options: Options
) -> tuple[tuple[Message, ...], Options]:
    """With `anthropic_prompt_cache`: points behind the last tool, the system prompt and the chosen message.

    Points that the caller has set stay, and none is set beside one.
    """
    if not options.anthropic_prompt_cache:
        if options.anthropic_prompt_cache_ttl is not None or options.anthropic_cache_messages is not None:
            raise ConfigurationError(
                "anthropic_prompt_cache",
                "it is not on, but its other options are given",
                "give anthropic_prompt_cache=True",
            )
        return messages, options
    if model.family not in ("claude", None):
        raise UnsupportedOperation(
            "anthropic_prompt_cache",
            f"{model.id!r} is not one of Anthropic's models",
            "use CachePoint where it belongs",
        )
    point = CachePoint(options.anthropic_prompt_cache_ttl)
    tools, system = options.tools, options.system
    if tools and not _is_point(tools[-1]):
        wire = {"type": "default"} if point.ttl is None else {"type": "default", "ttl": point.ttl}
        tools = (*tools, {"cachePoint": wire})
    if system and not _is_point(system[-1]):
        system = (*system, point)
    return _in_message(messages, options, point), msgspec.structs.replace(options, tools=tools, system=system)


def _in_message(messages: tuple[Message, ...], options: Options, point: CachePoint) -> tuple[Message, ...]:
    chosen = options.anthropic_cache_messages
    if chosen is None or chosen is False:
        return messages
    place = -1 if chosen is True else chosen
    if not -len(messages) <= place < len(messages):
        raise ConfigurationError(
            "anthropic_cache_messages", f"there is no message {place} among {len(messages)}", "give an index, or True"
        )
    place %= len(messages)
    message = messages[place]
    if message.content and _is_point(message.content[-1]):
        return messages
    marked = Message(message.role, (*message.content, point))
    return (*messages[:place], marked, *messages[place + 1 :])


def check_cache_points(messages: Sequence[Message], options: Options) -> None:
    """Refuse what the service would: more than four points, and a longer lifetime behind a shorter one."""
    points = list(_points(messages, options))
    if len(points) > _MOST:
        raise ConfigurationError(points[_MOST][0], f"it is cache point number {_MOST + 1}", f"{_MOST} are the most")
    short = None
    for place, ttl in points:
        if ttl == "1h" and short is not None:
            raise ConfigurationError(
                place, f"a cache point of 1h stands behind one of 5m at {short}", "longer ones go first"
            )
        if ttl != "1h":
            short = place


def _points(messages: Sequence[Message], options: Options) -> Iterator[tuple[str, Any]]:
    """Every cache point's place and lifetime, in the service's order."""
    rooms: list[tuple[str, Sequence[Any]]] = [("tools", options.tools), ("system", options.system)]
    rooms += [(f"messages[{number}].content", message.content) for number, message in enumerate(messages)]
    for room, items in rooms:
        for index, item in enumerate(items):
            if isinstance(item, CachePoint):
                yield f"{room}[{index}]", item.ttl
            elif _is_point(item):
                wire = item.value if isinstance(item, Raw) else item
                yield f"{room}[{index}]", wire["cachePoint"].get("ttl")


def _is_point(item: Any) -> bool:
    wire = item.value if isinstance(item, Raw) else item
    return isinstance(item, CachePoint) or (isinstance(wire, dict) and isinstance(wire.get("cachePoint"), dict))
