"""Prompt caching: insert cache points and check them against the limits of the service.

A cache point marks the end of a prefix that the service may cache. A request has at most four. The service reads tools,
system and messages in this order, and a point with a lifetime of one hour must not follow one of five minutes.
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

_MAX_POINTS = 4


def place_cache_points(
    model: Model, messages: tuple[Message, ...], options: Options
) -> tuple[tuple[Message, ...], Options]:
    """Add cache points after the last tool, the system prompt and the chosen message (`anthropic_prompt_cache`).

    Points that the caller has set are left unchanged, and none is added next to one. Raises `ConfigurationError` for
    options that need `anthropic_prompt_cache`, `UnsupportedOperation` if the model is not one of Anthropic's.
    """
    if not options.anthropic_prompt_cache:
        if options.anthropic_prompt_cache_ttl is not None or options.anthropic_cache_messages is not None:
            raise ConfigurationError(
                "anthropic_prompt_cache",
                f"expected True with anthropic_prompt_cache_ttl or anthropic_cache_messages, "
                f"got {options.anthropic_prompt_cache!r}",
                "pass anthropic_prompt_cache=True",
            )
        return messages, options
    # None: an application inference profile or a provisioned model, which may be a Claude model.
    if model.family not in ("claude", None):
        raise UnsupportedOperation(
            "anthropic_prompt_cache", f"{model.id!r} is not an Anthropic model", "add CachePoint to the prompt instead"
        )
    point = CachePoint(options.anthropic_prompt_cache_ttl)
    tools, system = options.tools, options.system
    # A point caches what precedes it, so an empty list gets none.
    if tools and not _is_point(tools[-1]):
        # Without a ttl the service applies its default of five minutes.
        wire = {"type": "default"} if point.ttl is None else {"type": "default", "ttl": point.ttl}
        tools = (*tools, {"cachePoint": wire})
    if system and not _is_point(system[-1]):
        system = (*system, point)
    return _mark_message(messages, options, point), msgspec.structs.replace(options, tools=tools, system=system)


def _mark_message(messages: tuple[Message, ...], options: Options, point: CachePoint) -> tuple[Message, ...]:
    chosen = options.anthropic_cache_messages
    if chosen is None or chosen is False:
        return messages
    index = -1 if chosen is True else chosen
    if not -len(messages) <= index < len(messages):
        raise ConfigurationError(
            "anthropic_cache_messages",
            f"message index {index} is out of range for {len(messages)} messages",
            "pass an index in range, or True for the last message",
        )
    index %= len(messages)
    message = messages[index]
    if message.content and _is_point(message.content[-1]):
        return messages
    marked = Message(message.role, (*message.content, point))
    return (*messages[:index], marked, *messages[index + 1 :])


def check_cache_points(messages: Sequence[Message], options: Options) -> None:
    """Raise `ConfigurationError` for more than four cache points, or for a 1h point after a 5m point."""
    points = list(_points(messages, options))
    if len(points) > _MAX_POINTS:
        raise ConfigurationError(
            points[_MAX_POINTS][0],
            f"expected at most {_MAX_POINTS} cache points in a request, this is number {_MAX_POINTS + 1}",
            "remove a cache point",
        )
    short = None
    for path, ttl in points:
        if ttl == "1h" and short is not None:
            raise ConfigurationError(
                path, f"a 1h cache point follows a 5m cache point at {short}", "put the longer lifetime first"
            )
        if ttl != "1h":  # without a ttl it is five minutes
            short = path


def _points(messages: Sequence[Message], options: Options) -> Iterator[tuple[str, Any]]:
    """Yield the path and the lifetime of every cache point, in the order in which the service reads them."""
    sections: list[tuple[str, Sequence[Any]]] = [("tools", options.tools), ("system", options.system)]
    sections += [(f"messages[{number}].content", message.content) for number, message in enumerate(messages)]
    for section, items in sections:
        for index, item in enumerate(items):
            if isinstance(item, CachePoint):
                yield f"{section}[{index}]", item.ttl
            elif _is_point(item):  # a dict of the caller in Converse's shape
                wire = item.value if isinstance(item, Raw) else item
                yield f"{section}[{index}]", wire["cachePoint"].get("ttl")


def _is_point(item: Any) -> bool:
    wire = item.value if isinstance(item, Raw) else item
    return isinstance(item, CachePoint) or (isinstance(wire, dict) and isinstance(wire.get("cachePoint"), dict))
