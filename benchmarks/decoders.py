"""Decoders of bytes in memory: for each case and contender a factory that imports, prepares and returns a function.

The returned function, which is timed, decodes a list of reads to payloads in the cases `frames` and `sse`, and else to
texts.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from .contenders import KEY_ID, REGION, SECRET
from .measure import FLOOR, OURS

__all__ = ("DECODERS",)

Decode = Callable[[list[bytes]], list[Any]]


def _our_frames() -> Decode:
    from bedrock_stream.eventstream import Decoder

    def decode(reads: list[bytes]) -> list[bytes]:
        decoder, payloads = Decoder(), []
        for data in reads:
            payloads += [frame.payload for frame in decoder.feed(data)]
        return payloads

    return decode


def _our_server_sent_events() -> Decode:
    from bedrock_stream.sse import SSEDecoder

    def decode(reads: list[bytes]) -> list[bytes]:
        decoder, payloads = SSEDecoder(), []
        for data in reads:
            payloads += [event.data for event in decoder.feed(data)]
        return payloads

    return decode


def _our_events() -> Decode:
    from bedrock_stream.dialects.converse import Converse

    return lambda reads: _our_texts(Converse(), reads)


def _our_native_events() -> Decode:
    from bedrock_stream.dialects.anthropic import Anthropic

    return lambda reads: _our_texts(Anthropic(), reads)


def _our_messages() -> Decode:
    from bedrock_stream.dialects.anthropic.messages import Messages

    return lambda reads: _our_texts(Messages(""), reads)


def _our_chat() -> Decode:
    from bedrock_stream.dialects.chat import Chat

    return lambda reads: _our_texts(Chat(""), reads)


def _our_texts(dialect: Any, reads: list[bytes]) -> list[str]:
    from bedrock_stream.types.events import TextDelta

    reader, ready, texts = dialect.reader(), deque[Any](), list[str]()
    decoder = reader.new_decoder()
    for data in reads:
        reader.feed(decoder.feed(data), ready)
        texts += [event.text for event in ready if type(event) is TextDelta]
        ready.clear()
    return texts


def _botocore_frames() -> Decode:
    from botocore.eventstream import EventStreamBuffer

    def decode(reads: list[bytes]) -> list[bytes]:
        buffer, payloads = EventStreamBuffer(), []
        for data in reads:
            buffer.add_data(data)
            payloads += [message.payload for message in buffer]
        return payloads

    return decode


class _Body:
    """The body of a response, with the methods that botocore and the Anthropic SDK call."""

    status_code = 200
    is_closed = False
    stream = None

    def __init__(self, reads: list[bytes]) -> None:
        self._reads = reads

    def iter_bytes(self) -> Iterator[bytes]:
        return iter(self._reads)

    def close(self) -> None:
        pass


def _botocore_events() -> Decode:
    import botocore.session
    from botocore.eventstream import EventStream
    from botocore.parsers import EventStreamJSONParser

    class Raw(_Body):
        stream = _Body.iter_bytes  # type: ignore[assignment]  # the name that botocore uses

    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model("ConverseStream").output_shape.members["stream"]

    def decode(reads: list[bytes]) -> list[str]:
        events = EventStream(Raw(reads), shape, EventStreamJSONParser(), "ConverseStream")
        return [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]

    return decode


def _anthropic_events() -> Decode:
    from anthropic import AnthropicBedrock

    return _anthropic_texts(AnthropicBedrock(aws_access_key=KEY_ID, aws_secret_key=SECRET, aws_region=REGION))


def _anthropic_messages() -> Decode:
    from anthropic import Anthropic

    return _anthropic_texts(Anthropic(api_key="a key"))


def _anthropic_texts(client: Any) -> Decode:
    from anthropic import Stream
    from anthropic.types import RawMessageStreamEvent

    kind: Any = RawMessageStreamEvent

    def decode(reads: list[bytes]) -> list[str]:
        body: Any = _Body(reads)
        events: Stream[Any] = Stream(cast_to=kind, response=body, client=client)
        return [event.delta.text for event in events if event.type == "content_block_delta"]

    return decode


def _anthropic_server_sent_events() -> Decode:
    from anthropic._streaming import SSEDecoder

    return lambda reads: [event.data.encode() for event in SSEDecoder().iter_bytes(iter(reads))]


# ------------------------------------------------------------------------------------------------------ the lower bound


class _Text(msgspec.Struct, gc=False):
    text: str = ""


class _Delta(msgspec.Struct, gc=False):
    index: int = msgspec.field(default=0, name="contentBlockIndex")
    delta: _Text | None = None
    p: str = ""


class _NativeText(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""


class _NativeDelta(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: _NativeText | None = None


class _Chunk(msgspec.Struct, gc=False):
    data: bytes = msgspec.field(name="bytes")
    p: str = ""


def _payloads(reads: list[bytes]) -> list[bytes]:
    data, position, payloads = b"".join(reads), 0, []
    size, lengths, checksum = len(data), struct.Struct(">II").unpack_from, struct.Struct(">I").unpack_from
    while position + 12 <= size:
        length, headers = lengths(data, position)
        end = position + length
        if end > size:
            break
        if zlib.crc32(data[position : end - 4]) != checksum(data, end - 4)[0]:
            raise ValueError("CRC mismatch")
        payloads.append(data[position + 12 + headers : end - 4])
        position = end
    return payloads


def _floor_frames() -> Decode:
    return _payloads


def _floor_server_sent_events() -> Decode:
    return lambda reads: [event.partition(b"\ndata: ")[2] for event in b"".join(reads).split(b"\n\n")[:-1]]


def _floor_events() -> Decode:
    read = msgspec.json.Decoder(_Delta).decode
    return lambda reads: [
        event.delta.text for payload in _payloads(reads) if (event := read(payload)).delta and event.delta.text
    ]


def _floor_native_events() -> Decode:
    chunk, read = msgspec.json.Decoder(_Chunk).decode, msgspec.json.Decoder(_NativeDelta).decode
    return lambda reads: [
        event.delta.text
        for payload in _payloads(reads)
        if (event := read(chunk(payload).data)).delta and event.delta.text
    ]


DECODERS: dict[tuple[str, str], Callable[[], Decode]] = {
    ("frames", OURS): _our_frames,
    ("frames", FLOOR): _floor_frames,
    ("frames", "boto3"): _botocore_frames,
    ("events", OURS): _our_events,
    ("events", FLOOR): _floor_events,
    ("events", "boto3"): _botocore_events,
    ("sse", OURS): _our_server_sent_events,
    ("sse", FLOOR): _floor_server_sent_events,
    ("sse", "anthropic"): _anthropic_server_sent_events,
    ("messages", OURS): _our_messages,
    ("messages", "anthropic"): _anthropic_messages,
    ("chat", OURS): _our_chat,
    ("native", OURS): _our_native_events,
    ("native", FLOOR): _floor_native_events,
    ("native", "anthropic"): _anthropic_events,
}
