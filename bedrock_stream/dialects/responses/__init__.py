"""OpenAI's Responses API as Bedrock's endpoints serve it: `api="responses"`."""

from __future__ import annotations

from typing import ClassVar

from ...types.options import Options
from ..base import Headers, Parse, Unsupported, VendorDialect, WriteBody
from ..openai.requests import project_headers
from .answer import parse
from .body import unsupported, write_body
from .reader import ResponsesReader

__all__ = ("Responses",)


class Responses(VendorDialect):
    """The Responses dialect."""

    route = "responses"
    operation = "responses"
    stream_operation = "responses"
    unsupported: ClassVar[Unsupported] = staticmethod(unsupported)
    body: ClassVar[WriteBody] = staticmethod(write_body)
    reader: ClassVar[staticmethod[[], ResponsesReader]] = staticmethod(ResponsesReader)
    parse: ClassVar[Parse] = staticmethod(parse)

    def headers(self, options: Options | None, *, streaming: bool) -> Headers:
        """See `Dialect.headers`: the project."""
        return project_headers(options)
