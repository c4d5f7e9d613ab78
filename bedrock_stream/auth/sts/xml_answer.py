"""The XML that STS answers with, read by a parser that does as little as it can.

Whoever answers may be anybody: there is no document type here, so no entity can be declared, expanded or fetched, and
size and depth are bounded. The encoding is a Unicode one whatever the document says. Errors never quote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.parsers import expat

__all__ = ("InvalidXml", "read_xml")

_DEEPEST = 16  # STS goes five elements deep
_LONGEST_NAME = 64  # paths repeat the names above them, so a long name could fill the memory


class InvalidXml(ValueError):
    """The bytes are not XML, or more of it than an answer of STS has."""


def read_xml(body: bytes, largest: int) -> Mapping[str, str]:
    """The text of each element by the names that lead to it, `ErrorResponse/Error/Code`, without name spaces.

    Of elements with the same path the first counts. Raises `InvalidXml`, nothing else.
    """
    if len(body) > largest:
        raise InvalidXml(f"it is larger than {largest} bytes")
    reader = _Reader()
    column = None
    try:
        reader.read(body)
    except expat.ExpatError as error:
        column = error.offset  # raised outside: expat's own error would be chained
    if column is not None:
        raise InvalidXml(f"it is not XML, by column {column}")
    return reader.texts


class _Reader:
    """Collects the texts while expat walks."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._path: list[str] = []
        self._pieces: list[list[str]] = []  # of each element that is open

    def read(self, body: bytes) -> None:
        parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(body, True)

    def _begin(self, name: str, _attributes: Mapping[str, str]) -> None:
        if len(self._path) == _DEEPEST:
            raise InvalidXml(f"it is more than {_DEEPEST} elements deep")
        own = name.rpartition(" ")[2]
        if len(own) > _LONGEST_NAME:
            raise InvalidXml(f"a name in it is longer than {_LONGEST_NAME}")
        self._path.append(own)
        self._pieces.append([])

    def _text(self, text: str) -> None:
        self._pieces[-1].append(text)

    def _end(self, _name: str) -> None:
        self.texts.setdefault("/".join(self._path), "".join(self._pieces.pop()).strip())
        self._path.pop()


def _refuse(*_: object) -> int:
    raise InvalidXml("it declares a document type or an entity")
