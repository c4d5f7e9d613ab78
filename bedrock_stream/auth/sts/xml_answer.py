"""A minimal parser for the XML that STS returns, hardened against hostile documents.

Document types are refused, so no entity can be declared, expanded or fetched; size and depth are limited. The encoding
is always UTF-8, whatever the document declares. Errors never quote the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

__all__ = ("InvalidXml", "parse_xml")

_MAX_DEPTH = 16  # STS nests five elements
_MAX_NAME_LENGTH = 64  # each path repeats the names above it, so long names could fill the memory


class InvalidXml(ValueError):
    """The bytes are not XML, or exceed what a response of STS contains."""


def parse_xml(body: bytes, max_bytes: int) -> Mapping[str, str]:
    """Return the text of each element by its path, such as `ErrorResponse/Error/Code`, without namespaces.

    If several elements have the same path, the first one counts. Raises only `InvalidXml`.
    """
    if len(body) > max_bytes:
        raise InvalidXml(f"it is larger than {max_bytes} bytes")
    reader = _Reader()
    column = None
    try:
        reader.read(body)
    except expat.ExpatError as error:
        column = error.offset  # raised below, so that expat's own error is not chained
    if column is not None:
        raise InvalidXml(f"it is not XML, at column {column}")
    return reader.texts


class _Reader:
    """Handlers that collect the elements' texts while expat parses."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._pieces: list[list[str]] = []  # of each open element

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate("UTF-8", " ")  # element names become `NAMESPACE NAME`
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(body, True)

    def _start(self, name: str, _attributes: Mapping[str, str]) -> None:
        if len(self._path) == _MAX_DEPTH:
            raise InvalidXml(f"it is nested more than {_MAX_DEPTH} elements deep")
        local_name = name.rpartition(" ")[2]
        if len(local_name) > _MAX_NAME_LENGTH:
            raise InvalidXml(f"an element's name is longer than {_MAX_NAME_LENGTH} characters")
        self._path.append(local_name)
        self._pieces.append([])

    def _text(self, text: str) -> None:
        self._pieces[-1].append(text)

    def _end(self, _name: str) -> None:
        self.texts.setdefault("/".join(self._path), "".join(self._pieces.pop()).strip())
        self._path.pop()


def _refuse(*_: object) -> int:
    raise InvalidXml("it declares a document type or an entity")
