"""Rules of Converse that differ by model family, and its limits on attachments.

A model whose id does not show its family is not checked. The messages are the service's where they are known; the rest
are written in its style.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..answers.turns import sections
from .claude_rules import check_cache_limits, check_claude
from .families import is_claude, is_nova, maker_of
from .refusal import MODEL_ERROR_PREFIX, Refusal, extraneous, invalid

__all__ = ("check_family",)

_TOOL_CHOICES = {
    "anthropic": ("any", "tool"), "amazon": ("any", "tool"), "zai": ("any", "tool"), "moonshot": ("any", "tool"),
    "moonshotai": ("any", "tool"), "mistral": ("any",), "": ("any", "tool"),
}  # fmt: skip
"""The tool choices that force a call, by the makers whose models support them."""
_RESULTS_ONLY = frozenset({"meta", "mistral", "writer"})
"""Makers whose models take no other block in a turn with tool results."""
_MEDIA = ("audio", "document", "image", "video")
_UNSUPPORTED_MEDIA = {"anthropic": ("audio", "video"), "openai": ("audio", "image", "video")}
"""Media that a maker's models do not take anywhere."""
_RESULT_MEDIA = {
    "anthropic": ("document", "image"), "amazon": ("document", "image", "video"), "meta": ("document", "image"),
    "mistral": ("document",), "qwen": (), "moonshot": (), "moonshotai": (),
}  # fmt: skip
"""Media that a maker's models take inside tool results. Makers that are not listed take all kinds."""
_MAX_IMAGES, _MAX_DOCUMENTS = 20, 5  # in one request
_DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[a-zA-Z0-9\s()\[\]-]{1,200}")


def check_family(body: dict[str, Any], model: str) -> None:
    """Check a Converse body against the rules of the model's family and the limits on attachments. Raises `Refusal`."""
    maker = maker_of(model)[0]
    messages: list[dict[str, Any]] = body.get("messages", [])
    for choice in (body.get("toolConfig") or {}).get("toolChoice") or {}:
        if choice in ("any", "tool") and choice not in _TOOL_CHOICES.get(maker, ()):
            raise _unsupported(f"toolConfig.toolChoice.{choice}")
    for position, message in enumerate(messages):
        _check_results(message["content"], f"messages.{position}.content", maker)
        _check_media(message["content"], maker)
    _check_attachments(messages)
    _check_cache_points(body, model)
    if is_claude(model):
        check_claude(body, MODEL_ERROR_PREFIX)


# --------------------------------------------------------------------------------------------------- results and media


def _check_results(blocks: list[dict[str, Any]], path: str, maker: str) -> None:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if results and len(results) < len(blocks):
        # Claude takes text and images next to results, but no documents and no videos.
        attached = {kind for block in blocks for kind in block} & {"document", "video"}
        if maker in _RESULTS_ONLY or (maker == "anthropic" and attached):
            raise invalid(f"{path}: Conversation blocks and tool result blocks cannot be provided in the same turn.")
    if maker == "writer" and any("status" in result for result in results):
        raise _unsupported("status")


def _check_media(blocks: list[dict[str, Any]], maker: str) -> None:
    inside = [item for block in blocks if "toolResult" in block for item in block["toolResult"]["content"]]
    for kind in _MEDIA:
        unsupported = kind in _UNSUPPORTED_MEDIA.get(maker, ())
        unsupported_inside = unsupported or kind not in _RESULT_MEDIA.get(maker, _MEDIA)
        if (unsupported and any(kind in block for block in blocks)) or (
            unsupported_inside and any(kind in item for item in inside)
        ):
            raise invalid(
                f"This model doesn't support the {kind} content block that you provided. "
                "Update the content block and try again."
            )


def _check_attachments(messages: list[dict[str, Any]]) -> None:
    for position, message in enumerate(messages):
        kinds = [kind for block in message["content"] for kind in block]
        if "document" in kinds and "text" not in kinds:
            raise invalid(
                f"A text block is required beside the document blocks at messages.{position}.content. "
                "Add a text block to the message and try again."
            )
    if sum(1 for _ in _attached(messages, "image")) > _MAX_IMAGES:
        raise invalid(f"{MODEL_ERROR_PREFIX}messages: too many images: image_count > {_MAX_IMAGES}")
    names = [document["name"] for document in _attached(messages, "document")]
    if len(names) > _MAX_DOCUMENTS:
        raise invalid(f"You can't include more than {_MAX_DOCUMENTS} documents in a request.")
    if len(set(names)) < len(names):
        raise invalid("Messages can't contain duplicate document names.")
    for name in names:
        if not _DOCUMENT_NAME.fullmatch(name):
            raise invalid(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                "character."
            )


def _attached(messages: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    for message in messages:
        for block in message["content"]:
            inside = block["toolResult"]["content"] if "toolResult" in block else ()
            yield from (item[kind] for item in (block, *inside) if kind in item)


# ------------------------------------------------------------------------------------------------------- cache points


def _check_cache_points(body: dict[str, Any], model: str) -> None:
    points = [path for path, _, blocks in sections(body) for block in blocks if "cachePoint" in block]
    if not points:
        return
    # Only Claude and Nova cache prompts; a model whose id does not show its family may.
    if maker_of(model)[0] and not (is_claude(model) or is_nova(model)):
        raise Refusal(
            403,
            "AccessDeniedException",
            "You invoked an unsupported model or your request did not allow prompt caching. "
            "See the documentation for more information.",
        )
    # Nova caches the system prompt and the messages only.
    if is_nova(model) and "tools" in points:
        raise extraneous("cachePoint", "#/toolConfig/tools")
    for path, _, blocks in sections(body):
        for index, (before, block) in enumerate(pairwise(blocks), 1):
            if "cachePoint" in block and {"cachePoint", "document", "video"} & set(before):
                raise invalid(
                    f"The cachePoint at {path}.{index} can't directly follow a {next(iter(before))} block. "
                    "Move the cachePoint and try again."
                )
    check_cache_limits(body, MODEL_ERROR_PREFIX)


def _unsupported(field: str) -> Refusal:
    return invalid(f"This model doesn't support the {field} field. Remove {field} and try again.")
