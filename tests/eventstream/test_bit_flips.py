"""No flipped bit goes unnoticed: not in any place of a whole stream, not in a sample of all others, not on a socket.

Each flip must raise, and what was delivered before must be the beginning of what the sound stream delivers.
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
    """`data` with one bit the other way."""
    result = bytearray(data)
    result[bit // 8] ^= 1 << bit % 8
    return bytes(result)


def decoded(pieces: list[bytes]) -> tuple[list[Frame], BedrockStreamError | None]:
    """The frames that were delivered, and what the decoder raised."""
    decoder, frames = Decoder(), list[Frame]()
    try:
        for piece in pieces:
            frames += decoder.feed(piece)
        decoder.finish()
    except BedrockStreamError as error:
        return frames, error
    return frames, None


def unnoticed(data: bytes, sound: list[Frame], pieces: list[bytes]) -> bool:
    frames, error = decoded(pieces)
    return not isinstance(error, InvalidFrame) or len(frames) >= len(sound) or frames != sound[: len(frames)]


def test_every_single_bit_of_a_stream_is_watched() -> None:
    data = STREAMS[SHORT]
    sound, error = decoded([data])
    assert error is None
    bits = range(len(data) * 8)
    assert len(bits) > 10_000, "the stream has shrunk"
    assert [bit for bit in bits if unnoticed(data, sound, [flipped(data, bit)])] == []


def test_two_thousand_flips_in_every_other_stream_are_noticed_however_the_bytes_come() -> None:
    random = Random(2000)  # noqa: S311  # the same flips every time
    names = [name for name in STREAMS if name != SHORT]
    assert len(names) >= 7
    tried = 0
    for number in range(2000):
        data = STREAMS[names[number % len(names)]]
        sound, _ = decoded([data])
        damaged = flipped(data, random.randrange(len(data) * 8))
        places = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(4))})
        assert not unnoticed(data, sound, [damaged[start:end] for start, end in pairwise(places)]), damaged.hex()
        tried += 1
    assert tried == 2000


def test_several_flips_in_one_stream_are_noticed_too() -> None:
    random = Random(3)  # noqa: S311  # the same flips every time
    data = STREAMS[SHORT]
    sound, _ = decoded([data])
    for _ in range(1000):
        damaged = data
        for bit in random.sample(range(len(data) * 8), random.randint(2, 8)):
            damaged = flipped(damaged, bit)
        assert not unnoticed(data, sound, [damaged]), damaged.hex()


async def read(client: Client) -> tuple[list[Event], BedrockStreamError | None]:
    events: list[Event] = []
    try:
        async with client.stream("amazon.nova-pro-v1:0", "Hello") as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401  # a comprehension would lose them
    except BedrockStreamError as error:
        return events, error
    return events, None


@pytest.mark.parametrize("silent", [False, True], ids=["the body ends", "silence follows"])
async def test_a_flip_on_a_real_socket_is_an_error_of_the_stream(*, silent: bool) -> None:
    random = Random(4)  # noqa: S311  # the same flips every time
    names = list(STREAMS)
    body, holds = b"", False

    async def answer(connection: Connection) -> None:
        connection.begin()
        connection.chunk(body)
        if holds:
            await connection.closed.wait()
        else:
            connection.end()

    noticed = 0
    async with (
        SocketServer(answer) as server,
        Client(region="us-east-1", endpoint_url=server.url, credentials=KEYS, retry=QUICK_RETRIES) as client,
    ):
        sound: dict[str, tuple[list[Event], BedrockStreamError | None]] = {}
        for name in names:
            body = STREAMS[name]
            sound[name] = await read(client)
            assert sound[name][1] is None or isinstance(sound[name][1], ServiceError)
        holds = silent
        for number in range(ON_A_SOCKET):
            name = names[number % len(names)]
            bit = random.randrange(len(STREAMS[name]) * 8)
            body = flipped(STREAMS[name], bit)
            events, error = await read(client)
            assert isinstance(error, InvalidFrame), (name, bit)
            assert events == sound[name][0][: len(events)], (name, bit)
            assert error.events_received == len(events)
            noticed += 1
    assert noticed == ON_A_SOCKET
