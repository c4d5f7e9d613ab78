"""Reading ConverseStream: each event and delta, unknown content, malformed frames and errors."""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    ImageDelta,
    ImageStart,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    Response,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.converse.reader import ConverseReader
from bedrock_stream.errors import (
    BedrockStreamError,
    ContextWindowExceeded,
    InternalServerError,
    InvalidFrame,
    ModelStreamError,
    ServiceError,
    ServiceUnavailable,
    Throttled,
    ValidationFailed,
)
from bedrock_stream.eventstream import Frame
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.response import Assembly
from tests.support.converse_frames import (
    delta,
    event,
    exception,
    message_stop,
    raw_event,
    read,
    start,
    stop,
    tool_start,
)
from tests.support.reading import feed

CITATION = {
    "title": "t",
    "source": "s",
    "sourceContent": [{"text": "a"}, {"text": "b"}],
    "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
}

# --------------------------------------------------------------------------------------------------------- known events

EVENTS: dict[str, tuple[Frame, list[Event]]] = {
    "message start": (event("messageStart", role="assistant"), [MessageStart("assistant")]),
    "tool call": (tool_start(1, "id", "f"), [ToolCallStart(1, "id", "f")]),
    "tool call of Claude": (
        start(1, toolUse={"toolUseId": "id", "name": "f", "type": "tool_use"}),
        [ToolCallStart(1, "id", "f")],
    ),
    "server tool call": (
        start(1, toolUse={"toolUseId": "id", "name": "f", "type": "server_tool_use"}),
        [ToolCallStart(1, "id", "f", server=True)],
    ),
    "tool result": (start(1, toolResult={"toolUseId": "id"}), [ToolResultStart(1, "id")]),
    "server tool result": (
        start(1, toolResult={"toolUseId": "id", "type": "nova_code_interpreter_result", "status": "success"}),
        [ToolResultStart(1, "id", "nova_code_interpreter_result", "success")],
    ),
    "image": (start(1, image={"format": "png"}), [ImageStart(1, "png")]),
    "text": (delta(0, text="hi"), [TextDelta(0, "hi")]),
    "empty text": (delta(0, text=""), [TextDelta(0, "")]),
    "text in any script": (delta(0, text="\u00fc\u2028\U0001f600"), [TextDelta(0, "\u00fc\u2028\U0001f600")]),
    "reasoning text": (delta(0, reasoningContent={"text": "hm"}), [ReasoningDelta(0, "hm")]),
    "empty reasoning": (delta(0, reasoningContent={"text": ""}), [ReasoningDelta(0, "")]),
    "signature": (delta(0, reasoningContent={"signature": "sig"}), [ReasoningDelta(0, signature="sig")]),
    "redacted reasoning": (
        delta(0, reasoningContent={"redactedContent": "AP8="}),
        [ReasoningDelta(0, redacted=b"\x00\xff")],
    ),
    "tool result text": (delta(0, toolResult=[{"text": "a"}]), [ToolResultDelta(0, [{"text": "a"}])]),
    "tool result JSON": (
        delta(0, toolResult=[{"json": {"stdOut": "1", "isError": False}}]),
        [ToolResultDelta(0, [{"json": {"stdOut": "1", "isError": False}}])],
    ),
    "citation": (
        delta(0, citation=CITATION),
        [CitationDelta(0, Citation("t", "s", ("a", "b"), CITATION["location"]))],  # type: ignore[arg-type]
    ),
    "bare citation": (delta(0, citation={}), [CitationDelta(0, Citation())]),
    "image bytes": (delta(0, image={"source": {"bytes": "AP8="}}), [ImageDelta(0, b"\x00\xff")]),
    "image in S3": (
        delta(0, image={"source": {"s3Location": {"uri": "s3://b/k"}}}),
        [ImageDelta(0, s3_location={"uri": "s3://b/k"})],
    ),
    "image error": (delta(0, image={"error": {"message": "blocked"}}), [ImageDelta(0, error="blocked")]),
    "image error without a message": (delta(0, image={"error": {}}), [ImageDelta(0, error="")]),
    "block stop": (stop(3), [BlockStop(3)]),
    "message stop": (message_stop("tool_use"), [MessageStop("tool_use")]),
    "message stop with an unknown reason": (message_stop("got_bored"), [MessageStop("got_bored")]),
    "message stop with fields": (
        event("messageStop", stopReason="stop_sequence", additionalModelResponseFields={"a": [1]}),
        [MessageStop("stop_sequence", additional_fields={"a": [1]})],
    ),
    "metadata": (
        event(
            "metadata",
            usage={
                "inputTokens": 11,
                "outputTokens": 236,
                "totalTokens": 1275,
                "cacheReadInputTokens": 0,
                "cacheWriteInputTokens": 1028,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 28}, {"ttl": "5m", "inputTokens": 1000}],
            },
            metrics={"latencyMs": 99},
            trace={"guardrail": {"actionReason": "a"}},
            performanceConfig={"latency": "optimized"},
            serviceTier={"type": "flex"},
        ),
        [
            Metadata(
                Usage(11, 236, 1275, 0, 1028, (CacheDetail("1h", 28), CacheDetail("5m", 1000))),
                99,
                {"guardrail": {"actionReason": "a"}},
                "optimized",
                "flex",
            )
        ],
    ),
    "empty metadata": (event("metadata"), [Metadata()]),
}


