"""Attachments of a message: images, documents, video and audio, as bytes, as a location in S3 or as text.

Files are read by `from_path` only; a str is never interpreted as a path. The formats are those of the Converse API.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypeVar, get_args

import msgspec

from ..errors import ConfigurationError
from . import Value

__all__ = ("TEXT_FORMATS", "Attachment", "Audio", "Document", "Image", "Video", "document_name")

_A = TypeVar("_A", bound="Attachment")

# The formats in the service model.
ImageFormat: TypeAlias = Literal["png", "jpeg", "gif", "webp"]
DocumentFormat: TypeAlias = Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"]
VideoFormat: TypeAlias = Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
AudioFormat: TypeAlias = Literal[
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"
]

TEXT_FORMATS = ("txt", "md", "csv", "html")
"""The formats of documents whose content is text."""

# The characters that the service model allows in the name of a document, without spaces.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9()\[\]-]")
# Common suffixes that differ from the names in the service model.
_ALIASES = {"jpg": "jpeg", "htm": "html", "markdown": "md", "text": "txt", "3gp": "three_gp"}


class Attachment(Value, msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """Base class of all attachments. Exactly one of `data` and `s3_uri` is set.

    Raises `ConfigurationError` for an invalid source, and for a format that is unknown or cannot be detected.
    """

    formats: ClassVar[tuple[str, ...]] = ()
    """The formats that the service accepts."""

    data: bytes | None = None
    """The content."""
    format: str = ""
    """Name of the format. By default, it is detected from the content or from the suffix of the file name.
    Common suffixes such as `jpg` are converted to the service's names."""
    s3_uri: str | None = None
    """Address of the content, `s3://bucket/key`, which the service reads."""
    bucket_owner: str | None = None
    """Account id (twelve digits) of the bucket's owner, if it is another account."""

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if isinstance(self.data, bytearray | memoryview):
            msgspec.structs.force_setattr(self, "data", bytes(self.data))
        if self.data is not None and not isinstance(self.data, bytes):
            raise ConfigurationError(
                f"{kind}.data",
                f"expected bytes, got {type(self.data).__name__}",
                f"use {kind}.from_path() to read a file",
            )
        self._check_source(kind)
        if self.s3_uri and not (isinstance(self.s3_uri, str) and self.s3_uri.startswith("s3://")):
            raise ConfigurationError(f"{kind}.s3_uri", f"expected s3://bucket/key, got {self.s3_uri!r}")
        name = self.format or _sniff(self.data or b"") or _suffix(self.s3_uri or "")
        name = _ALIASES.get(name, name)
        if name not in self.formats:
            problem = f"unknown format {name!r}" if name else "cannot be detected from the content or the name"
            raise ConfigurationError(f"{kind}.format", problem, f"use {', '.join(self.formats)}")
        msgspec.structs.force_setattr(self, "format", name)

    def _check_source(self, kind: str) -> None:
        # The source is a union in the service model: bytes or s3Location.
        if bool(self.data) == bool(self.s3_uri):
            count = "both" if self.data else "neither"
            raise ConfigurationError(
                kind, f"expected exactly one of data and s3_uri, got {count}", "data must not be empty"
            )

    @classmethod
    def from_path(cls: type[_A], path: str | Path, **fields: object) -> _A:
        """Read a file. Blocks while reading.

        The format is detected from the content, else from the suffix; `fields` are the other fields of the class. The
        name of a `Document` defaults to the name of the file without its suffix. Raises `OSError` and
        `ConfigurationError`.
        """
        path = Path(path)
        data = path.read_bytes()
        fields.setdefault("format", _sniff(data) or _suffix(path.name))
        if "name" in cls.__struct_fields__:
            fields.setdefault("name", document_name(path.stem))
        return cls(data=data, **fields)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        source = f"{len(self.data)} bytes" if self.data is not None else self.s3_uri
        return f"{type(self).__name__}({self.format}, {source})"


def document_name(stem: str) -> str:
    """Return a name that Bedrock takes for a document, of a file's name without its suffix.

    Bedrock rejects other characters, consecutive spaces and more than 200 characters.

    >>> document_name("my_report.v1")
    'my report v1'
    """
    return " ".join(_NOT_IN_NAMES.sub(" ", stem).split())[:200] or "document"


def _suffix(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return suffix.lower() if stem else ""


def _sniff(data: bytes) -> str:
    """Return the format if the first bytes identify it unambiguously, else an empty str."""
    # Other formats share their signatures: docx and xlsx are zip archives, doc and xls are OLE files.
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
    """An image."""

    type: ClassVar[Literal["image"]] = "image"
    formats: ClassVar[tuple[str, ...]] = get_args(ImageFormat)

    if TYPE_CHECKING:  # suffixes such as `jpg` are accepted, too
        format: ImageFormat | str = ""


class Document(Attachment, frozen=True, tag="document", omit_defaults=True):
    """A document. The service requires a text block in the same message.

    Exactly one of `data`, `s3_uri` and `text` is set. Raises `ConfigurationError` as `Attachment` does, and for `text`
    with a format that is not text.

    >>> Document(text="Oslo is rainy.")
    Document(txt, 14 characters)
    """

    type: ClassVar[Literal["document"]] = "document"
    formats: ClassVar[tuple[str, ...]] = get_args(DocumentFormat)

    if TYPE_CHECKING:  # suffixes such as `jpg` are accepted, too
        format: DocumentFormat | str = ""

    name: str = "document"
    """Name shown to the model: letters, digits, single spaces, hyphens, round and square brackets."""
    context: str | None = None
    """Description of the document for the model."""
    citations: bool = False
    """True asks the model to cite the document."""
    text: str | None = None
    """The content of a text document, in place of `data`. Its format defaults to `txt`."""

    def __post_init__(self) -> None:
        if self.text is not None and not (isinstance(self.text, str) and self.text.strip()):
            raise ConfigurationError("Document.text", f"expected a non-blank str, got {self.text!r:.200}")
        if self.text and not self.format:
            msgspec.structs.force_setattr(self, "format", "txt")
        super().__post_init__()
        if self.text and self.format not in TEXT_FORMATS:
            problem = f"expected a text format with text, got {self.format!r}"
            raise ConfigurationError("Document.format", problem, f"use {', '.join(TEXT_FORMATS)}")

    def _check_source(self, kind: str) -> None:
        if self.text is None:
            super()._check_source(kind)
        elif self.data is not None or self.s3_uri is not None:
            other = "data" if self.data is not None else "s3_uri"
            raise ConfigurationError(kind, f"expected exactly one of data, s3_uri and text, got text and {other}")

    def __repr__(self) -> str:
        return super().__repr__() if self.text is None else f"Document({self.format}, {len(self.text)} characters)"


class Video(Attachment, frozen=True, tag="video", omit_defaults=True):
    """A video."""

    type: ClassVar[Literal["video"]] = "video"
    formats: ClassVar[tuple[str, ...]] = get_args(VideoFormat)

    if TYPE_CHECKING:  # suffixes such as `jpg` are accepted, too
        format: VideoFormat | str = ""


class Audio(Attachment, frozen=True, tag="audio", omit_defaults=True):
    """An audio recording."""

    type: ClassVar[Literal["audio"]] = "audio"
    formats: ClassVar[tuple[str, ...]] = get_args(AudioFormat)

    if TYPE_CHECKING:
        format: AudioFormat | str = ""
