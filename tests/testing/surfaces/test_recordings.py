"""Recordings of server-sent events: replays are identical to the byte, and secrets are masked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import Emulator, Recording, read_recording, replay, text
from bedrock_stream.testing.recording import RecordedPiece, write_recording
from tests.support.emulator_client import play
from tests.support.surface_client import CHAT, PATHS, ask, body_for, call, error

REQUEST = {"operation": "ChatCompletions", "model": "m", "region": "us-east-1", "body": {}}
HEADERS = {"Content-Type": "text/event-stream", "x-request-id": "r"}
ACCOUNT = "123456789012"


def recording(*pieces: bytes, cut: str | None = None) -> Recording:
    received = tuple(RecordedPiece(ms, piece) for ms, piece in enumerate(pieces))
    return Recording(REQUEST, 200, HEADERS, None, (), cut, received)


@given(st.lists(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), max_size=5), st.none() | st.text())
def test_every_piece_is_restored_to_the_same_bytes(sent: list[bytes], cut: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.jsonl")
        write_recording(recording(*sent, cut=cut), file)
        read = read_recording(file)
    assert [(piece.ms, piece.data) for piece in read.pieces] == [*enumerate(sent)]
    assert (read.request, read.headers, read.cut, read.frames) == (REQUEST, HEADERS, cut, ())


@pytest.mark.parametrize("path", PATHS)
async def test_a_replay_sends_the_same_bytes_on_every_path(path: str, tmp_path: Path) -> None:
    body = (await ask(path, text("Hello"))).body
    events = [event + b"\n\n" for event in body.split(b"\n\n")[:-1]]
    for number, (pieces, cut) in enumerate(((events, None), (events[:2], "StreamInterrupted: ..."))):
        file = tmp_path / f"{number}.jsonl"
        write_recording(recording(*pieces, cut=cut), file)
        for step in (replay(file), replay(file, pace="recorded")):
            response = await ask(path, step)
            assert (response.body, response.complete) == (b"".join(pieces), cut is None)
            assert response.headers["x-request-id"] == "r"
        # A recording is the whole answer, also on another route.
        assert (await play(replay(file))).body == b"".join(pieces)


async def test_a_replay_is_no_document() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.jsonl")
        write_recording(recording(b"data: 1\n\n"), file)
        step = replay(file)
    async with Emulator(script=[step]) as emulator:
        status, found = error(await call(emulator, CHAT, body_for(CHAT, stream=False)))
    assert (status, "replays a recorded stream" in found["message"]) == (501, True)


def test_account_ids_and_keys_are_masked(tmp_path: Path) -> None:
    event = {"text": f"arn:aws:bedrock:us-east-1:{ACCOUNT}:x", "key": "AKIA" + "B" * 16}
    write_recording(recording(b"data: " + json.dumps(event).encode() + b"\n\n"), tmp_path / "a.jsonl")
    content = (tmp_path / "a.jsonl").read_text()
    assert ACCOUNT not in content
    assert "BBBB" not in content
    masked = read_recording(tmp_path / "a.jsonl").pieces[0].data
    assert json.loads(masked.removeprefix(b"data: "))["text"] == "arn:aws:bedrock:us-east-1:000000000000:x"


@pytest.mark.parametrize("line", [{"ms": "a", "text": ""}, {"ms": 1}, {"text": ""}, {"ms": 1, "text": 2}])
def test_a_malformed_piece_is_refused(line: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_recording(recording(), file)
    file.write_text(file.read_text() + json.dumps(line) + "\n")
    with pytest.raises(ConfigurationError, match="line 3"):
        read_recording(file)
