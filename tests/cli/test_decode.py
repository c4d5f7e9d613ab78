"""`decode`: the frames of a recording, and where it breaks."""

from __future__ import annotations

import io
import json
import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from bedrock_stream.cli.app import invoke
from bedrock_stream.eventstream import Frame, HeaderValue, encode_frame
from tests.support.command_line import run

FIRST = encode_frame(
    Frame({":event-type": "messageStart", ":message-type": "event"}, b'{"role":"assistant","p":"abcd"}')
)
SECOND = encode_frame(Frame({":event-type": "messageStop"}, b'{"stopReason":"end_turn"}'))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return tmp_path / "recording.bin"


def _decode(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    code = invoke(["decode", str(path), *options])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_an_intact_recording(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_bytes(FIRST + SECOND)
    code, out, err = _decode(recording, capsys)
    assert (code, err) == (0, "")
    assert f"#0  messageStart  at byte 0  {len(FIRST)} bytes (headers 49, payload 31)  crc ok" in out
    assert '{"role": "assistant", "p": "abcd"}' in out
    assert f"#1  messageStop  at byte {len(FIRST)}" in out
    assert out.endswith(f"2 frames, {len(FIRST + SECOND)} bytes, intact\n")
    assert "\x1b" not in out


def test_every_kind_of_header_and_payload(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    headers: dict[str, HeaderValue] = {
        "flag": True, "number": 7, "raw": b"\x00\x01", "text": "a\x1b[1m", "id": UUID(int=5),
        "when": datetime(2025, 7, 1, tzinfo=UTC),
    }  # fmt: skip
    chunk = b64encode(b'{"type":"ping"}').decode()
    payloads = [
        b"",
        b"\x00" * 100,
        b'{"text":"' + b"long " * 30 + b'"}',
        json.dumps({"bytes": chunk, "p": "abc"}).encode(),
        json.dumps({"bytes": b64encode(b"not JSON").decode()}).encode(),
        json.dumps({"bytes": "not base64!"}).encode(),
    ]
    recording.write_bytes(b"".join(encode_frame(Frame(headers, payload)) for payload in payloads))
    code, out, _ = _decode(recording, capsys)
    assert code == 0
    for part in (
        "bool True", "int 7", "bytes b'\\x00\\x01'", "a\\x1b[1m", f"UUID {UUID(int=5)}",
        "datetime 2025-07-01 00:00:00+00:00", "100 bytes total",
        '\n      "text": "long long', '{"bytes": "<15 bytes, decoded below>", "p": "abc"}',
        'bytes = {"type": "ping"}', "|not JSON|", '{"bytes": "not base64!"}',
    ):  # fmt: skip
        assert part in out
    _, out, _ = _decode(recording, capsys, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [sorted(set(line) & {"payload", "payload_base64", "chunk"}) for line in lines] == [
        [], ["payload_base64"], ["payload"], ["chunk", "payload"], ["payload"], ["payload"],
    ]  # fmt: skip
    assert lines[3]["chunk"] == {"type": "ping"}
    assert lines[0]["headers"]["when"] == "2025-07-01T00:00:00Z"


def test_a_damaged_recording(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = bytearray(FIRST + SECOND + FIRST)
    damaged[len(FIRST) + 40] ^= 1
    recording.write_bytes(damaged)
    code, out, err = _decode(recording, capsys)
    assert code == 1
    assert "#0  messageStart" in out
    assert f"#1  broken  at byte {len(FIRST)}  ChecksumMismatch\n" in out
    assert "intact" not in out
    assert err.startswith(f"bedrock-stream: broken at byte {len(FIRST)}, after 1 frame: message checksum is 0x")
    assert err.count("\n") == 1


@pytest.mark.parametrize("length", [5, len(SECOND) - 1])
def test_a_truncated_recording(recording: Path, capsys: pytest.CaptureFixture[str], length: int) -> None:
    recording.write_bytes(FIRST + SECOND[:length])
    code, out, err = _decode(recording, capsys, "--json")
    assert code == 1
    good, broken = map(json.loads, out.splitlines())
    assert good["total_length"] == len(FIRST)
    assert broken["offset"] == len(FIRST)
    assert broken["error"] == "StreamInterrupted"
    assert f"got {length} bytes" in err


def test_a_file_that_is_not_a_recording(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_text("<html>Not found</html>")
    code, out, err = _decode(recording, capsys)
    assert code == 1
    assert "|<html>Not found</html>|" in out
    assert "broken at byte 0, after 0 frames: prelude checksum" in err


def test_a_file_that_cannot_be_read(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _decode(recording, capsys)
    assert (code, out) == (2, "")
    assert err == f"bedrock-stream: FILE: cannot read {recording}: No such file or directory\n"
    code, _, err = _decode(recording.parent, capsys)
    assert (code, err.count("\n")) == (2, 1)


def test_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(FIRST))))
    assert invoke(["decode", "-"]) == 0
    assert "1 frame, " in capsys.readouterr().out


async def test_a_pipe() -> None:
    completed = await run("decode", "-", stdin=FIRST + SECOND[:-1])
    assert completed.code == 1
    assert "#1  broken" in completed.out
    assert completed.err.count("\n") == 1
    assert "\x1b" not in completed.out + completed.err


# -------------------------------------------------------------------------------------------------- server-sent events

CREATED = b'data: {"type":"response.created"}\r\nevent: response.created\r\n\r\n'
ERROR = b'id: 7\nevent: error\ndata: {"type":"error",\ndata: "error":{"message":"no\\u001b"}}\n\n'
DONE = b"data: [DONE]\x1b\n\n"
EVENTS = b": keep-alive\r\n\r\n" + CREATED + b": comment\n" + ERROR + DONE
ERROR_AT, DONE_AT = EVENTS.index(ERROR), EVENTS.index(DONE)


def test_server_sent_events(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_bytes(EVENTS)
    code, out, err = _decode(recording, capsys)
    assert (code, err) == (0, "")
    assert out == (
        f"#0  response.created  at byte 16  {len(CREATED)} bytes (data 27)\n"
        '    {"type": "response.created"}\n\n'
        f"#1  error  at byte {ERROR_AT}  {len(ERROR)} bytes (data 48)\n"
        "    id  7\n"
        '    {"type": "error", "error": {"message": "no\\u001b"}}\n\n'
        f"#2  message  at byte {DONE_AT}  {len(DONE)} bytes (data 7)\n"
        "    id  7\n"
        "    [DONE]\\x1b\n\n"
        f"3 events, {len(EVENTS)} bytes, intact\n"
    )


def test_server_sent_events_as_json(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_bytes(EVENTS)
    code, out, _ = _decode(recording, capsys, "--json")
    assert code == 0
    first, second, third = map(json.loads, out.splitlines())
    assert first == {
        "offset": 16, "total_length": len(CREATED), "data_length": 27, "event": "response.created", "id": "",
        "data": {"type": "response.created"},
    }  # fmt: skip
    assert second["data"] == {"type": "error", "error": {"message": "no\x1b"}}
    assert (third["event"], third["id"], third["data_base64"]) == ("message", "7", b64encode(b"[DONE]\x1b").decode())


@pytest.mark.parametrize("cut", [1, 6, len("id: 7\nevent: error\n")])
def test_server_sent_events_that_end_inside_an_event(
    recording: Path, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    recording.write_bytes(EVENTS[: ERROR_AT + cut])
    code, out, err = _decode(recording, capsys)
    assert code == 1
    assert f"#1  broken  at byte {ERROR_AT}  StreamInterrupted\n" in out
    assert "intact" not in out
    assert err.startswith(
        f"bedrock-stream: broken at byte {ERROR_AT}, after 1 event: the stream ended inside a server-"
    )
    code, out, _ = _decode(recording, capsys, "--json")
    assert json.loads(out.splitlines()[-1])["offset"] == ERROR_AT


@pytest.mark.parametrize(
    "start", [b"", b"\xef\xbb\xbf\n", b"\n\r\n", b":\n", b"retry: 1\n\n", b"event:x\n\n", b"id:\n\n"]
)
def test_server_sent_events_are_recognized_by_their_first_line(
    recording: Path, capsys: pytest.CaptureFixture[str], start: bytes
) -> None:
    recording.write_bytes(start + b"data: 1\n\n")
    code, out, _ = _decode(recording, capsys)
    assert code == 0
    assert f"#0  message  at byte {len(start)}  9 bytes (data 1)\n" in out


def test_an_empty_recording(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording.write_bytes(b"")
    assert _decode(recording, capsys) == (0, "0 frames, 0 bytes, intact\n", "")


async def test_a_pipe_of_server_sent_events() -> None:
    completed = await run("decode", "-", stdin=EVENTS)
    assert completed.code == 0
    assert completed.out.endswith(f"3 events, {len(EVENTS)} bytes, intact\n")
