"""The rules of cache points: the models that take them, their number, their place and the order of their TTLs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..answers.turns import sections
from .families import is_claude
from .model_rules import Rules
from .refusal import MODEL_ERROR_PREFIX, Refusal, extraneous, invalid, unsupported

__all__ = ("check_cache", "check_cache_limits")

_MAX_CACHE_POINTS = 4
# Claude receives these documents as text without a place for the cache point; a PDF is a block of its own.
_TEXT_DOCUMENTS = frozenset({"csv", "docx", "doc", "html", "md", "txt", "xls", "xlsx"})


def check_cache(body: dict[str, Any], model: str, rules: Rules) -> None:
    """Check the cache points of a Converse body. Raises `Refusal`."""
    points = [block["cachePoint"] for _, _, blocks in sections(body) for block in blocks if "cachePoint" in block]
    if not points:
        return
    if rules.cache == "no field":
        raise unsupported("cachePoint")
    if rules.cache == "no access":
        raise Refusal(
            403,
            "AccessDeniedException",
            "You invoked an unsupported model or your request did not allow prompt caching. "
            "See the documentation for more information.",
        )
    if not rules.cache_ttl and any("ttl" in point for point in points):
        raise extraneous("ttl", "#/cachePoint")
    if not rules.cache_with_tools:
        _check_beside_tools(body)
    for path, _, blocks in sections(body):
        _check_places(path, blocks, claude=is_claude(model))
    check_cache_limits(body, MODEL_ERROR_PREFIX)


def _check_beside_tools(body: dict[str, Any]) -> None:
    # Nova caches the system prompt and messages without tool blocks.
    for path, _, blocks in sections(body):
        points = any("cachePoint" in block for block in blocks)
        if points and path == "tools":
            raise extraneous("cachePoint", "#/toolConfig/tools")
        if points and any("toolUse" in block or "toolResult" in block for block in blocks):
            raise extraneous("cachePoint", f"#/{path.replace('.', '/')}")


def _check_places(path: str, blocks: list[dict[str, Any]], *, claude: bool) -> None:
    if path.startswith("messages") and blocks and "cachePoint" in blocks[0]:
        raise invalid(f"{MODEL_ERROR_PREFIX}{path}.0.type: Field required")
    for index, (before, block) in enumerate(pairwise(blocks), 1):
        if "cachePoint" not in block:
            continue
        if "reasoningContent" in before:
            raise invalid("Cache point cannot be inserted after reasoning block.")
        if "cachePoint" in before or "video" in before:
            raise invalid(
                f"The cachePoint at {path}.{index} can't directly follow a {next(iter(before))} block. "
                "Move the cachePoint and try again."
            )
        if claude and before.get("document", {}).get("format") in _TEXT_DOCUMENTS:
            raise invalid(f"{MODEL_ERROR_PREFIX}{path}.{index}.type: Field required")


def check_cache_limits(body: dict[str, Any], prefix: str) -> None:
    """Check the number of cache points and the order of their TTLs. Raises `Refusal`."""
    points = list(_cache_points(body))
    if len(points) > _MAX_CACHE_POINTS:
        raise invalid(
            f"{prefix}A maximum of {_MAX_CACHE_POINTS} blocks with cache_control may be provided. Found {len(points)}."
        )
    short = False
    for path, ttl in points:
        # A cache point must not live longer than one before it.
        if ttl == "1h" and short:
            raise invalid(
                f"{prefix}{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
        short |= ttl != "1h"


def _cache_points(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, _, blocks in sections(body):
        # In Claude's format a cache point is a member of the block before it, so it does not count as a block.
        index = -1
        for block in blocks:
            if "cachePoint" in block:
                yield f"{path}.{index}", block["cachePoint"].get("ttl", "5m")
            else:
                index += 1
