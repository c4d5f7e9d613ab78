"""Content parts of a chat completion's message as content blocks. Raises `InvalidRequest` with an invalid part's path.

Blank texts are dropped: clients send them beside tool calls, and the service refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import InvalidRequest
from ...types.media import Document, Image
from ...types.messages import Block, CachePoint, Text
from .files import data_url, read_document, read_image
from .openai_schema import CacheControl, Content, FilePart, ImagePart, Part, RefusalPart, TextPart

__all__ = ("add_cache_point", "read_content")


def read_content(content: Content, path: str, cache: CacheControl | None = None) -> list[Any]:
    """Convert a message's content into blocks, with a cache point after each part that has `cache_control`.

    `cache` is the message's own `cache_control`.
    """
    blocks: list[Any] = []
    if isinstance(content, str):
        blocks = [Text(content)] if content.strip() else []
    else:
        for index, part in enumerate(content):
            blocks += _blocks(part, f"{path}.content[{index}]")
            add_cache_point(blocks, part.cache_control)
    add_cache_point(blocks, cache)
    return blocks


def add_cache_point(blocks: list[Any], cache: CacheControl | None) -> None:
    """Append the cache point that `cache_control` asks for."""
    # A cache point is refused at the start of a message, and after another one.
    if cache is not None and blocks and not isinstance(blocks[-1], CachePoint):
        blocks.append(CachePoint(cache.ttl))


def _blocks(part: Part, path: str) -> Iterator[Block]:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            # Bedrock has no block for a refusal; it is text of the assistant.
            if text.strip():
                yield Text(text)
        case ImagePart():
            media_type, data = data_url(part.image_url.url, f"{path}.image_url.url")
            yield read_image(data, media_type, path)
        case FilePart():
            yield _file(part, path)


def _file(part: FilePart, path: str) -> Image | Document:
    path = f"{path}.file.file_data"
    if part.file.file_data is None:
        raise InvalidRequest(path, "required", "uploaded files (file_id) are not supported")
    media_type, data = data_url(part.file.file_data, path)
    return read_document(data, media_type, part.file.filename or "", path)
