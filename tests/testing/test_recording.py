"""Recordings: replays are identical to the byte, and secrets are masked."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Client, Credentials, Message, RetryPolicy, Stream, Text
from bedrock_stream.errors import (
    AccessDenied,
    BedrockStreamError,
    ConfigurationError,
    ConnectionFailed,
    NotAnEventStream,
    StreamInterrupted,
    ToolInputError,
)
from bedrock_stream.eventstream import Decoder, Frame, encode_frame
from bedrock_stream.testing import (
    Emulator,
    Keys,
    Recording,
    Step,
    citation,
    cut,
    delay,
    flip_bit,
    http_error,
    read_recording,
    reasoning,
    record,
    replay,
    reset,
    stop,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
    wrong_content_type,
)
from bedrock_stream.testing.recording import RecordedFrame, write_recording
from tests.support.emulator_client import CLAUDE, GPT_OSS, LLAMA, MODEL, NATIVE, post

FIXTURES = Path(__file__).parents[2] / "fixtures"
SECRETS = Keys("AKIAIOSFODNN7SECRET1", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYSECRETKEY", "IQoJb3JpZ2luX2VjSESSIONTOKEN")
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1wcml2YXRl"
ACCOUNT = "123456789012"
REGION = "us-east-1"
REQUEST = {"operation": "ConverseStream", "model": MODEL, "region": REGION, "body": {}}


@pytest.fixture
async def emulator_and_client() -> AsyncIterator[tuple[Emulator, Client]]:
    keys = Credentials(SECRETS.access_key_id, SECRETS.secret_access_key, SECRETS.session_token)
    async with (
        Emulator(credentials=SECRETS, api_key=API_KEY) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=keys, retry=RetryPolicy(max_attempts=1)) as client,
    ):
        yield emulator, client


async def read_all(stream: Stream) -> tuple[list[Any], str | None]:
    """Return all events, and the name of the error that followed them."""
    events = []
    try:
        while True:
            events.append(await anext(stream))
    except StopAsyncIteration:
        return events, None
    except BedrockStreamError as error:
        return events, type(error).__name__


# ---------------------------------------------------------------------------------------------------- record and replay

SCRIPTS: dict[str, list[Step]] = {
    "text": [text(["Grüße", "\n", '"quoted"', "", "\u2028", "🎈"])],
    "a tool call": [text("Looking."), tool_call("f", {"city": "Oslo", "n": 1.0}, id="t1", fragments=3)],
    "a tool call whose input is not an object": [tool_call("f", "[1", id="t1", fragments=1)],
    "a token limit": [text("Hal"), stop("max_tokens")],
    "an exception frame": [text("Hal"), stream_error("modelStreamErrorException", "broke", originalStatusCode=424)],
    "an unmodeled error": [text("Hal"), unmodeled_error("InternalError", "boom")],
    "a cut": [text("Hal"), cut()],
    "a torn body": [text("Hal"), cut(torn=True, inside=20), text("f", joined=True)],
    "a reset": [text("Hal"), reset()],
    "a flipped bit": [text("Hal"), flip_bit(300), text("f", joined=True)],
    "an HTTP error": [http_error(403, "AccessDeniedException", "not you")],
    "a login page": [wrong_content_type()],
    "no response": [reset(before_headers=True)],
}
CASES = [*SCRIPTS, "unscripted"]


@pytest.mark.parametrize("model", [CLAUDE, GPT_OSS, LLAMA])
@pytest.mark.parametrize("use_converse", [True, False])
@pytest.mark.parametrize("script", CASES)
async def test_a_replay_yields_the_events_of_the_recorded_stream(
    script: str, use_converse: bool, model: str, emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    if script in SCRIPTS:
        emulator.script(*SCRIPTS[script])
    file = tmp_path / "answer.jsonl"
    async with record(client.stream(model, "Hello", use_converse=use_converse), file) as stream:
        first = await read_all(stream)
    emulator.script(replay(file))
    async with client.stream(model, "Hello", use_converse=use_converse) as again:
        second = await read_all(again)
    names = (first[1], second[1])
    # A damaged frame is not recorded: the replay is interrupted after the intact frames.
    assert second[0] == first[0]
    assert names in {(first[1], first[1]), ("ChecksumMismatch", "StreamInterrupted")}
    if read_recording(file).frames:
        assert again.request_id == stream.request_id


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.bin")))
async def test_a_replay_has_the_recorded_bytes(
    name: str, emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    raw = (FIXTURES / f"{name}.bin").read_bytes()
    emulator.script(replay(raw))
    file = tmp_path / "answer.jsonl"
    async with record(client.stream(MODEL, "Hello"), file) as stream:
        await read_all(stream)
    async with Emulator(script=[replay(file)]) as player:
        assert (await post(player)).body == raw


async def test_blocks_of_every_kind_are_restored(emulator_and_client: tuple[Emulator, Client], tmp_path: Path) -> None:
    emulator, client = emulator_and_client
    emulator.script(
        reasoning("Hm"), reasoning(redacted=b"\x00\xff"), text("So."), citation(title="T"), tool_call("f", {"a": 1})
    )
    async with record(client.stream(CLAUDE, "Hello", use_converse=True), tmp_path / "a.jsonl") as stream:
        first = await stream.response()
    emulator.script(replay(tmp_path / "a.jsonl"))
    async with client.stream(CLAUDE, "Hello", use_converse=True) as again:
        second = await again.response()
    assert msgspec.structs.replace(second, timing=first.timing) == first


async def test_raw_streams_are_recorded_too(emulator_and_client: tuple[Emulator, Client], tmp_path: Path) -> None:
    emulator, client = emulator_and_client
    async with record(client.invoke_stream(LLAMA, NATIVE[LLAMA]), tmp_path / "a.jsonl") as stream:
        first = [document async for document in stream]
    emulator.script(replay(tmp_path / "a.jsonl"))
    assert [document async for document in client.invoke_stream(LLAMA, NATIVE[LLAMA])] == first
    assert read_recording(tmp_path / "a.jsonl").request["operation"] == "InvokeModelWithResponseStream"


async def test_a_stream_closed_early_is_recorded_up_to_that_point(
    emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    emulator.script(text(["one", "two"]), delay(10))
    with pytest.raises(ZeroDivisionError):
        async with record(client.stream(MODEL, "Hello"), tmp_path / "a.jsonl") as stream:
            async for _ in stream.text_stream:
                raise ZeroDivisionError
    await emulator.wait_until_idle()
    recording = read_recording(tmp_path / "a.jsonl")
    assert recording.cut == "BedrockStreamError: the caller left"
    emulator.script(replay(tmp_path / "a.jsonl"))
    with pytest.raises(StreamInterrupted):
        await client.stream(MODEL, "Hello").response()


async def test_replayed_errors_have_the_same_message_and_request_id(
    emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    emulator.script(http_error(403, "AccessDeniedException", "not you"))
    with pytest.raises(AccessDenied) as first:
        async with record(client.stream(MODEL, "Hello"), tmp_path / "a.jsonl") as stream:
            await stream.open()
    emulator.script(replay(tmp_path / "a.jsonl"))
    with pytest.raises(AccessDenied) as again:
        await client.stream(MODEL, "Hello").open()
    assert again.value.message == "not you"
    assert again.value.request_id == first.value.request_id


@pytest.mark.parametrize(
    ("fault", "kind"), [(wrong_content_type(), NotAnEventStream), (reset(before_headers=True), ConnectionFailed)]
)
async def test_failures_without_an_event_stream_are_replayed(
    fault: Step, kind: type[BedrockStreamError], emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    emulator.script(fault)
    with pytest.raises(kind):
        async with record(client.stream(MODEL, "Hello"), tmp_path / "a.jsonl") as stream:
            await stream.open()
    emulator.script(replay(tmp_path / "a.jsonl"))
    with pytest.raises(kind):
        await client.stream(MODEL, "Hello").open()


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
async def test_only_the_owner_can_read_a_recording(
    emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    """The prompt and the answer are in it. A file that is overwritten may have been readable for all."""
    path = tmp_path / "answer.jsonl"
    earlier = os.umask(0)
    try:
        for existing in (False, True):
            if existing:
                path.chmod(0o666)
            async with record(emulator_and_client[1].stream(MODEL, "Hi"), path) as stream:
                await stream.response()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(earlier)
    assert read_recording(path).cut is None


def test_a_recording_can_be_written_to_a_device() -> None:
    before = os.stat(os.devnull).st_mode
    write_recording(Recording(REQUEST), os.devnull)
    assert os.stat(os.devnull).st_mode == before


async def test_a_broken_tool_input_does_not_cut_the_recording(
    emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    emulator.script(tool_call("f", "[", id="t1"))
    with pytest.raises(ToolInputError):
        async with record(client.stream(MODEL, "Hello"), tmp_path / "a.jsonl") as stream:
            await stream.response()
    assert read_recording(tmp_path / "a.jsonl").cut is None


async def test_a_stream_that_has_begun_cannot_be_recorded(
    emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    async with emulator_and_client[1].stream(MODEL, "Hello") as stream:
        await stream.open()
        with pytest.raises(ConfigurationError, match="has begun"):
            record(stream, tmp_path / "a.jsonl")


async def test_a_replay_can_keep_the_recorded_pace(tmp_path: Path) -> None:
    frames = tuple(
        RecordedFrame(ms, Frame({":event-type": "odd", ":message-type": "event"}, b"{}")) for ms in (0, 60, 120)
    )
    write_recording(Recording(REQUEST, 200, {}, None, frames), tmp_path / "a.jsonl")
    loop = asyncio.get_running_loop()
    async with Emulator(script=[replay(tmp_path / "a.jsonl", pace="recorded")]) as emulator:
        before = loop.time()
        assert len((await post(emulator)).frames) == 3
        assert loop.time() - before >= 0.115


async def test_faults_can_be_combined_with_a_recording(tmp_path: Path) -> None:
    frame = Frame({":event-type": "odd", ":message-type": "event"}, b"{}")
    write_recording(Recording(REQUEST, 200, {}, None, (RecordedFrame(0, frame),) * 2), tmp_path / "a.jsonl")
    async with Emulator(script=[[flip_bit(0), replay(tmp_path / "a.jsonl")]]) as emulator:
        assert (await post(emulator)).body[0] == encode_frame(frame)[0] ^ 1


@pytest.mark.parametrize("operation", ["converse", "count-tokens"])
async def test_a_recorded_stream_is_refused_by_document_operations(operation: str, tmp_path: Path) -> None:
    write_recording(Recording(REQUEST, 200, {}), tmp_path / "a.jsonl")
    body = None if operation == "converse" else {"input": {"converse": json.loads(HELLO)}}
    async with Emulator(script=[replay(tmp_path / "a.jsonl")]) as emulator:
        answer = await post(emulator, body or json.loads(HELLO), operation)
        assert answer.error[:2] == (501, "ScriptError")


HELLO = '{"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}'


def test_a_raw_body_has_no_pace() -> None:
    with pytest.raises(ConfigurationError, match="pace"):
        replay(b"", pace="recorded")


# ------------------------------------------------------------------------------------------------------------- the file

header_values = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.binary(max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-(10**13), 10**14).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)),
    st.uuids().map(lambda value: UUID(str(value))),
)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
payloads = st.one_of(
    st.binary(max_size=60),
    st.text().map(lambda text: text.encode("utf-8", "ignore")),
    plain_json.map(lambda value: json.dumps(value).encode()),
    plain_json.map(
        lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "ignore")
    ),
    st.builds(
        lambda inner, before, after: json.dumps(
            {**before, "bytes": b64encode(inner).decode(), **after}, separators=(",", ":")
        ).encode(),
        st.binary(max_size=20) | plain_json.map(lambda value: json.dumps(value, separators=(",", ":")).encode()),
        st.dictionaries(st.sampled_from(["o", "p"]), st.text("abc", max_size=5)),
        st.dictionaries(st.sampled_from(["p", "q"]), st.text("abc", max_size=5)),
    ),
)
frames = st.lists(
    st.builds(
        Frame,
        st.dictionaries(st.text("abc:-", min_size=1, max_size=9), header_values, max_size=3),
        payloads,
    ),
    max_size=4,
)


@given(frames, st.none() | st.text())
def test_every_frame_is_restored_to_the_same_bytes(sent: list[Frame], cut: str | None) -> None:
    decoder = Decoder()
    bytes_sent = b"".join(map(encode_frame, sent))
    recorded = tuple(RecordedFrame(ms, frame) for ms, frame in enumerate(decoder.feed(bytes_sent)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.jsonl")
        write_recording(Recording(REQUEST, 200, {"Content-Type": "x"}, None, recorded, cut), file)
        read = read_recording(file)
    assert b"".join(encode_frame(recorded_frame.frame) for recorded_frame in read.frames) == bytes_sent
    assert [list(recorded_frame.frame.headers) for recorded_frame in read.frames] == [
        list(frame.headers) for frame in sent
    ]
    assert (read.request, read.status, read.cut) == (REQUEST, 200, cut)


@given(st.lists(st.binary(max_size=30) | plain_json.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_a_file_that_is_not_a_recording_raises_a_configuration_error(lines: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.jsonl")
        file.write_bytes(b"\n".join(lines))
        with pytest.raises(ConfigurationError, match="recording"):
            read_recording(file)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "expected at least 2 lines in .*, got 0"),
        (['{"a": 1}', '{"status": "200", "headers": {}}'], "line 2"),
        (['{"a": 1}', '{"status": 200}'], "line 2"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', '{"ms": 1, "headers": {}}'], "line 3"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', '{"ms": 1, "headers": {"a": null}, "text": ""}'], "line 3"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', '{"ms": 1, "headers": {"": "b"}, "text": ""}'], "line 3"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', '{"ms": 1, "headers": {}, "base64": "*"}'], "line 3"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', "nonsense", '{"cut": "x"}'], "line 3"),
        (['{"a": 1}', '{"status": 200, "headers": {}}', '{"cut": 3}'], "line 3"),
    ],
)
def test_a_malformed_line_is_named(lines: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(ConfigurationError, match=message):
        replay(tmp_path / "a.jsonl")


async def test_a_recording_is_readable_text(emulator_and_client: tuple[Emulator, Client], tmp_path: Path) -> None:
    emulator, client = emulator_and_client
    for use_converse in (True, False):
        emulator.script(text(["Grüße"]))
        async with record(client.stream(CLAUDE, "Hallo", use_converse=use_converse), tmp_path / "a.jsonl") as stream:
            await stream.response()
        request, answer, *rest = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        assert list(request) == ["operation", "model", "region", "body"]
        assert answer["status"] == 200
        assert [frame["ms"] for frame in rest] == sorted(frame["ms"] for frame in rest)
        assert all({"json", "chunk"} & set(frame) for frame in rest)
        assert "Grüße" in (tmp_path / "a.jsonl").read_text()


# -------------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("use_converse", [True, False])
@pytest.mark.parametrize("api_key", [API_KEY, None])
async def test_no_secret_is_in_any_recording(
    api_key: str | None, use_converse: bool, emulator_and_client: tuple[Emulator, Client], tmp_path: Path
) -> None:
    emulator, client = emulator_and_client
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:inference-profile/us.{CLAUDE}"
    message = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/R/s may not use {arn} with {SECRETS.access_key_id}"
    scripts: list[list[Step]] = [
        [text([message])],
        [tool_call("f", {"bucketOwner": ACCOUNT, "key": API_KEY}, fragments=1)],
        [text("a"), stream_error("accessDeniedException", message)],
        [http_error(403, "AccessDeniedException", message)],
    ]
    prompt = [Message("user", [Text(f"Use {arn}, {SECRETS.access_key_id} and {API_KEY}")])]
    key: dict[str, Any] = {} if api_key is None else {"api_key": api_key}
    for number, script in enumerate(scripts):
        emulator.script(*script)
        file = tmp_path / f"{number}.jsonl"
        async with record(client.stream(arn, prompt, use_converse=use_converse, **key), file) as stream:
            await read_all(stream)
        content = file.read_text()
        for secret in (ACCOUNT, SECRETS.access_key_id, SECRETS.secret_access_key, SECRETS.session_token, API_KEY):
            assert str(secret) not in content
        for word in ("authorization", "x-amz-security-token", "x-amz-date", "signature=", "bearer"):
            assert word not in content.lower()
        assert "000000000000" in content
        read_recording(file)


INNER = f'{{"text":"{ACCOUNT} in arn:aws:iam::{ACCOUNT}:role/r, {SECRETS.access_key_id}, {API_KEY}"}}'.encode()
CHUNKS: dict[str, tuple[bytes, str]] = {
    "as Bedrock writes it": (b'{"bytes":"%s","p":"abc"}', "chunk"),
    "padding first": (b'{"p":"abc","bytes":"%s"}', "chunk"),
    "spaces": (b'{"bytes": "%s", "p" : "abc"}', "text"),
    "not JSON": (b'\xff"bytes":"%s"', "base64"),
}


@pytest.mark.parametrize(("payload", "form"), CHUNKS.values(), ids=CHUNKS)
def test_secrets_inside_native_chunks_are_masked(payload: bytes, form: str, tmp_path: Path) -> None:
    frame = Frame({":event-type": "chunk"}, payload % b64encode(INNER))
    write_recording(Recording(REQUEST, 200, {}, None, (RecordedFrame(1, frame),)), tmp_path / "a.jsonl")
    line = json.loads((tmp_path / "a.jsonl").read_bytes().splitlines()[2])
    assert form in line
    (read,) = read_recording(tmp_path / "a.jsonl").frames
    masked = INNER.replace(f"::{ACCOUNT}".encode(), b"::000000000000")
    masked = masked.replace(str(SECRETS.access_key_id).encode(), b"AKIA" + b"0" * 16)
    masked = masked.replace(API_KEY.encode(), b"ABSK" + b"0" * (len(API_KEY) - 4))
    assert read.frame.payload == payload % b64encode(masked)
    assert ("role/r" in json.dumps(line)) == (form == "chunk"), "only a decoded chunk is readable"
