"""Images, documents, video and audio: bytes in memory, a file read on request, or a place in S3.

A file is read only by `from_path`; a str is never taken for a path. Limits and formats are those of the Converse API.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from ..errors import ConfigurationError

__all__ = ("Attachment", "Audio", "Document", "Image", "Video")

_A = TypeVar("_A", bound="Attachment")

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]")
_ALIASES = {"jpg": "jpeg", "htm": "html", "markdown": "md", "text": "txt", "3gp": "three_gp"}


class Attachment(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """What all four share: exactly one of `data` and `s3_uri`, and a format."""

    formats: ClassVar[tuple[str, ...]] = ()

    data: bytes | None = None
    """The content itself."""
    format: str = ""
    """The format's name; found from the content or the file name where it is left out."""
    s3_uri: str | None = None
    """`s3://bucket/key`, read by the service."""
    bucket_owner: str | None = None
    """The account that owns the bucket, twelve digits, where it is another one."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if isinstance(self.data, bytearray | memoryview):
            msgspec.structs.force_setattr(self, "data", bytes(self.data))
        if self.data is not None and not isinstance(self.data, bytes):
            raise ConfigurationError(
                f"{kind}.data",
                f"bytes are expected, got {type(self.data).__name__}",
                f"{kind}.from_path() reads a file",
            )
        if bool(self.data) == bool(self.s3_uri):
            raise ConfigurationError(kind, "exactly one of data and s3_uri is needed", "data must not be empty")
        if self.s3_uri and not (isinstance(self.s3_uri, str) and self.s3_uri.startswith("s3://")):
            raise ConfigurationError(f"{kind}.s3_uri", f"{self.s3_uri!r} is no address in S3", "use s3://bucket/key")
        name = self.format or _sniff(self.data or b"") or _suffix(self.s3_uri or "")
        name = _ALIASES.get(name, name)
        if name not in self.formats:
            raise ConfigurationError(
                f"{kind}.format",
                f"{name!r} is not known" if name else "it cannot be told",
                f"use {', '.join(self.formats)}",
            )
        msgspec.structs.force_setattr(self, "format", name)

    @classmethod
    def from_path(cls: type[_A], path: str | Path, **fields: object) -> _A:
        """Read a file. Its suffix gives the format where the content does not."""
        path = Path(path)
        data = path.read_bytes()
        fields.setdefault("format", _sniff(data) or _suffix(path.name))
        if "name" in cls.__struct_fields__:
            # Bedrock refuses any other character in a document's name.
            fields.setdefault("name", " ".join(_NOT_IN_NAMES.sub(" ", path.stem).split())[:200] or "document")
        return cls(data=data, **fields)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        what = f"{len(self.data)} bytes" if self.data is not None else self.s3_uri
        return f"{type(self).__name__}({self.format}, {what})"


def _suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return suffix.lower() if stem else ""


def _sniff(data: bytes) -> str:
    """The format, where the first bytes say it beyond doubt."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(b"%PDF-"):
        return "pdf"
    return ""


class Image(Attachment, frozen=True, tag="image", omit_defaults=True):
    """A picture."""

    formats: ClassVar[tuple[str, ...]] = ("png", "jpeg", "gif", "webp")


class Document(Attachment, frozen=True, tag="document", omit_defaults=True):
    """A document; a text block must stand beside it in the same message."""

    formats: ClassVar[tuple[str, ...]] = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")

    name: str = "document"
    """What the model reads as its name: letters, digits, single spaces, hyphens and brackets."""
    context: str | None = None
    """What the model is told about the document."""
    citations: bool = False
    """Whether the answer shall cite it."""


class Video(Attachment, frozen=True, tag="video", omit_defaults=True):
    """A video."""

    formats: ClassVar[tuple[str, ...]] = ("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")


class Audio(Attachment, frozen=True, tag="audio", omit_defaults=True):
    """A sound recording."""

    formats: ClassVar[tuple[str, ...]] = (
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm",
    )  # fmt: skip
