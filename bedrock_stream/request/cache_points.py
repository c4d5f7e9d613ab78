"""Prompt caching: insert cache points and check them against the limits of the service.

A cache point marks the end of a prefix that the service may cache. A request has at most four. The service reads tools,
system and messages in this order, and a point with a lifetime of one hour must not follow one of five minutes.
Source: "Prompt caching" in the Bedrock user guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..types.messages import CachePoint, Message, Raw
from ..types.options import Options
from .conversation.blocks import is_point, is_result
from .conversation.points import has_points, point_ttl
from .models import Model
from .unsupported import Refusals

__all__ = ("check_cache_points", "place_cache_points")

_MAX_POINTS = 4


def place_cache_points(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[tuple[Message, ...], Options]:
    """Add cache points after the last tool, the system prompt and the chosen message (`prompt_cache`).

    Points that the caller has set are left unchanged, and none is added next to one. Raises `ConfigurationError` for
    options that need `prompt_cache`, `UnsupportedOperation` for what the model does not take.
    """
    facts = model.facts
    if not options.anthropic_prompt_cache:
        if options.anthropic_prompt_cache_ttl is not None or options.anthropic_cache_messages is not None:
            raise ConfigurationError(
                "anthropic_prompt_cache",
                f"expected True with anthropic_prompt_cache_ttl or anthropic_cache_messages, "
                f"got {options.anthropic_prompt_cache!r}",
                "pass anthropic_prompt_cache=True",
            )
    elif facts.cache is not False or not refusals.drops("prompt_cache", f"{model.id!r} does not take cache points"):
        messages, options = _placed(model, messages, options, refusals)
    return fit_cache_points(model, messages, options, refusals)


def _placed(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[tuple[Message, ...], Options]:
    facts = model.facts
    ttl = options.anthropic_prompt_cache_ttl
    if ttl is not None and not facts.cache_ttl and _drops_ttl("prompt_cache_ttl", ttl, facts.name, refusals):
        ttl = None
    point = CachePoint(ttl)
    tools, system = options.tools, options.system
    # A point caches what precedes it, so an empty list gets none.
    if tools and facts.cache_tools and not is_point(tools[-1]):
        # Without a ttl the service applies its default of five minutes.
        wire = {"type": "default"} if point.ttl is None else {"type": "default", "ttl": point.ttl}
        tools = (*tools, {"cachePoint": wire})
    if system and not is_point(system[-1]):
        system = (*system, point)
    options = msgspec.structs.replace(options, tools=tools, system=system)
    messages = _mark_chosen(messages, options.anthropic_cache_messages, point)
    if options.prompt_cache_auto:
        messages = _mark_last(model, messages, options, point)
    return messages, options


def _mark_chosen(messages: tuple[Message, ...], chosen: bool | int | None, point: CachePoint) -> tuple[Message, ...]:
    if chosen is None or chosen is False:
        return messages
    index = -1 if chosen is True else chosen
    if not -len(messages) <= index < len(messages):
        raise ConfigurationError(
            "anthropic_cache_messages",
            f"message index {index} is out of range for {len(messages)} messages",
            "pass an index in range, or True for the last message",
        )
    return _mark(messages, index % len(messages), point)


def _mark_last(model: Model, messages: tuple[Message, ...], options: Options, point: CachePoint) -> tuple[Message, ...]:
    """Mark the last user turn, and the one before, which the previous request marked: its entry is read from there."""
    turns = [
        index
        for index, message in enumerate(messages)
        # A model without cache points in tools takes none beside calls and results either.
        if message.role == "user" and (model.facts.cache_tools or not any(map(is_result, message.content)))
    ]
    for index in reversed(turns[-2:]):
        if len(list(_points(messages, options))) < _MAX_POINTS:
            messages = _mark(messages, index, point)
    return messages


def _mark(messages: tuple[Message, ...], index: int, point: CachePoint) -> tuple[Message, ...]:
    message = messages[index]
    if message.content and is_point(message.content[-1]):
        return messages
    marked = Message(message.role, (*message.content, point))
    return (*messages[:index], marked, *messages[index + 1 :])


def fit_cache_points(
    model: Model, messages: tuple[Message, ...], options: Options, refusals: Refusals
) -> tuple[tuple[Message, ...], Options]:
    """Return the request without cache points and lifetimes that the model does not take and `refusals` drops."""
    if not has_points(messages, options):
        return messages, options
    facts = model.facts
    points = list(_points(messages, options))
    fit: Callable[[Any], Any] = _same
    if facts.cache is False:
        if refusals.drops(points[0][0], f"{model.id!r} does not take cache points", "remove the cache point"):
            fit = _nothing
    elif not facts.cache_ttl and (timed := [point for point in points if point[1] is not None]):
        path, ttl = next((point for point in timed if point[1] == "1h"), timed[0])
        if _drops_ttl(path, ttl, facts.name, refusals):
            fit = _without_ttl
    tools = tuple(item for tool in options.tools if (item := fit(tool)) is not None)
    system = tuple(part for item in options.system if (part := fit(item)) is not None)
    messages = tuple(
        Message(message.role, content)
        for message in messages
        if (content := tuple(block for item in message.content if (block := fit(item)) is not None))
    )
    if not facts.cache_tools:
        tools = _tools_without_points(tools, facts.name, refusals)
    return messages, msgspec.structs.replace(options, tools=tools, system=system)


def _drops_ttl(option: str, ttl: str, name: str, refusals: Refusals) -> bool:
    """Return whether a lifetime is left out. Five minutes are what the service takes without one."""
    problem = f"{name} does not take the lifetime of a cache point"
    if ttl != "1h":
        refusals.changed(f"{option} was left out: {problem}; five minutes are its default")
        return True
    return refusals.drops(option, problem, "omit it for five minutes")


def _tools_without_points(tools: tuple[Any, ...], name: str, refusals: Refusals) -> tuple[Any, ...]:
    path = next((f"tools[{index}]" for index, tool in enumerate(tools) if is_point(tool)), None)
    if path is None or not refusals.drops(path, f"{name} does not take cache points in tools", "remove it"):
        return tools
    return tuple(tool for tool in tools if not is_point(tool))


def _same(item: Any) -> Any:
    return item


def _nothing(item: Any) -> Any:
    return None if is_point(item) else item


def _without_ttl(item: Any) -> Any:
    if not is_point(item) or point_ttl(item) is None:
        return item
    if isinstance(item, CachePoint):
        return CachePoint()
    wire = item.value if isinstance(item, Raw) else item
    point = {**wire, "cachePoint": {key: value for key, value in wire["cachePoint"].items() if key != "ttl"}}
    return Raw(point) if isinstance(item, Raw) else point


def check_cache_points(messages: Sequence[Message], options: Options) -> None:
    """Raise `ConfigurationError` for more than four cache points, or for a 1h point after a 5m point."""
    if not has_points(messages, options):
        return
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
            if is_point(item):
                yield f"{section}[{index}]", point_ttl(item)
