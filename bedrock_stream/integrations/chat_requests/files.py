"""Files in a chat request as attachments: `data:` URLs only, nothing is fetched from the web or from S3.

A browser must not choose what the server or its account reads. What the data is decides over the media type that the
request names: models refuse an image whose type does not match its bytes.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

import msgspec

from ...errors import ConfigurationError, InvalidRequest
from ...types.media import Attachment, Audio, Document, Image, Video, document_name

__all__ = ("data_url", "read_base64", "read_document", "read_file", "read_image")

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
# Media subtypes that differ from the service's names of the formats.
_VIDEO_FORMATS = {"quicktime": "mov", "x-matroska": "mkv", "x-flv": "flv", "x-ms-wmv": "wmv", "3gpp": "three_gp"}
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "x-m4a": "m4a"}


def data_url(url: str, path: str) -> tuple[str, bytes]:
    """Return the media type and the data of a `data:` URL. Raises `InvalidRequest` for any other."""
    head = _DATA_URL.match(url, 0, _MAX_URL_HEAD)
    if head is None:
        raise InvalidRequest(path, "expected data:...;base64,...", "URLs are not fetched")
    return head["type"] or "", read_base64(url[head.end() :], path)


def read_base64(text: str, path: str) -> bytes:
    """Decode base64 text. Raises `InvalidRequest`."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise InvalidRequest(path, "expected base64") from None


def read_image(data: bytes, media_type: str, path: str) -> Image | Document:
    """Return an image; a document if the data is one."""
    return _detect(data) or _attachment(Image, path, data=data, format=_subtype(media_type))


def read_document(data: bytes, media_type: str, filename: str, path: str) -> Image | Document:
    """Return a document with the name of its file; an image if the data is one."""
    stem, _, suffix = filename.rpartition(".")
    name = document_name(stem)
    detected = _detect(data)
    if isinstance(detected, Image):
        return detected
    if isinstance(detected, Document):
        return msgspec.structs.replace(detected, name=name)
    # Clients send application/octet-stream for what they do not know; then the file name's suffix decides.
    label = _DOCUMENT_FORMATS.get(_subtype(media_type), suffix.lower() if stem else "")
    return _attachment(Document, path, data=data, format=_archive(data) or label, name=name)


def read_file(data: bytes, media_type: str, filename: str, path: str) -> Image | Document | Video | Audio:
    """Return the attachment for a file of any kind. Text of a kind that the service does not know becomes `txt`."""
    kind, subtype = media_type.partition("/")[0], _subtype(media_type)
    match kind:
        case "image":
            return read_image(data, media_type, path)
        case "video":
            return _attachment(Video, path, data=data, format=_VIDEO_FORMATS.get(subtype, subtype))
        case "audio":
            return _attachment(Audio, path, data=data, format=_AUDIO_FORMATS.get(subtype, subtype))
    suffix = filename.rpartition(".")[2].lower()
    if subtype not in _DOCUMENT_FORMATS and suffix not in Document.formats and (kind == "text" or subtype == "json"):
        media_type = "text/plain"
    return read_document(data, media_type, filename, path)


def _subtype(media_type: str) -> str:
    return media_type.rpartition("/")[2].lower()


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
        raise InvalidRequest(path, error.problem, error.remedy) from None
