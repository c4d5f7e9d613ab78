"""A stream that is cut at any byte, by a reset or by the end of the connection, never looks complete.

Its text is a prefix of the whole. It ends normally only if the cut comes after the message's own end.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from bedrock_stream import Client, errors
from tests.support.clients import ONCE, client_of
from tests.support.exhaustive import exhaustive
from tests.support.http_answers import ROUTES, stream_body
from tests.support.socket_server import STREAM_HEAD, Connection, SocketServer

OFFSETS = exhaustive(whole=160, part=64)
FIXTURE = Path(__file__).parents[2] / "fixtures" / "converse_text"


class Recording(NamedTuple):
    """A stream in frames, and what each of them adds to the text."""

    model: str
    frames: list[bytes]
    texts: list[str]
    ends: int
    """How many frames the message has. What follows may be missing, so a cut behind them may end either way."""

    @property
    def sent(self) -> list[bytes]:
        """The head, each frame in a chunk of its own, and the last chunk."""
        return [STREAM_HEAD, *(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in self.frames), b"0\r\n\r\n"]

    def whole_frames(self, offset: int) -> int:
        """Return how many frames are complete in the first `offset` bytes."""
        count, at = 0, len(STREAM_HEAD)
        for piece in self.sent[1:-1]:
            at += len(piece)
            count += offset >= at - 2  # without the line end behind a chunk
        return count


def _frames(data: bytes) -> list[bytes]:
    frames = list[bytes]()
    while data:
        length = int.from_bytes(data[:4], "big")
        frames.append(data[:length])
        data = data[length:]
    return frames


def _recorded() -> Recording:
    described = json.loads(FIXTURE.with_suffix(".json").read_text(encoding="utf-8"))["frames"]
    texts = [frame["payload"].get("delta", {}).get("text", "") for frame in described]
    ends = [frame["name"] for frame in described].index("messageStop") + 1
    return Recording(ROUTES["converse stream"].model, _frames(FIXTURE.with_suffix(".bin").read_bytes()), texts, ends)


def _native() -> Recording:
    texts = ["Streams", " carry", " words,", " naïve", " or not."]
    frames = _frames(stream_body(ROUTES["native stream"], texts))
    return Recording(ROUTES["native stream"].model, frames, ["", "", *texts, "", "", ""], len(frames))


RECORDINGS = {"converse": _recorded(), "native": _native()}
CUTS: dict[str, Callable[[Connection], None]] = {"reset": Connection.reset, "half-close": Connection.half_close}


async def _read(client: Client, model: str) -> tuple[str, errors.BedrockStreamError | None]:
    """Return the text that was received, and the error after it."""
    pieces = list[str]()
    try:
        async with client.stream(model, "Hi") as stream:
            async for piece in stream.text_stream:
                pieces.append(piece)  # a comprehension would lose the pieces before an error
    except errors.BedrockStreamError as error:
        return "".join(pieces), error
    return "".join(pieces), None


async def _send(connection: Connection, data: bytes, cut: Callable[[Connection], None]) -> None:
    connection.write(data)
    cut(connection)
    await connection.closed.wait()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("way", CUTS)
@pytest.mark.parametrize("name", RECORDINGS)
async def test_a_cut_at_any_offset_is_never_a_normal_end(
    name: str, way: str, secure: bool, authority: trustme.CA
) -> None:
    recording = RECORDINGS[name]
    data = b"".join(recording.sent)
    offsets = {round(number * len(data) / (OFFSETS - 1)) for number in range(OFFSETS)}
    assert len(offsets) == OFFSETS
    context, trust = None, None
    if secure:
        context, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(trust)
    async with (
        SocketServer(_send_nothing, context=context) as server,
        client_of(server.url, ssl=trust, retry=ONCE) as client,
    ):
        for offset in sorted(offsets):
            server.answer = partial(_send, data=data[:offset], cut=CUTS[way])
            async with asyncio.timeout(10):
                text, error = await _read(client, recording.model)
            whole = recording.whole_frames(offset)
            received = "".join(recording.texts[:whole])
            assert received.startswith(text), offset
            assert error is not None or whole >= recording.ends, offset
            if way == "half-close":  # nothing that was sent is lost
                assert text == received, offset
                assert error is None or whole < len(recording.frames), offset
            async with asyncio.timeout(10):
                await server.deserted()
    assert whole == len(recording.frames)


async def _send_nothing(connection: Connection) -> None:
    connection.close()
