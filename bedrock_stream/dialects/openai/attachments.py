"""Images, documents and audio in OpenAI's words, which Chat Completions and the Responses API share: `data:` URLs.

Bedrock fetches nothing from the web: besides `data:` URLs it takes `s3://` addresses of images.
Source: OpenAI's references of both APIs, and what clients of Bedrock send.
"""

from __future__ import annotations

from ...types.media import Document, Image
from ..encoding import Blob, data_url

__all__ = ("can_attach", "file_data", "file_name", "image_url")

_OFFICE = "application/vnd.openxmlformats-officedocument"
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}


def can_attach(block: object) -> bool:
    """Return whether a block is an image or a document that these APIs take, with all that it asks for."""
    if isinstance(block, Image):
        return block.data is not None or block.bucket_owner is None
    # A file has a name and its data alone.
    return isinstance(block, Document) and block.s3_uri is None and block.context is None and not block.citations


def image_url(image: Image) -> str | Blob:
    """Return the URL of an image."""
    return image.s3_uri or data_url(f"image/{image.format}", image.data or b"")


def file_name(document: Document) -> str:
    """Return the name of a document with its suffix, by which the service knows its format."""
    return f"{document.name}.{document.format}"


def file_data(document: Document) -> str | Blob:
    """Return the content of a document."""
    data = (document.data or b"") if document.text is None else document.text.encode()
    return data_url(_MEDIA_TYPES[document.format], data)
