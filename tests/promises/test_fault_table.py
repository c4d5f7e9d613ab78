"""Every fault of the network or the service, on each route, in text and inside a tool call.

Each fault raises the right error, with what was received before it. Nothing hangs, and after each failure no socket,
slot, task or thread is left, on either side.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bedrock_stream import Client, RetryPolicy, Stream, Timeouts, ToolCallDelta, ToolCallEnd, errors
from bedrock_stream.client import base_stream
from bedrock_stream.testing import (
    REGION,
    Emulator,
    ReceivedRequest,
    Step,
    cut,
    delay,
    double_answer,
    end_block,
    event,
    expired_signature,
    flip_bit,
    garbage_chunk,
    hang_before_headers,
    http_error,
    late_fin,
    metadata,
    rechunk,
    replay,
    reset,
    slow_body,
    stall,
    start,
    stop,
    stream_error,
    text,
    tool_call,
    unmodeled_error,
    unsolicited,
    wrong_content_type,
)
from bedrock_stream.transport.http_response import HttpResponse
from tests.conftest import KEYS
from tests.support.leftovers import nothing_left
from tests.support.reading import partial_of
from tests.support.soon import soon

CLAUDE = "anthropic.claude-3-sonnet-20240229-v1:0"
ONCE = RetryPolicy(max_attempts=1)
SILENCE = 0.2
"""The time limit, in seconds, of faults that are silence. The emulator shares the event loop, and must be in time."""
TEXT: tuple[Step, ...] = (text(["One ", "two"]),)
TOOLS: tuple[Step, ...] = (text(["One ", "two"]), tool_call("look", fragments=['{"at": [1', ", 2"], id="call-1"))
SAID = {"text": TEXT, "tools": TOOLS}

every_route = pytest.mark.parametrize("converse", [True, False], ids=["converse", "claude"])
everything_said = pytest.mark.parametrize("said", SAID.values(), ids=SAID)


@dataclass(frozen=True)
class Fault:
    """One row: the fault, its position, and the expected error."""

    name: str
    steps: tuple[Step, ...]
    kind: type[errors.BedrockStreamError]
    facts: dict[str, Any] = field(default_factory=dict)
    answered: bool = True
    """True if headers are received, and with them the request id."""
    begun: bool = False
    """True if the fault occurs in the middle of the message."""
    timeouts: Timeouts = field(default_factory=lambda: Timeouts(first_event=20, idle=20))
    lossy: bool = False
    """True if the network may lose data that was sent."""

    @property
    def silent(self) -> bool:
        return "limit" in self.facts


def refusal(
    status: int, code: str | None, kind: type[errors.ServiceError], retryable: bool, says: str = "No."
) -> Fault:
    facts = {"status": status, "code": code or "", "message": says, "mid_stream": False, "retryable": retryable}
    return Fault(f"http {status} {code}", (http_error(status, code, says),), kind, facts)


def frame(code: str, status: int, kind: type[errors.ServiceError], retryable: bool, says: str = "No.") -> Fault:
    name = code[:1].upper() + code[1:]
    facts = {"status": status, "code": name, "message": says, "mid_stream": True, "retryable": retryable}
    return Fault(f"frame {code}", (stream_error(code, says),), kind, facts, begun=True)


REFUSALS = [
    refusal(403, "AccessDeniedException", errors.AccessDenied, False),
    refusal(403, "UnrecognizedClientException", errors.AccessDenied, False),
    refusal(403, "MissingAuthenticationTokenException", errors.AccessDenied, False),
    refusal(403, "ExpiredTokenException", errors.ExpiredToken, False),
    refusal(403, "InvalidSignatureException", errors.InvalidSignature, False),
    refusal(400, "ValidationException", errors.ValidationFailed, False),
    refusal(400, "ValidationException", errors.ContextWindowExceeded, False, "Input is too long for this model."),
    refusal(404, "ResourceNotFoundException", errors.ResourceNotFound, False),
    refusal(400, "ServiceQuotaExceededException", errors.QuotaExceeded, False),
    refusal(429, "ThrottlingException", errors.Throttled, True, "Too many tokens, please wait."),
    refusal(429, "ModelNotReadyException", errors.ModelNotReady, True),
    refusal(408, "ModelTimeoutException", errors.ModelTimeout, True),
    refusal(424, "ModelErrorException", errors.ModelError, False),
    refusal(424, "ModelStreamErrorException", errors.ModelStreamError, True),
    refusal(500, "InternalServerException", errors.InternalServerError, True),
    refusal(503, "ServiceUnavailableException", errors.ServiceUnavailable, True),
    refusal(418, "BrewingException", errors.ServiceError, False),
    # a proxy removed the type header
    refusal(429, None, errors.Throttled, True),
    refusal(400, None, errors.ValidationFailed, False),
    refusal(502, None, errors.ServiceUnavailable, True),
    refusal(418, None, errors.ServiceError, False),
    # a frontend whose error message does not agree with its clock: signing again does not help
    Fault(
        "signature expired again",
        (expired_signature(600),),
        errors.SignatureExpired,
        {"status": 403, "code": "InvalidSignatureException", "mid_stream": False, "retryable": False},
    ),
]

FRAMES = [
    frame("internalServerException", 500, errors.InternalServerError, True),
    frame("modelStreamErrorException", 424, errors.ModelStreamError, True),
    frame("modelTimeoutException", 408, errors.ModelTimeout, True),
    frame("serviceUnavailableException", 503, errors.ServiceUnavailable, True),
    frame("throttlingException", 429, errors.Throttled, True, "Too many tokens, please wait."),
    frame("validationException", 400, errors.ValidationFailed, False),
    frame("brewingException", 500, errors.ServiceError, False),
    Fault(
        "frame of type error",
        (unmodeled_error("InternalFailure", "It broke."),),
        errors.InternalServerError,
        {"status": 500, "code": "InternalFailure", "message": "It broke.", "mid_stream": True, "retryable": True},
        begun=True,
    ),
    Fault(
        "frame of type error, unknown",
        (unmodeled_error("Brewing", "It boils."),),
        errors.ServiceError,
        {"status": 500, "code": "Brewing", "message": "It boils.", "mid_stream": True, "retryable": False},
        begun=True,
    ),
]


def interruption(name: str, *steps: Step, lossy: bool = False) -> Fault:
    return Fault(name, steps, errors.StreamInterrupted, {"retryable": True}, begun=True, lossy=lossy)


def damage(name: str, bit: int, **facts: Any) -> Fault:
    kind = errors.ChecksumMismatch if "part" in facts else errors.InvalidFrame
    return Fault(name, (flip_bit(bit), end_block()), kind, {"retryable": False, **facts}, begun=True)


MORE = (end_block(),)  # a frame for the fault to happen to
BROKEN = [
    interruption("cut, ended properly", cut()),
    interruption("cut, torn", cut(torn=True)),
    interruption("cut inside a chunk", cut(torn="chunk"), *MORE),
    interruption("cut inside the prelude", cut(inside=5), *MORE),
    interruption("cut inside a frame", cut(inside=40), *MORE),
    interruption("torn inside a frame", cut(inside=40, torn=True), *MORE),
    interruption("page of a proxy between chunks", garbage_chunk(), *MORE),
    interruption("empty lines between chunks", garbage_chunk(b"\r\n\r\n"), *MORE),
    interruption("size of a chunk without an end", garbage_chunk(b"f" * 40 + b"\r\n"), *MORE),
    interruption("reset", reset(), lossy=True),
    interruption("reset inside a frame", reset(after=30), *MORE, lossy=True),
    damage("bit in the length", 3, part="prelude"),
    damage("bit in the prelude's checksum", 8 * 8, part="prelude"),
    damage("bit in the headers", 8 * 20, part="message"),
    damage("bit in the payload", -8 * 10, part="message"),
    damage("bit in the checksum", -1, part="message"),
    Fault("stall", (stall(),), errors.IdleTimeout, {"limit": SILENCE}, begun=True, timeouts=Timeouts(idle=SILENCE)),
]

BEFORE = [
    Fault("nothing but the headers", (cut(),), errors.StreamInterrupted, {"retryable": True}),
    Fault("nothing but the message's start", (start(), cut()), errors.StreamInterrupted, {"retryable": True}),
    Fault(
        "an exception first",
        (stream_error("throttlingException", "No."),),
        errors.Throttled,
        {"status": 429, "mid_stream": True, "retryable": True},
    ),
    Fault(
        "no headers",
        (hang_before_headers(),),
        errors.FirstEventTimeout,
        {"limit": SILENCE, "retryable": False},
        answered=False,
        timeouts=Timeouts(first_event=SILENCE),
    ),
    Fault(
        "headers and silence",
        (stall(),),
        errors.FirstEventTimeout,
        {"limit": SILENCE, "retryable": False},
        timeouts=Timeouts(first_event=SILENCE),
    ),
    Fault(
        "reset before the headers",
        (reset(before_headers=True),),
        errors.ConnectionFailed,
        {"retryable": True},
        answered=False,
    ),
    Fault("login page", (wrong_content_type(),), errors.NotAnEventStream, {"status": 200, "content_type": "text/html"}),
]

TABLE = [*REFUSALS, *FRAMES, *BROKEN, *BEFORE]
ROWS = [
    pytest.param(fault, said, id=f"{fault.name}-{name}")
    for fault in TABLE
    for name, said in SAID.items()
    if fault.begun or said is TEXT  # before the message begins, its content makes no difference
]
every_fault = pytest.mark.parametrize(("fault", "said"), ROWS)


@asynccontextmanager
async def answering(*steps: Step) -> AsyncIterator[Client]:
    """Run an emulator that plays these steps, yield a client for it, and check that neither leaves anything open."""
    async with (
        nothing_left(),
        Emulator(script=lambda _: steps) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=ONCE) as client,
        asyncio.timeout(10),
        nothing_left(kept=1),
    ):
        yield client
        await soon(emulator.wait_until_idle(None))
        assert client.stats().open_streams == client.stats().waiting == 0


async def collect(source: AsyncIterable[Any], into: list[Any]) -> None:
    async for item in source:
        into.append(item)  # noqa: PERF401 - a comprehension would lose the items before an error


async def by_events(stream: Stream, into: list[Any]) -> None:
    await collect(stream, into)


async def by_text(stream: Stream, into: list[Any]) -> None:
    await collect(stream.text_stream, into)


async def by_tools(stream: Stream, into: list[Any]) -> None:
    await collect(stream.tool_stream, into)


async def by_response(stream: Stream, into: list[Any]) -> None:
    into.append(await stream.response())


READERS = [by_events, by_text, by_tools, by_response]


def check_error(fault: Fault, error: errors.BedrockStreamError, stream: Stream) -> None:
    """Check the class and the attributes of an error."""
    assert type(error) is fault.kind
    assert {name: getattr(error, name) for name in fault.facts} == fault.facts
    assert (error.model, error.region) == (CLAUDE, REGION)
    assert (error.request_id is not None) == fault.answered
    assert error.request_id == stream.request_id or not stream.request_id


def check_partial(error: errors.BedrockStreamError, said: tuple[Step, ...], lossy: bool) -> None:
    """Check that the partial response holds what was received and no more; incomplete tool calls are set apart."""
    assert "One two".startswith(partial_of(error).text) if lossy else partial_of(error).text == "One two"
    assert partial_of(error).tool_calls == ()
    broken = [call.raw for call in partial_of(error).broken_tool_calls]
    assert lossy or broken == (['{"at": [1, 2'] if said is TOOLS else [])
    assert partial_of(error).stop_reason is None
    assert partial_of(error).usage is None


@every_fault
@every_route
async def test_a_fault_raises_the_right_error_and_leaves_nothing(
    fault: Fault, converse: bool, said: tuple[Step, ...]
) -> None:
    async def check(read: Callable[..., Awaitable[None]]) -> None:
        got: list[Any] = []
        stream = client.stream(CLAUDE, "Hi", use_converse=converse, timeouts=fault.timeouts)
        with pytest.raises(errors.BedrockStreamError) as raised:
            await read(stream, got)
        check_error(fault, raised.value, stream)
        assert raised.value.events_received == stream.delivered
        if read is by_events:
            assert len(got) == stream.delivered
        if fault.begun:
            check_partial(raised.value, said, fault.lossy)
        else:
            assert partial_of(raised.value).text == ""
            assert not [item for item in got if type(item).__name__ != "MessageStart"]
        if fault.begun and not fault.lossy:
            check_items(read, got, said)
        with pytest.raises(fault.kind) as again:  # a failure is final
            await anext(stream)
        assert again.value is raised.value

    async with answering(*said, *fault.steps) if fault.begun else answering(*fault.steps) as client:
        if fault.silent:
            await asyncio.gather(*map(check, READERS))
        else:
            for read in READERS:
                await check(read)


@every_route
async def test_no_fault_leaves_memory(converse: bool) -> None:
    """Check over several runs of the whole table that all streams are freed and memory does not grow."""
    faults = {fault.name: fault for fault in TABLE}

    def script(request: ReceivedRequest) -> tuple[Step, ...]:
        fault = next(fault for name, fault in faults.items() if f'"fault: {name}"'.encode() in request.body)
        return (*TOOLS, *fault.steps) if fault.begun else fault.steps

    async def run_fault(client: Client, fault: Fault) -> weakref.ref[Stream]:
        stream = client.stream(CLAUDE, f"fault: {fault.name}", use_converse=converse, timeouts=fault.timeouts)
        with pytest.raises(fault.kind):
            await stream.response()
        return weakref.ref(stream)

    async def run_table(client: Client) -> int:
        """Run the whole table; return the number of allocated blocks of memory."""
        silent = [run_fault(client, fault) for fault in faults.values() if fault.silent]
        streams = [await run_fault(client, fault) for fault in faults.values() if not fault.silent]
        streams += await asyncio.gather(*silent)
        gc.collect()
        assert [stream() for stream in streams if stream() is not None] == []
        return sys.getallocatedblocks()

    asyncio.get_running_loop().set_debug(False)  # it would store stacks
    async with (
        Emulator(script=script, keep_requests=0) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=ONCE) as client,
    ):
        await run_table(client)
        before = await run_table(client)  # caches are filled now
        await run_table(client)
        grown = await run_table(client) - before
        assert grown < 2 * 10 * len(faults), "ten blocks are fewer than the smallest stream has"
        await emulator.wait_until_idle()
        assert [thing for thing in gc.get_objects() if type(thing) is HttpResponse] == []


def check_items(read: Callable[..., Awaitable[None]], got: list[Any], said: tuple[Step, ...]) -> None:
    """Check that everything received before the fault was delivered before the error."""
    if read is by_text:
        assert got == ["One ", "two"]
    elif read is by_tools:
        raw = [item.input_json for item in got if isinstance(item, ToolCallDelta)]
        assert raw == (['{"at": [1', ", 2"] if said is TOOLS else [])
        assert not [item for item in got if isinstance(item, ToolCallEnd)]
    elif read is by_response:
        assert got == []


@pytest.mark.parametrize("fault", REFUSALS, ids=[fault.name for fault in REFUSALS])
@every_route
async def test_generate_raises_the_error_of_a_refusal(fault: Fault, converse: bool) -> None:
    async with answering(*fault.steps) as client:
        with pytest.raises(errors.BedrockStreamError) as raised:
            await client.generate(CLAUDE, "Hi", use_converse=converse)
    assert type(raised.value) is fault.kind
    assert {name: getattr(raised.value, name) for name in fault.facts} == fault.facts
    assert raised.value.request_id


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (cut(torn=True), errors.StreamInterrupted),
        (cut(inside=20, torn=True), errors.StreamInterrupted),
        (cut(inside=20, torn="chunk"), errors.StreamInterrupted),
        (reset(after=20), errors.StreamInterrupted),
        (reset(before_headers=True), errors.ConnectionFailed),
        (hang_before_headers(), errors.FirstEventTimeout),
        (wrong_content_type(), errors.NotAnEventStream),
        (stream_error("throttlingException", "No."), errors.Throttled),
        (unmodeled_error("InternalFailure", "No."), errors.InternalServerError),
    ],
)
@every_route
@everything_said
async def test_generate_raises_what_a_stream_does(
    fault: Step, kind: type[errors.BedrockStreamError], converse: bool, said: tuple[Step, ...]
) -> None:
    limits = Timeouts(first_event=SILENCE) if kind is errors.FirstEventTimeout else Timeouts()
    async with answering(fault, text("One two"), *said[1:]) as client:
        with pytest.raises(errors.BedrockStreamError) as raised:
            await client.generate(CLAUDE, "Hi", use_converse=converse, timeouts=limits)
    assert type(raised.value) is kind
    assert (raised.value.model, raised.value.region) == (CLAUDE, REGION)


# ------------------------------------------------------------------------------------------------------ harmless faults


@pytest.mark.parametrize(
    "disturbance",
    [rechunk(1), rechunk(7), rechunk(1000), delay(0.02), slow_body(0.008)],
    ids=lambda step: repr(step),
)
@every_route
async def test_slow_or_split_responses_have_the_same_events(disturbance: Step, converse: bool) -> None:
    whole = (text(["One ", "two"]), tool_call("look", {"at": [1, 2]}, id="call-1"), metadata(latency_ms=5))
    async with answering(*whole) as client:
        expected: list[Any] = []
        await by_events(client.stream(CLAUDE, "Hi", use_converse=converse), expected)
    async with answering(disturbance, *whole) as client:
        got: list[Any] = []
        await by_events(client.stream(CLAUDE, "Hi", use_converse=converse), got)
    assert got == expected


# ---------------------------------------------------------------------------------------------------- after the message


@pytest.mark.parametrize("ended", [(stop(),), (stop(), metadata())], ids=["stop", "metadata"])
@every_route
async def test_an_exception_after_the_end_of_the_message_still_raises(ended: tuple[Step, ...], converse: bool) -> None:
    fault = stream_error("modelStreamErrorException", "Late.", originalStatusCode=500)
    async with answering(text("One two"), *ended, fault) as client:
        stream = client.stream(CLAUDE, "Hi", use_converse=converse)
        with pytest.raises(errors.ModelStreamError, match="Late") as raised:
            await stream.response()
    assert partial_of(raised.value).text == "One two"
    assert (raised.value.original_status, raised.value.mid_stream) == (500, True)
    # Claude sends the stop reason before the end of the message, and it counts only with that end.
    assert partial_of(raised.value).stop_reason == ("end_turn" if converse or len(ended) > 1 else None)


@pytest.mark.parametrize("late", [stall(), cut(torn=True), cut(torn="chunk"), reset()], ids=repr)
@every_route
async def test_a_fault_of_the_body_after_its_last_event_is_ignored(
    late: Step, converse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_stream, "_END_SECONDS", 0.05)
    async with answering(text("One two"), stop(), metadata(), late) as client:
        response = await client.stream(CLAUDE, "Hi", use_converse=converse).response()
    assert (response.text, response.stop_reason) == ("One two", "end_turn")
    assert response.usage is not None


@pytest.mark.parametrize("seconds", [0.0, 0.02, None])
@pytest.mark.parametrize("counted", [True, False], ids=["usage", "no usage"])
@every_route
async def test_a_message_whose_connection_ends_late_or_never_ends_normally(
    seconds: float | None, counted: bool, converse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_stream, "_END_SECONDS", 0.05)
    # Usage that is sent must not be missed, and what is never sent need not be waited for.
    limits = Timeouts() if counted else Timeouts(after_end=0.05)
    said = (text(["One ", "two"]), tool_call("look", {"at": [1, 2]}, id="call-1"))
    async with answering(*said, late_fin(seconds), *([] if counted else [metadata(None)])) as client:
        for read in READERS:
            stream = client.stream(CLAUDE, "Hi", use_converse=converse, timeouts=limits)
            await read(stream, [])
            response = await stream.response()
            assert (response.text, response.stop_reason) == ("One two", "tool_use")
            if converse:  # Claude's native format has usage in the events of the message too
                assert (response.usage is not None) == counted


SECOND = [
    pytest.param(double_answer(), id="double_answer"),
    pytest.param(double_answer(b"", status=408), id="double_answer, empty"),
    pytest.param(unsolicited(), id="unsolicited"),
    pytest.param(unsolicited(0.02), id="unsolicited, later"),
    pytest.param(unsolicited(0.02, b'{"message":"Not you."}', status=403), id="unsolicited refusal"),
]


@pytest.mark.parametrize("second", SECOND)
@every_route
async def test_a_second_answer_on_a_connection_is_never_that_of_the_next_call(second: Step, converse: bool) -> None:
    async with answering(second, *TEXT, metadata()) as client:
        for turn in range(4):
            if turn % 2:
                response = await client.generate(CLAUDE, "Hi", use_converse=converse)
            else:
                response = await client.stream(CLAUDE, "Hi", use_converse=converse).response()
            assert (response.text, response.stop_reason) == ("One two", "end_turn")
            assert response.usage is not None
            await asyncio.sleep(0.05)  # longer than the emulator waits before the second answer


@every_route
async def test_an_unknown_event_after_the_end_is_delivered(converse: bool) -> None:
    async with answering(text("One two"), stop(), metadata(), event("postscript", {"type": "postscript"})) as client:
        stream = client.stream(CLAUDE, "Hi", use_converse=converse)
        got: list[Any] = []
        await by_events(stream, got)
    assert type(got[-1]).__name__ == "UnknownEvent"


@every_route
async def test_invalid_bytes_after_the_end_raise_invalid_frame(converse: bool) -> None:
    garbage = replay(b"this has never been a frame of an event stream")
    async with answering(text("One two"), stop(), metadata(), delay(0.02), garbage) as client:
        with pytest.raises(errors.InvalidFrame) as raised:
            await client.stream(CLAUDE, "Hi", use_converse=converse).response()
    assert partial_of(raised.value).text == "One two"
