"""AWS event-stream framing: decoder and encoder of frames and headers. Independent of Bedrock and of asyncio."""

from .decoder import MAX_FRAME, MAX_HEADERS, Decoder
from .encoder import encode_frame
from .frame import Frame, Headers, HeaderValue, Int8, Int16, Int32, Int64
from .headers import decode_headers, encode_headers

__all__ = (
    "MAX_FRAME",
    "MAX_HEADERS",
    "Decoder",
    "Frame",
    "HeaderValue",
    "Headers",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "decode_headers",
    "encode_frame",
    "encode_headers",
)