@pytest.mark.parametrize(("frame", "events"), EVENTS.values(), ids=EVENTS)
def test_a_frame_becomes_its_event(frame: Frame, events: list[Event]) -> None:
    assert read(frame) == events


def wire_of(frame: Frame) -> dict[str, Any]:
    wire: dict[str, Any] = msgspec.json.decode(frame.payload)
    return wire


@pytest.mark.parametrize(("frame", "events"), EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("first", [False, True])
def test_padding_in_any_position_is_dropped(frame: Frame, events: list[Event], first: bool) -> None:
    wire = wire_of(frame)
    padded = {"p": "abcdefghij", **wire} if first else {**wire, "p": "abcdefghij"}
    assert read(Frame(frame.headers, msgspec.json.encode(padded))) == events


@pytest.mark.parametrize(("frame", "events"), EVENTS.values(), ids=EVENTS)
def test_white_space_in_the_json_is_ignored(frame: Frame, events: list[Event]) -> None:
    assert read(Frame(frame.headers, msgspec.json.format(frame.payload, indent=2))) == events


def test_a_frame_without_a_message_type_is_an_event() -> None:
    frame = delta(0, text="hi")
    assert read(Frame({":event-type": "contentBlockDelta"}, frame.payload)) == [TextDelta(0, "hi")]


# ------------------------------------------------------------------------------------------------------ unknown content


def unknown(kind: str, **payload: Any) -> UnknownEvent:
    return UnknownEvent(kind, payload)


@pytest.mark.parametrize(("frame", "events"), EVENTS.values(), ids=EVENTS)
def test_an_unknown_member_beside_the_known_ones_is_passed_on(frame: Frame, events: list[Event]) -> None:
    kind = str(frame.headers[":event-type"])
    received = read(Frame(frame.headers, msgspec.json.encode({**wire_of(frame), "new": [1]})))
    if kind == "metadata":  # has unknown members in its own field
        (metadata,) = received
        assert isinstance(metadata, Metadata)
        assert metadata.extra == {"new": [1]}
        assert msgspec.structs.replace(metadata, extra={}) == events[0]
    else:
        assert received == [*events, unknown(kind, new=[1])]


NESTED = [name for name, (frame, _) in EVENTS.items() if not {"start", "delta"}.isdisjoint(wire_of(frame))]


@pytest.mark.parametrize("name", NESTED)
def test_an_unknown_member_of_a_start_or_delta_is_passed_on_with_its_block(name: str) -> None:
    frame, events = EVENTS[name]
    wire, kind = wire_of(frame), str(frame.headers[":event-type"])
    member = "start" if "start" in wire else "delta"
    wire[member]["new"] = {"a": 1}
    expected = unknown(kind, contentBlockIndex=wire["contentBlockIndex"], **{member: {"new": {"a": 1}}})
    assert read(Frame(frame.headers, msgspec.json.encode(wire))) == [*events, expected]


@pytest.mark.parametrize("name", [name for name in NESTED if "text" not in name.split() and "citation" not in name])
def test_an_unknown_nested_member_is_passed_on_with_its_path(name: str) -> None:
    frame, events = EVENTS[name]
    wire, kind = wire_of(frame), str(frame.headers[":event-type"])
    member = "start" if "start" in wire else "delta"
    ((key, value),) = wire[member].items()
    if isinstance(value, dict):
        value["new"] = 1
        expected = unknown(kind, contentBlockIndex=wire["contentBlockIndex"], **{member: {key: {"new": 1}}})
        assert read(Frame(frame.headers, msgspec.json.encode(wire))) == [*events, expected]


def test_an_unknown_member_of_an_images_source_or_error_is_passed_on_with_its_path() -> None:
    image = {"source": {"bytes": "AA==", "new": 1}, "error": {"message": "a", "code": 2}}
    assert read(delta(0, image=image)) == [
        ImageDelta(0, b"\x00", error="a"),
        unknown(
            "contentBlockDelta",
            contentBlockIndex=0,
            delta={"image": {"source": {"new": 1}, "error": {"code": 2}}},
        ),
    ]


def test_unknown_members_of_a_citation_are_kept_in_it() -> None:
    odd = {"title": 5, "sourceContent": [{"image": {}}], "location": "here", "new": 1}
    assert read(delta(0, citation=odd)) == [CitationDelta(0, Citation(extra=odd))]
    assert read(delta(0, citation={"title": "t", "sourceContent": []})) == [
        CitationDelta(0, Citation("t", extra={"sourceContent": []}))
    ]


@pytest.mark.parametrize("member", ["start", "delta"])
def test_an_unknown_kind_of_block_is_passed_on(member: str) -> None:
    kind = f"contentBlock{member.capitalize()}"
    frame = event(kind, contentBlockIndex=2, **{member: {"hologram": {"depth": None}}})
    assert read(frame) == [unknown(kind, contentBlockIndex=2, **{member: {"hologram": {"depth": None}}})]


def test_an_unknown_kind_of_reasoning_is_passed_on() -> None:
    reasoning = {"summary": "a"}
    assert read(delta(0, reasoningContent=reasoning)) == [
        unknown("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": reasoning})
    ]


