"""Every flipped bit is detected: at every position of one stream, in a sample of the other streams, and on a socket.

Each flip must raise, and the frames delivered before must be a prefix of the undamaged stream's frames.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from bedrock_stream import Client, Event
from bedrock_stream.errors import BedrockStreamError, InvalidFrame, ServiceError
from bedrock_stream.eventstream import Decoder, Frame
from tests.conftest import KEYS, QUICK_RETRIES
from tests.support.socket_server import Connection, SocketServer

FIXTURES = Path(__file__).parents[2] / "fixtures"
STREAMS = {path.stem: path.read_bytes() for path in sorted(FIXTURES.glob("*.bin"))}
SHORT = "converse_text"
ON_A_SOCKET = 120


def flipped(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit inverted."""
    result = bytearray(data)
    result[bit // 8] ^= 1 << bit % 8
    return bytes(result)


def decoded(pieces: list[bytes]) -> tuple[list[Frame], BedrockStreamError | None]:
    """Return the delivered frames and the error that the decoder raised."""
    decoder, frames = Decoder(), list[Frame]()
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        return frames, error
    return frames, None


def undetected(intact: list[Frame], pieces: list[bytes]) -> bool:
    frames, error = decoded(pieces)
    return not isinstance(error, InvalidFrame) or len(frames) >= len(intact) or frames != intact[: len(frames)]


def test_every_flipped_bit_of_a_stream_is_detected() -> None:
    data = STREAMS[SHORT]
    intact, error = decoded([data])
    assert error is None
    bits = range(len(data) * 8)
    assert len(bits) > 10_000, "the stream is shorter than expected"
    assert [bit for bit in bits if undetected(intact, [flipped(data, bit)])] == []


def test_two_thousand_flips_in_the_other_streams_are_detected_for_any_split() -> None:
    random = Random(2000)  # noqa: S311  # the same flips every time
    names = [name for name in STREAMS if name != SHORT]
    assert len(names) >= 7
    tried = 0
    for number in range(2000):
        data = STREAMS[names[number % len(names)]]
        intact, _ = decoded([data])
        damaged = flipped(data, random.randrange(len(data) * 8))
        cuts = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(4))})
        assert not undetected(intact, [damaged[start:end] for start, end in pairwise(cuts)]), damaged.hex()
        tried += 1
    assert tried == 2000


def test_several_flips_in_one_stream_are_detected() -> None:
    random = Random(3)  # noqa: S311  # the same flips every time
    data = STREAMS[SHORT]
    intact, _ = decoded([data])
    for _ in range(1000):
        damaged = data
        for bit in random.sample(range(len(data) * 8), random.randint(2, 8)):
            damaged = flipped(damaged, bit)
        assert not undetected(intact, [damaged]), damaged.hex()


async def read(client: Client) -> tuple[list[Event], BedrockStreamError | None]:
    events: list[Event] = []
    try:
        async with client.stream("amazon.nova-pro-v1:0", "Hello") as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401  # a comprehension would lose the events before an error
    except BedrockStreamError as error:
        return events, error
    return events, None


@pytest.mark.parametrize("silent", [False, True], ids=["the body ends", "silence follows"])
async def test_a_flip_on_a_real_socket_raises_from_the_stream(*, silent: bool) -> None:
    random = Random(4)  # noqa: S311  # the same flips every time
    names = list(STREAMS)
    body, stays_open = b"", False

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(body)
        if stays_open:
            await connection.closed.wait()
        else:
            connection.end()

    detected = 0
    async with (
        SocketServer(answer) as server,
        Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS, retry=QUICK_RETRIES) as client,
    ):
        intact: dict[str, tuple[list[Event], BedrockStreamError | None]] = {}
        for name in names:
            body = STREAMS[name]
            intact[name] = await read(client)
            assert intact[name][1] is None or isinstance(intact[name][1], ServiceError)
        stays_open = silent
        for number in range(ON_A_SOCKET):
            name = names[number % len(names)]
            bit = random.randrange(len(STREAMS[name]) * 8)
            body = flipped(STREAMS[name], bit)
            events, error = await read(client)
            assert isinstance(error, InvalidFrame), (name, bit)
            assert events == intact[name][0][: len(events)], (name, bit)
            assert error.events_received == len(events)
            detected += 1
    assert detected == ON_A_SOCKET
