"""The content that a model takes on Converse: media, tool results and what is beside them, citations, attachments.

The messages are the service's where they are known; the rest are written in its style.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .model_rules import Rules
from .refusal import MODEL_ERROR_PREFIX, invalid, unsupported

__all__ = ("check_attachments", "check_content")

_MAX_IMAGES, _MAX_DOCUMENTS = 20, 5  # in one message, by the service model
# The documentation does not name the underscore, but the service takes it.
_DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[a-zA-Z0-9_\s()\[\]-]{1,200}")


def check_content(body: dict[str, Any], rules: Rules) -> None:
    """Check the content of all messages against the rules of the model. Raises `Refusal`."""
    for position, message in enumerate(body.get("messages") or ()):
        blocks = message["content"]
        _check_results(blocks, f"messages.{position}.content", rules)
        inside = [item for block in blocks if "toolResult" in block for item in block["toolResult"]["content"]]
        _check_kinds(blocks, rules.content | rules.turn_content)
        _check_kinds(inside, rules.content | rules.result_content)
        _check_sources([*blocks, *inside], rules)


def _check_results(blocks: list[dict[str, Any]], path: str, rules: Rules) -> None:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    # Claude takes text and images next to results, but no documents and no videos.
    mixed = rules.results_alone or {kind for block in blocks for kind in block} & rules.beside_results
    if results and len(results) < len(blocks) and mixed:
        raise invalid(f"{path}: Conversation blocks and tool result blocks cannot be provided in the same turn.")
    if "status" in rules.fields and any("status" in result for result in results):
        raise unsupported("status")


def _check_kinds(blocks: list[dict[str, Any]], refused: frozenset[str]) -> None:
    for kind in sorted(refused):
        if any(kind in block for block in blocks):
            raise invalid(
                f"This model doesn't support the {kind} content block that you provided. "
                "Update the content block and try again."
            )


def _check_sources(blocks: list[dict[str, Any]], rules: Rules) -> None:
    for block in blocks:
        # Images from S3 are refused by the name of the location's member.
        if "s3Uri" in rules.fields and "s3Location" in block.get("image", {}).get("source", {}):
            raise unsupported("s3Uri")
        if not rules.citations and block.get("document", {}).get("citations", {}).get("enabled"):
            raise invalid("This model doesn't support citations.")


def check_attachments(body: dict[str, Any]) -> None:
    """Check the limits on images and documents, which are the same for all models. Raises `Refusal`."""
    messages = body.get("messages") or []
    for position, message in enumerate(messages):
        kinds = [kind for block in message["content"] for kind in block]
        if "document" in kinds and "text" not in kinds:
            raise invalid(
                f"A text block is required beside the document blocks at messages.{position}.content. "
                "Add a text block to the message and try again."
            )
    if any(sum(1 for _ in _attached([message], "image")) > _MAX_IMAGES for message in messages):
        raise invalid(f"{MODEL_ERROR_PREFIX}messages: too many images: image_count > {_MAX_IMAGES}")
    names = [document["name"] for document in _attached(messages, "document")]
    if any(sum(1 for _ in _attached([message], "document")) > _MAX_DOCUMENTS for message in messages):
        raise invalid(f"You can't include more than {_MAX_DOCUMENTS} documents in a request.")
    # The names of earlier turns and of tool results count too.
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