def test_an_unknown_type_of_a_tool_is_passed_on() -> None:
    tool = {"toolUseId": "id", "name": "f", "type": "remote_tool_use"}
    assert read(start(0, toolUse=tool)) == [
        ToolCallStart(0, "id", "f"),
        unknown("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"type": "remote_tool_use"}}),
    ]


def test_an_unknown_event_is_passed_on() -> None:
    assert read(event("weatherReport", sunny=True, p="abc"), event("p")) == [
        unknown("weatherReport", sunny=True),
        unknown("p"),
    ]


def test_a_null_is_an_absent_member() -> None:
    assert read(delta(0, text="a", toolUse=None, citation=None)) == [TextDelta(0, "a")]
    assert read(delta(0, text=None, reasoningContent={"text": "a", "signature": None})) == [ReasoningDelta(0, "a")]
    assert read(delta(0, image={"source": None, "error": None})) == [ImageDelta(0)]
    assert read(delta(0, reasoningContent={}), delta(0)) == []
    assert read(start(0, image=None, toolUse={"toolUseId": "id", "name": "f", "type": None})) == [
        ToolCallStart(0, "id", "f")
    ]
    assert read(event("metadata", usage=None, metrics=None, trace=None)) == [Metadata()]


def test_several_members_of_one_delta_become_several_events() -> None:
    several = delta(0, text="a", reasoningContent={"text": "b"}, toolUse={"input": "{"})
    expected = [TextDelta(0, "a"), ToolCallDelta(0, "{"), ReasoningDelta(0, "b")]
    assert read(tool_start(0), several)[1:] == expected


# ------------------------------------------------------------------------------------------------------------- metadata


def metadata(**wire: Any) -> Metadata:
    (received,) = read(event("metadata", **wire))
    assert isinstance(received, Metadata)
    return received


def test_absent_counts_are_unknown_and_not_zero() -> None:
    assert metadata(usage={"outputTokens": 0}).usage == Usage(output_tokens=0)
    assert metadata(usage={}).usage == Usage()
    assert metadata().usage is None


def test_unknown_counts_are_kept() -> None:
    recorded = {"inputTokens": 1, "cacheReadInputTokenCount": 0, "serverToolUsage": {}}
    assert metadata(usage=recorded).usage == Usage(1, extra={"cacheReadInputTokenCount": 0, "serverToolUsage": {}})


@pytest.mark.parametrize("odd", ["5", 1.5, True, [5], {"n": 5}])
def test_a_count_of_another_type_is_kept_as_unknown(odd: Any) -> None:
    assert metadata(usage={"inputTokens": odd}).usage == Usage(extra={"inputTokens": odd})
    received = metadata(metrics={"latencyMs": odd, "firstByteMs": 5})
    assert received == Metadata(extra={"metrics": {"latencyMs": odd, "firstByteMs": 5}})


@pytest.mark.parametrize(
    "details",
    [5, [5], [{"ttl": "5m"}], [{"ttl": 5, "inputTokens": 5}], [{"ttl": "5m", "inputTokens": 1, "new": 2}], {}],
)
def test_malformed_cache_details_are_kept(details: Any) -> None:
    assert metadata(usage={"cacheDetails": details}).usage == Usage(extra={"cacheDetails": details})


@pytest.mark.parametrize(
    "wire",
    [
        {"usage": 5},
        {"metrics": "fast"},
        {"trace": "long"},
        {"performanceConfig": []},
        {"serviceTier": {"type": 5}},
        {"serviceTier": {"new": 1}},
    ],
)
def test_malformed_metadata_is_kept(wire: dict[str, Any]) -> None:
    assert metadata(**wire) == Metadata(extra=wire)


def test_members_beside_a_known_member_are_kept() -> None:
    assert metadata(metrics={"latencyMs": 5, "new": 1}) == Metadata(latency_ms=5, extra={"metrics": {"new": 1}})


# ----------------------------------------------------------------------------------------------------------- tool calls


def tool_end(*fragments: str) -> ToolCallEnd:
    frames = [delta(0, toolUse={"input": fragment}) for fragment in fragments]
    *deltas, end, stopped = read(tool_start(0), *frames, stop(0))[1:]
    assert deltas == [ToolCallDelta(0, fragment) for fragment in fragments]
    assert stopped == BlockStop(0)
    assert isinstance(end, ToolCallEnd)
    return end


@pytest.mark.parametrize("fragments", [[], [""], ["", ""], [" ", "\n"]])
def test_a_call_without_arguments_has_an_empty_object(fragments: list[str]) -> None:
    assert tool_end(*fragments) == ToolCallEnd(0, "id", "f", {}, "".join(fragments))


def test_an_empty_first_fragment_changes_nothing() -> None:
    assert tool_end("", '{"a"', ": 1}").input == {"a": 1}


json_objects = st.dictionaries(
    st.text(max_size=5),
    st.integers() | st.text(max_size=5) | st.lists(st.none() | st.booleans(), max_size=3),
    max_size=3,
)


@given(
    json_objects.filter(lambda value: all(not isinstance(v, int) or abs(v) < 2**63 for v in value.values())), st.data()
)
def test_any_split_of_the_input_gives_the_same_call(value: dict[str, Any], data: st.DataObject) -> None:
    raw = msgspec.json.encode(value).decode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    fragments = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert tool_end(*fragments) == ToolCallEnd(0, "id", "f", value, raw)


@pytest.mark.parametrize("raw", ['{"a": "cu', "[1]", "null", "5", "not JSON"])
def test_input_that_is_not_an_object_is_reported_and_not_replaced(raw: str) -> None:
    reader = ConverseReader()
    events = feed(reader, [tool_start(0), delta(0, toolUse={"input": raw}), stop(0)])
    end = ToolCallEnd(0, "id", "f", None, raw)
    assert events[-2:] == [end, BlockStop(0)]
    assert reader.broken_tool == end


def test_the_first_malformed_call_is_recorded() -> None:
    reader = ConverseReader()
    frames = [tool_start(0, "good")]
    for index, name in (1, "first"), (2, "second"):
        frames += [tool_start(index, name), delta(index, toolUse={"input": "["}), stop(index)]
    feed(reader, frames)
    assert reader.broken_tool == ToolCallEnd(1, "first", "f", None, "[")


def test_a_malformed_call_that_the_service_runs_is_not_an_error() -> None:
    reader = ConverseReader()
    server = start(0, toolUse={"toolUseId": "id", "name": "f", "type": "server_tool_use"})
    events = feed(reader, [server, delta(0, toolUse={"input": "["}), stop(0)])
    assert events[-2] == ToolCallEnd(0, "id", "f", None, "[", server=True)
    assert reader.broken_tool is None


def test_an_open_call_ends_with_the_message() -> None:
    reader = ConverseReader()
    frames = [tool_start(1, "b"), tool_start(0, "a"), delta(1, toolUse={"input": '{"cut'}), message_stop("max_tokens")]
    assert feed(reader, frames)[3:] == [
        ToolCallEnd(0, "a", "f", {}, ""),
        ToolCallEnd(1, "b", "f", None, '{"cut'),
        MessageStop("max_tokens"),
    ]
    assert reader.broken_tool is not None
    assert reader.broken_tool.id == "b"


@pytest.mark.parametrize("before", [[], [delta(0, text="a")], [tool_start(0), stop(0)], [tool_start(1)]])
@pytest.mark.parametrize("extra", [{}, {"new": 1}])
def test_tool_input_without_an_open_call_is_an_invalid_frame(before: list[Frame], extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidFrame, match="received tool input for block 0, where no tool call is open"):
        read(*before, delta(0, toolUse={"input": "{}", **extra}))


# -------------------------------------------------------------------------------------------------------------- the end


def test_the_reader_reports_the_end_and_completeness() -> None:
    reader = ConverseReader()
    states = []
    for frame in (event("messageStart", role="assistant"), stop(0), message_stop(), event("metadata")):
        feed(reader, [frame])
        states.append((reader.ended, reader.complete))
    assert states == [(False, False), (False, False), (True, False), (True, True)]


def test_metadata_before_the_end_does_not_complete_the_stream() -> None:
    reader = ConverseReader()
    feed(reader, [event("metadata")])
    assert not reader.complete
    feed(reader, [message_stop()])
    assert (reader.ended, reader.complete) == (True, False)


# --------------------------------------------------------------------------------------------------------------- errors


def error_of(frame: Frame) -> BedrockStreamError:
    events: deque[Event] = deque()
    with pytest.raises(BedrockStreamError) as caught:
        ConverseReader().feed([delta(0, text="before"), frame, delta(0, text="after")], events)
    assert list(events) == [TextDelta(0, "before")]
    return caught.value


def service_error_of(frame: Frame) -> ServiceError:
    error = error_of(frame)
    assert isinstance(error, ServiceError)
    assert error.mid_stream
    return error


@pytest.mark.parametrize(
    ("kind", "cls", "status"),
    [
        ("internalServerException", InternalServerError, 500),
        ("modelStreamErrorException", ModelStreamError, 424),
        ("validationException", ValidationFailed, 400),
        ("throttlingException", Throttled, 429),
        ("serviceUnavailableException", ServiceUnavailable, 503),
        ("ThrottlingException", Throttled, 429),
        ("holidayException", ServiceError, 500),
    ],
)
def test_an_exception_frame_is_raised_as_its_error(kind: str, cls: type[ServiceError], status: int) -> None:
    error = service_error_of(exception(kind, b'{"message":"too fast","p":"abc"}'))
    assert type(error) is cls
    assert (error.code, error.message, error.status) == (kind[0].upper() + kind[1:], "too fast", status)


def test_an_exception_frame_has_the_models_status_and_message() -> None:
    body = {"message": "a", "originalStatusCode": 418, "originalMessage": "b"}
    error = service_error_of(exception("modelStreamErrorException", msgspec.json.encode(body)))
    assert (error.original_status, error.original_message) == (418, "b")


def test_a_context_overflow_has_its_own_error() -> None:
    error = service_error_of(exception("validationException", b'{"message":"Input is too long for requested model."}'))
    assert type(error) is ContextWindowExceeded


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", ""),
        (b"{}", ""),
        (b'{"Message":"big letter"}', "big letter"),
        (b'{"message":5}', "5"),
        (b'"just text"', "just text"),
        (b"[1]", "[1]"),
        (b"not JSON", "not JSON"),
        (b'{"message":"\xff"}', '{"message":"\ufffd"}'),
        (b"x" * 999, "x" * 200),
        (b"[" * 100_000, "[" * 200),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_an_exception_frame_may_have_any_payload(payload: bytes, message: str) -> None:
    error = service_error_of(exception("throttlingException", payload))
    assert (type(error), error.message) == (Throttled, message)


def test_an_error_frame_is_raised_by_its_code_and_message() -> None:
    headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "An internal error occurred"}
    error = service_error_of(Frame(dict(headers)))
    assert (type(error), error.code) == (InternalServerError, "InternalError")
    assert error.message == "An internal error occurred"


