"""Content parts of a chat message as content blocks. Raises `RequestError` with the path of an invalid part.

Images and files must be `data:` URLs; nothing is fetched from the web or from S3. What the data is decides over the
media type that the URL names: models refuse an image whose type does not match its bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

import msgspec

from ..errors import ConfigurationError
from ..types.media import Attachment, Document, Image
from ..types.messages import Block, CachePoint, Text
from .errors import RequestError
from .schema import CacheControl, Content, FilePart, ImagePart, Part, RefusalPart, TextPart

__all__ = ("add_cache_point", "read_base64", "read_content")

_A = TypeVar("_A", bound=Attachment)

# RFC 2397: data:[<media type>][;<parameter>=<value>]*;base64,<data>
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
_MAX_URL_HEAD = 1000  # characters
_DOCUMENT_FORMATS = {
    "plain": "txt",
    "markdown": "md",
    "csv": "csv",
    "html": "html",
    "pdf": "pdf",
    "msword": "doc",
    "vnd.ms-excel": "xls",
    "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
# The formats that are zip archives, by a file that each contains.
_ARCHIVES = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx"}
# Bedrock's service model allows only these characters in a document's name, and single spaces.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]+")


def read_content(content: Content, path: str, cache: CacheControl | None = None) -> list[Any]:
    """Convert a message's content into blocks, with a cache point after each part that has `cache_control`.

    Blank texts are dropped: clients send them beside tool calls, and the service refuses them. `cache` is the
    message's own `cache_control`.
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
            media_type, data = _data_url(part.image_url.url, f"{path}.image_url.url")
            yield _detect(data) or _attachment(Image, path, data=data, format=media_type.rpartition("/")[2])
        case FilePart():
            yield _file(part, path)


def _file(part: FilePart, path: str) -> Image | Document:
    path = f"{path}.file.file_data"
    if part.file.file_data is None:
        raise RequestError(400, f"{path}: required; uploaded files (file_id) are not supported", param=path)
    media_type, data = _data_url(part.file.file_data, path)
    stem, _, suffix = (part.file.filename or "").rpartition(".")
    # Bedrock requires a name of at most 200 characters.
    name = " ".join(_NOT_IN_NAMES.sub(" ", stem).split())[:200] or "document"
    detected = _detect(data)
    if isinstance(detected, Image):
        return detected
    if isinstance(detected, Document):
        return msgspec.structs.replace(detected, name=name)
    # Clients send application/octet-stream for what they do not know; then the file name's suffix decides.
    label = _DOCUMENT_FORMATS.get(media_type.rpartition("/")[2], suffix.lower() if stem else "")
    return _attachment(Document, path, data=data, format=_archive(data) or label, name=name)


def _detect(data: bytes) -> Image | Document | None:
    """Return the attachment that the first bytes identify; None if they identify none."""
    with suppress(ConfigurationError):
        return Image(data=data)
    with suppress(ConfigurationError):
        return Document(data=data)
    return None


def _archive(data: bytes) -> str:
    if data.startswith(b"PK\x03\x04"):
        with suppress(BadZipFile, ValueError, OSError, NotImplementedError), ZipFile(BytesIO(data)) as archive:
            names = set(archive.namelist())
            return next((kind for name, kind in _ARCHIVES.items() if name in names), "")
    return ""


def _attachment(kind: Callable[..., _A], path: str, **fields: Any) -> _A:
    try:
        return kind(**fields)
    except ConfigurationError as error:
        message = "; ".join(text for text in (error.problem, error.remedy) if text)
        raise RequestError(400, f"{path}: {message}", param=path) from None


def _data_url(url: str, path: str) -> tuple[str, bytes]:
    """Return the media type and the data of a `data:` URL."""
    head = _DATA_URL.match(url, 0, _MAX_URL_HEAD)
    if head is None:
        raise RequestError(400, f"{path}: expected data:...;base64,...; URLs are not fetched", param=path)
    return head["type"] or "", read_base64(url[head.end() :], path)


def read_base64(text: str, path: str) -> bytes:
    """Decode base64 text."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise RequestError(400, f"{path}: expected base64", param=path) from None