@pytest.mark.parametrize("kind", ["exception", "error"])
def test_an_exception_or_error_frame_without_a_name_is_a_service_error(kind: str) -> None:
    error = service_error_of(Frame({":message-type": kind}, b'{"message":"a"}'))
    assert (type(error), error.code, error.message, error.status) == (ServiceError, "", "a", 500)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {":message-type": "event"},
        {":message-type": "event", ":event-type": 5},
        {":event-type": b"contentBlockDelta"},
        {":message-type": "fax", ":event-type": "messageStop"},
        {":message-type": UUID(int=5)},
    ],
    ids=repr,
)
def test_a_frame_without_an_event_type_is_an_invalid_frame(headers: dict[str, Any]) -> None:
    error = error_of(Frame(headers, b"{}"))
    assert isinstance(error, InvalidFrame)
    assert str(error) == f"expected an event, exception or error frame, got the headers {headers!r}"


KINDS = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", " is not JSON"),
        (b"{", " is not JSON"),
        (b'{"a":"\xff"}', " is not JSON"),
        (b"[" * 100_000, " is not JSON"),
        (b"[]", ": expected a JSON object, got list"),
        (b"null", ": expected a JSON object, got NoneType"),
        (b'"text"', ": expected a JSON object, got str"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_payload_that_is_not_a_json_object_is_an_invalid_frame(kind: str, payload: bytes, problem: str) -> None:
    error = error_of(raw_event(kind, payload))
    assert isinstance(error, InvalidFrame)
    assert str(error).startswith(f"the payload of a {kind} event{problem}")


MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("messageStart", {}, "role"),
    ("messageStart", {"role": 5}, "role: expected str, got int"),
    ("contentBlockStart", {}, "contentBlockIndex"),
    ("contentBlockStart", {"contentBlockIndex": 0}, "start"),
    ("contentBlockStart", {"contentBlockIndex": "0", "start": {}}, "contentBlockIndex: expected int, got str"),
    ("contentBlockStart", {"contentBlockIndex": True, "start": {}}, "contentBlockIndex: expected int, got bool"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": []}, "start: expected dict, got list"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": 5}}, "toolUse: expected dict, got int"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"name": "f"}}}, "toolUseId"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "a"}}}, "name"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolResult": {}}}, "toolUseId"),
    (
        "contentBlockStart",
        {"contentBlockIndex": 0, "start": {"toolResult": {"toolUseId": "a", "type": 5}}},
        "type: expected str, got int",
    ),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": {}}}, "format"),
    ("contentBlockStart", {"contentBlockIndex": 0, "start": {"image": "png"}}, "image: expected dict, got str"),
    ("contentBlockDelta", {"delta": {}}, "contentBlockIndex"),
    ("contentBlockDelta", {"contentBlockIndex": 0}, "delta"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": "a"}, "delta: expected dict, got str"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": 5}}, "text: expected str, got int"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {}}}, "input"),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"toolUse": {"input": {}}}},
        "input: expected str, got dict",
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": "a"}},
        "reasoningContent: expected dict, got str",
    ),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": 5}}}, "Expected `str"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"redactedContent": "?"}}}, "base64"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolResult": {}}}, "toolResult: expected list, got dict"),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": []}}, "image: expected dict, got list"),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"image": {"source": "a"}}},
        "source: expected dict, got str",
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"image": {"error": "a"}}},
        "error: expected dict, got str",
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": 5}}}},
        "bytes: expected str, got int",
    ),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "?"}}}}, "base64"),
    ("contentBlockStop", {}, "contentBlockIndex"),
    ("messageStop", {}, "stopReason"),
    ("messageStop", {"stopReason": None}, "stopReason: expected str, got NoneType"),
]


@pytest.mark.parametrize(
    ("kind", "payload", "problem"), MALFORMED, ids=[f"{kind} {problem}" for kind, _, problem in MALFORMED]
)
def test_a_malformed_event_is_an_invalid_frame(kind: str, payload: dict[str, Any], problem: str) -> None:
    error = error_of(event(kind, **payload))
    assert isinstance(error, InvalidFrame)
    assert str(error).startswith(f"a {kind} event does not match the API's format: ")
    assert problem in str(error)


def test_a_citation_that_is_not_an_object_is_an_invalid_frame() -> None:
    error = error_of(delta(0, citation="here"))
    assert isinstance(error, InvalidFrame)
    assert str(error) == "citation: expected a JSON object, got str"


def test_a_malformed_message_stop_does_not_end_the_message() -> None:
    reader = ConverseReader()
    with pytest.raises(InvalidFrame):
        feed(reader, [event("messageStop")])
    assert not reader.ended


# ------------------------------------------------------------------------------------------- the fast and generic paths

reasoning_deltas = st.one_of(
    st.builds(lambda text: {"text": text}, st.text()),
    st.builds(lambda text: {"signature": text}, st.text()),
    st.builds(lambda data: {"redactedContent": b64encode(data).decode()}, st.binary()),
    st.just({}),
)
hot_deltas = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(),
        "toolUse": st.builds(lambda text: {"input": text}, st.text()),
        "reasoningContent": reasoning_deltas,
    },
)


@given(st.integers(0, 5), hot_deltas)
def test_the_fast_and_the_generic_path_agree(index: int, wire: dict[str, Any]) -> None:
    opening = tool_start(index)
    fast = read(opening, delta(index, **wire))
    generic = read(opening, event("contentBlockDelta", contentBlockIndex=index, delta=wire, new=1))
    assert generic == [*fast, unknown("contentBlockDelta", new=1)]


# --------------------------------------------------------------------------------------------------- interleaved blocks

Block = list[Frame]


def text_block(index: int, pieces: list[str]) -> Block:
    return [*(delta(index, text=piece) for piece in pieces), stop(index)]


def reasoning_block(index: int, pieces: list[str]) -> Block:
    return [
        *(delta(index, reasoningContent={"text": piece}) for piece in pieces),
        delta(index, reasoningContent={"signature": "sig"}),
        stop(index),
    ]


def tool_block(index: int, pieces: list[str]) -> Block:
    raw = msgspec.json.encode({"pieces": pieces}).decode()
    fragments = [delta(index, toolUse={"input": raw[at : at + 5]}) for at in range(0, len(raw), 5)]
    return [tool_start(index, f"id-{index}"), *fragments, stop(index)]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Block], list[int]]:
    """Return blocks, and an order of all their frames that keeps the order within each block."""
    makers = draw(st.lists(st.sampled_from([text_block, reasoning_block, tool_block]), min_size=1, max_size=4))
    pieces = st.lists(st.text(max_size=6), max_size=4)
    blocks = [make(index, draw(pieces)) for index, make in enumerate(makers)]
    turns = [index for index, block in enumerate(blocks) for _ in block]
    return blocks, draw(st.permutations(turns))


def assembled(frames: list[Frame]) -> Response:
    assembly = Assembly()
    assembly.extend(read(event("messageStart", role="assistant"), *frames, message_stop(), event("metadata")))
    return assembly.response()


@given(conversations())
def test_any_legal_interleaving_assembles_to_the_same_response(conversation: tuple[list[Block], list[int]]) -> None:
    blocks, turns = conversation
    queues = [iter(block) for block in blocks]
    shuffled = [next(queues[index]) for index in turns]
    assert assembled(shuffled) == assembled([frame for block in blocks for frame in block])


# ------------------------------------------------------------------------------------------------------------ any input

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = sorted(
    {
        *(
            "role",
            "contentBlockIndex",
            "start",
            "delta",
            "stopReason",
            "additionalModelResponseFields",
            "usage",
            "metrics",
        ),
        *("trace", "performanceConfig", "serviceTier", "toolUse", "toolUseId", "name", "type", "input", "toolResult"),
        *("status", "image", "format", "source", "bytes", "s3Location", "uri", "error", "message", "text", "citation"),
        *("reasoningContent", "signature", "redactedContent", "sourceContent", "location", "cacheDetails", "ttl"),
        *("inputTokens", "latencyMs", "latency", "p"),
    }
)
# The members of the service, with any value in any place.
wires = st.recursive(
    json_values | st.sampled_from([0, 1, "AP8=", "\u00fc", "{}", "png", "s3://b/k"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=12,
)
payloads = st.one_of(
    st.binary(max_size=40),
    wires.map(msgspec.json.encode),
    st.builds(
        lambda index, member, wire: msgspec.json.encode({"contentBlockIndex": index, member: wire}),
        st.integers(0, 2),
        st.sampled_from(["start", "delta"]),
        st.dictionaries(st.sampled_from(MEMBERS), wires, max_size=3),
    ),
)
any_frames = st.one_of(
    st.builds(raw_event, st.sampled_from(KINDS) | st.text(max_size=5), payloads),
    st.builds(exception, st.text(max_size=5), payloads),
    st.builds(
        Frame,
        st.dictionaries(
            st.sampled_from([":event-type", ":message-type", ":exception-type", ":error-code", ":error-message"]),
            st.text(max_size=5)
            | st.binary(max_size=5)
            | st.integers()
            | st.booleans()
            | st.sampled_from(["event", "error"]),
        ),
        payloads,
    ),
)


@given(st.lists(any_frames, max_size=5))
def test_any_input_raises_only_errors_of_the_library(frames: list[Frame]) -> None:
    events: deque[Event] = deque()
    with suppress(BedrockStreamError):
        ConverseReader().feed([tool_start(0), tool_start(1), *frames], events)
    assembly = Assembly()
    assembly.extend(events)
    msgspec.json.encode(assembly.response())
    msgspec.json.encode(list(events))
