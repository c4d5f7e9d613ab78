"""gpt-oss through InvokeModel: bodies, streams, responses, unknown and malformed content."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    BlockStop,
    CachePoint,
    Citation,
    CitedText,
    Document,
    Event,
    Image,
    Message,
    MessageStart,
    MessageStop,
    Metadata,
    Reasoning,
    ReasoningDelta,
    Response,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.openai import OpenAI
from bedrock_stream.dialects.openai.tags import TagSplitter
from bedrock_stream.errors import (
    BedrockStreamError,
    ConfigurationError,
    InvalidFrame,
    Throttled,
    ToolInputError,
    UnsupportedOperation,
)
from bedrock_stream.eventstream import Frame
from bedrock_stream.types.options import Options, read_options
from tests.support.reading import assemble, feed, partial_of, raw_chunk

Wire = dict[str, Any]

METRICS = {"inputTokenCount": 70, "outputTokenCount": 9, "invocationLatency": 640, "firstByteLatency": 210}
MEASURED: Wire = {"amazon-bedrock-invocationMetrics": METRICS}
USAGE = {"prompt_tokens": 69, "completion_tokens": 8, "total_tokens": 77}
TRACE = {"guardrail": {"actionReason": "Guardrail blocked."}}


# --------------------------------------------------------------------------------------------------------------- frames


def chunk(*choices: Wire, **members: Any) -> Frame:
    """Return a chunk with the envelope of recorded chunks."""
    envelope = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "openai.gpt-oss-20b-1:0",
        "service_tier": "auto",
    }
    return raw_chunk(msgspec.json.encode({"choices": choices, **envelope, **members}))


def delta(content: str | None = None, /, **delta: Any) -> Frame:
    wire = delta if content is None else {"content": content, **delta}
    return chunk({"index": 0, "delta": wire, "finish_reason": None})


def tool(index: int, arguments: str | None = None, **members: Any) -> Frame:
    """Return a fragment of a tool call. The first one has `id` and `name`, later ones have only arguments."""
    name = members.pop("name", None)
    function = {"name": name} if name else {}
    if arguments is not None:
        function["arguments"] = arguments
    return delta(tool_calls=[{"index": index, **members, "function": function}])


def finish(reason: str = "stop", **members: Any) -> Frame:
    return chunk({"index": 0, "delta": {}, "finish_reason": reason}, **members)


FIRST = delta("", role="assistant")


def read(*frames: Frame) -> list[Event]:
    """Return the events of these frames after the first frame of a stream, read by a new reader."""
    start, *events = feed(OpenAI().reader(), [FIRST, *frames])
    assert start == MessageStart("assistant")
    return events


def assembled(*frames: Frame) -> Response:
    return assemble(feed(OpenAI().reader(), frames), request_id="r-1", model="m", route="invoke")


def unknown(**choice: Any) -> UnknownEvent:
    return UnknownEvent("chunk", {"choices": [choice]})


# --------------------------------------------------------------------------------------------------------------- bodies


def body(*messages: Message, **options: Any) -> Wire:
    return OpenAI().body(messages, read_options(options))


def sent(*messages: Message) -> Any:
    """Return the messages as sent."""
    return body(*messages)["messages"]


def test_nothing_is_sent_by_default() -> None:
    assert body(Message.user("hi")) == {"messages": [{"role": "user", "content": "hi"}]}


def test_every_option_is_written_to_the_body() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert body(
        Message.user("hi"),
        system=["Be brief.", {"text": "Be kind."}],
        max_tokens=5,
        temperature=0.0,
        top_p=0.9,
        stop_sequences=["END"],
        tools=[
            Tool(name="weather", description="Tells it.", input_schema=schema, strict=True),
            {"toolSpec": {"name": "time", "description": "Tells it.", "inputSchema": {"json": {"type": "object"}}}},
            Tool(name="bare"),
        ],
        tool_choice="any",
        additional_model_request_fields={"reasoning_effort": "low", "seed": 1},
        extra={"seed": 2, "top_p": 1},
    ) == {
        "messages": [{"role": "system", "content": "Be brief.\nBe kind."}, {"role": "user", "content": "hi"}],
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 1,
        "stop": ["END"],
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Tells it.", "parameters": schema, "strict": True},
            },
            {
                "type": "function",
                "function": {"name": "time", "description": "Tells it.", "parameters": {"type": "object"}},
            },
            {"type": "function", "function": {"name": "bare", "parameters": {"type": "object", "properties": {}}}},
        ],
        "tool_choice": "required",
        "reasoning_effort": "low",
        "seed": 2,
    }


CHOICES: list[tuple[Any, Any]] = [
    ("auto", "auto"),
    ("any", "required"),
    ("none", "none"),
    ("f", {"type": "function", "function": {"name": "f"}}),
    ({"auto": {}}, "auto"),
    ({"any": {}}, "required"),
    ({"tool": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
]


@pytest.mark.parametrize(("choice", "written"), CHOICES)
def test_every_tool_choice_is_written_in_the_models_format(choice: Any, written: Any) -> None:
    assert body(Message.user("hi"), tools=[Tool(name="f")], tool_choice=choice)["tool_choice"] == written


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(Message.user("hi"), tool_choice="none")


def test_tool_calls_and_results_become_separate_messages() -> None:
    assert sent(
        Message.user("Weather and time in Rome?"),
        Message.assistant(
            Reasoning("Two calls."), ToolCall("c-1", "weather", {"city": "Rome"}), ToolCall("c-2", "time")
        ),
        Message.user(
            "Go on.",
            ToolResult("c-1", ["Sunny,", {"json": {"celsius": 21}}, {"text": "no wind"}]),
            ToolResult("c-2", {"hour": 9}, status="error"),
            "Quickly.",
        ),
        Message.assistant(
            "It is ", CitedText(("sunny", "."), (Citation("t"),)), ToolCall("c-3", "time", {"zone": "CET"})
        ),
        Message.user(ToolResult("c-3")),
    ) == [
        {"role": "user", "content": "Weather and time in Rome?"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c-1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
                {"id": "c-2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c-1", "content": 'Sunny,\n{"celsius":21}\nno wind'},
        {"role": "tool", "tool_call_id": "c-2", "content": '{"hour":9}'},
        {"role": "user", "content": "Go on.\nQuickly."},
        {
            "role": "assistant",
            "content": "It is sunny.",
            "tool_calls": [
                {"id": "c-3", "type": "function", "function": {"name": "time", "arguments": '{"zone":"CET"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c-3", "content": ""},
    ]


def test_a_system_message_keeps_its_position() -> None:
    assert sent(Message.user("a"), Message("system", "Be brief."), Message.user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "b"},
    ]


def test_a_turn_of_reasoning_alone_is_not_sent() -> None:
    assert sent(Message.user("a"), Message.assistant(Reasoning("hm"), Reasoning(redacted=b"\x00"))) == [
        {"role": "user", "content": "a"}
    ]


@pytest.mark.parametrize(
    "message",
    [Message.assistant(ToolCall("c", "f", {"a": object()})), Message.user(ToolResult("c", {"a": {1, object()}}))],
)
def test_values_that_are_not_json_serializable_are_rejected(message: Message) -> None:
    with pytest.raises(ConfigurationError, match="cannot be encoded as JSON"):
        body(message)


PNG = Image(b"\x89PNG\r\n\x1a\n")
UNSUPPORTED: dict[str, tuple[Message, Wire, str]] = {
    "an image": (
        Message.user("a", PNG),
        {},
        "messages[0].content[1]: Chat Completions does not support Image in user messages",
    ),
    "a document": (Message.user(Document(b"%PDF-")), {}, "does not support Document in user messages"),
    "a cache point": (Message.user("a", CachePoint()), {}, "does not support CachePoint in user messages"),
    "a raw block": (Message.user({"guardContent": {}}), {}, "not support Raw (guardContent) in user messages"),
    "a call of the user": (Message.user(ToolCall("c", "f")), {}, "does not support ToolCall in user messages"),
    "a call of a server-side tool": (
        Message.assistant(ToolCall("c", "f", server=True)),
        {},
        "does not support ToolCall in assistant messages",
    ),
    "a result of the assistant": (Message.assistant(ToolResult("c", "a")), {}, "ToolResult in assistant messages"),
    "a result of a server-side tool": (
        Message.user(ToolResult("c", "a", None, "x")),
        {},
        "ToolResult in user messages",
    ),
    "an image as a result": (Message.user(ToolResult("c", [PNG])), {}, "does not support ToolResult in user messages"),
    "a raw image as a result": (
        Message.user(ToolResult("c", [{"image": {}}])),
        {},
        "support ToolResult in user messages",
    ),
    "a cached system prompt": (
        Message.user("a"),
        {"system": ["a", CachePoint()]},
        "Chat Completions supports only text in system",
    ),
    "a raw system block": (Message.user("a"), {"system": [{"guardContent": {}}]}, "only text in system"),
    "a cached list of tools": (
        Message.user("a"),
        {"tools": [{"cachePoint": {"type": "default"}}]},
        "Chat Completions supports only functions in tools",
    ),
    "an unknown choice": (
        Message.user("a"),
        {"tools": [Tool(name="f")], "tool_choice": {"some": {}}},
        "Chat Completions does not support tool_choice {'some': {}}",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_unsupported_content_is_named_in_the_reason(case: str) -> None:
    message, options, reason = UNSUPPORTED[case]
    unsupported = OpenAI().unsupported([message], read_options(options))
    assert unsupported is not None
    assert reason in unsupported
    with pytest.raises(UnsupportedOperation) as caught:
        body(message, **options)
    assert caught.value.problem == unsupported


def test_supported_content_has_no_reason() -> None:
    turns = [
        Message.user("a"),
        Message.assistant(Reasoning("hm"), ToolCall("c", "f")),
        Message.user(ToolResult("c", 1)),
    ]
    assert OpenAI().unsupported(turns, read_options({"system": "a", "tools": [Tool(name="f")]})) is None


def test_the_dialect_names_its_route_and_operations() -> None:
    dialect = OpenAI()
    assert dialect.route == dialect.operation == "invoke"
    assert dialect.stream_operation == "invoke-with-response-stream"


# ----------------------------------------------------------------------------------------------------------------- tags

Pieces = list[tuple[bool, str]]


def split(parts: Iterable[str]) -> Pieces:
    """Split a text that is fed in parts. Adjacent pieces of one kind are joined."""
    tags = TagSplitter()
    pieces = [piece for part in parts if part for piece in tags.feed(part)] + list(tags.finish())
    return joined(pieces)


def joined(pieces: Iterable[tuple[bool, str]]) -> Pieces:
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(pieces, key=lambda piece: piece[0])]


def by_pattern(text: str) -> Pieces:
    """Split a complete text by a pattern. An open tag extends to the end."""
    pattern = re.compile(r"<reasoning>(.*?)(?:</reasoning>|\Z)|(.+?)(?=<reasoning>|\Z)", re.DOTALL)
    pieces = [(match[2] is None, match[1] or match[2]) for match in pattern.finditer(text)]
    return joined(piece for piece in pieces if piece[1])


tagged = st.lists(
    st.sampled_from(["<reasoning>", "</reasoning>", "<", ">", "/", "<reason", "</", "a", "\u00fc\n", "<<reasoning>"]),
    max_size=12,
).map("".join)


@given(tagged)
def test_reasoning_and_text_are_split_by_tags(text: str) -> None:
    assert split([text]) == by_pattern(text)


@given(tagged, st.lists(st.integers(0, 60), max_size=8))
def test_tags_may_be_split_anywhere(text: str, positions: list[int]) -> None:
    cuts = sorted({0, len(text), *(position for position in positions if position < len(text))})
    assert split(text[a:b] for a, b in pairwise(cuts)) == split([text])
    assert split(text) == split([text])


def test_each_piece_of_reasoning_may_have_its_own_tags() -> None:
    pieces = ["<reasoning>User asks</reasoning>", "<reasoning> more</reasoning>", "Hello", "!"]
    assert split(pieces) == [(True, "User asks more"), (False, "Hello!")]


def test_text_is_held_back_only_while_it_may_become_a_tag() -> None:
    tags = TagSplitter()
    assert list(tags.feed("a < b")) == [(False, "a < b")]
    assert list(tags.feed("c<rea")) == [(False, "c")]
    assert list(tags.feed("d")) == [(False, "<read")]
    assert list(tags.feed("</reasoning>")) == [(False, "</reasoning>")]
    assert list(tags.feed("e<reasoning><reasoning>f</")) == [(False, "e"), (True, "<reasoning>f")]
    assert list(tags.finish()) == [(True, "</")]
    assert list(tags.finish()) == []


# --------------------------------------------------------------------------------------------------------------- stream


def test_a_recorded_stream_becomes_events() -> None:
    frames = [
        FIRST,
        delta("<reasoning>User asks</reasoning>"),
        delta("<reasoning> more</reasoning>"),
        delta("Hel"),
        delta("lo <3"),
        finish("stop", **MEASURED),
    ]
    reader = OpenAI().reader()
    assert feed(reader, frames[:-1]) == [
        MessageStart("assistant"),
        ReasoningDelta(0, "User asks"),
        ReasoningDelta(0, " more"),
        BlockStop(0),
        TextDelta(1, "Hel"),
        TextDelta(1, "lo <3"),
    ]
    assert not reader.ended
    assert feed(reader, frames[-1:]) == [
        BlockStop(1),
        MessageStop("end_turn", "stop"),
        Metadata(Usage(70, 9, 79), 640, extra={"firstByteLatency": 210}),
    ]
    assert reader.ended
    assert reader.complete
    response = assembled(*frames)
    assert response.message == Message.assistant(Reasoning("User asks more"), Text("Hello <3"))
    assert response.usage == Usage(70, 9, 79)


def test_usage_and_metrics_of_the_extra_chunk_become_one_event() -> None:
    reader = OpenAI().reader()
    feed(reader, [FIRST, delta("a"), finish()])
    assert reader.ended
    assert not reader.complete
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": None}
    assert feed(reader, [chunk(usage=usage, **MEASURED)]) == [
        Metadata(
            Usage(70, 9, 77, extra={"prompt_tokens_details": {"cached_tokens": 0}}),
            640,
            extra={"firstByteLatency": 210},
        )
    ]
    assert reader.complete


def test_usage_is_known_without_metrics() -> None:
    reader = OpenAI().reader()
    events = feed(reader, [FIRST, chunk(usage=USAGE), finish()])
    assert events[1:] == [MessageStop("end_turn", "stop"), Metadata(Usage(69, 8, 77))]
    assert reader.complete


def test_counts_of_several_chunks_are_merged() -> None:
    response = assembled(FIRST, delta("a"), chunk(usage={"prompt_tokens": 3}), chunk(usage=USAGE), finish(**MEASURED))
    assert response.usage == Usage(70, 9, 77)
    response = assembled(FIRST, delta("a"), finish(usage=USAGE), chunk(**MEASURED))
    assert response.usage == Usage(70, 9, 79)


STOPS = [
    ("stop", "end_turn"),
    ("length", "max_tokens"),
    ("tool_calls", "tool_use"),
    ("content_filter", "content_filtered"),
    ("got_bored", "got_bored"),
]


@pytest.mark.parametrize(("raw", "reason"), STOPS)
def test_the_stop_reason_is_converted_to_converses(raw: str, reason: str) -> None:
    assert read(finish(raw)) == [MessageStop(reason, raw)]
    assert answer(text="a", finish_reason=raw).stop_reason == reason


def test_the_default_role_of_a_stream_is_assistant() -> None:
    assert feed(OpenAI().reader(), [delta("a")])[0] == MessageStart("assistant")
    assert feed(OpenAI().reader(), [delta("a", role="critic", refusal="b")])[0] == MessageStart("critic")


def test_each_chunk_may_have_role_and_content() -> None:
    assert read(delta("a", role="assistant"), delta("b", role="assistant")) == [TextDelta(0, "a"), TextDelta(0, "b")]


def test_held_back_text_is_emitted_at_the_end() -> None:
    assert read(delta("a <"), finish()) == [
        TextDelta(0, "a "),
        TextDelta(0, "<"),
        BlockStop(0),
        MessageStop("end_turn", "stop"),
    ]


def test_reasoning_truncated_by_the_limit_is_still_reasoning() -> None:
    assert read(delta("<reasoning>a</rea"), finish("length")) == [
        ReasoningDelta(0, "a"),
        ReasoningDelta(0, "</rea"),
        BlockStop(0),
        MessageStop("max_tokens", "length"),
    ]


@given(tagged, st.lists(st.integers(0, 60), max_size=8))
def test_any_split_of_a_stream_assembles_to_the_same_response(text: str, positions: list[int]) -> None:
    cuts = sorted({0, len(text), *(position for position in positions if position < len(text))})
    deltas = [delta(text[a:b]) for a, b in pairwise(cuts)]
    assert assembled(FIRST, *deltas, finish()) == assembled(FIRST, delta(text), finish())


# ----------------------------------------------------------------------------------------------------------- tool calls


def test_a_tool_call_is_received_complete_or_in_fragments() -> None:
    complete = [tool(0, '{"a": 1}', id="c-1", type="function", name="f")]
    fragments = [tool(0, "", id="c-1", type="function", name="f"), tool(0, '{"a"'), tool(0, ": 1}"), tool(0)]
    assert read(delta("<reasoning>a</reasoning>"), *complete, finish("tool_calls")) == [
        ReasoningDelta(0, "a"),
        BlockStop(0),
        ToolCallStart(1, "c-1", "f"),
        ToolCallDelta(1, '{"a": 1}'),
        ToolCallEnd(1, "c-1", "f", {"a": 1}, '{"a": 1}'),
        BlockStop(1),
        MessageStop("tool_use", "tool_calls"),
    ]
    assert read(*fragments, finish("tool_calls")) == [
        ToolCallStart(0, "c-1", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ": 1}"),
        ToolCallEnd(0, "c-1", "f", {"a": 1}, '{"a": 1}'),
        BlockStop(0),
        MessageStop("tool_use", "tool_calls"),
    ]


def test_parallel_calls_are_kept_apart_by_their_own_index() -> None:
    events = read(
        delta("a <"),
        tool(0, "{", id="c-1", name="f"),
        tool(1, "{", id="c-2", name="g"),
        tool(0, "}"),
        tool(1, '"b": 2}'),
        delta("then"),
        finish("tool_calls"),
    )
    assert events == [
        TextDelta(0, "a "),
        TextDelta(0, "<"),
        BlockStop(0),
        ToolCallStart(1, "c-1", "f"),
        ToolCallDelta(1, "{"),
        ToolCallStart(2, "c-2", "g"),
        ToolCallDelta(2, "{"),
        ToolCallDelta(1, "}"),
        ToolCallDelta(2, '"b": 2}'),
        TextDelta(3, "then"),
        BlockStop(3),
        ToolCallEnd(1, "c-1", "f", {}, "{}"),
        BlockStop(1),
        ToolCallEnd(2, "c-2", "g", {"b": 2}, '{"b": 2}'),
        BlockStop(2),
        MessageStop("tool_use", "tool_calls"),
    ]


def test_any_number_of_fragments_may_come_before_a_name() -> None:
    """So many that a copy of all earlier ones for each would not end within the time limit."""
    many = 30_000
    text = "x" * 1000
    response = assembled(
        tool(0, '{"a":"', id="call-1"),
        *([tool(0, text)] * many),
        tool(0, '"}', name="f"),
        finish("tool_calls"),
    )
    assert [len(call.input["a"]) for call in response.tool_calls] == [1000 * many]


def test_a_call_starts_when_both_id_and_name_are_known() -> None:
    assert read(tool(0, "{", id="c-1"), tool(0, '"a":'), tool(0, "1}", name="f"), finish("tool_calls")) == [
        ToolCallStart(0, "c-1", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0, "c-1", "f", {"a": 1}, '{"a":1}'),
        BlockStop(0),
        MessageStop("tool_use", "tool_calls"),
    ]


def test_a_call_without_a_name_is_an_error() -> None:
    with pytest.raises(InvalidFrame, match="without id or name"):
        read(tool(0, "{}", id="c-1"), finish("tool_calls"))


def test_input_that_is_not_an_object_is_a_malformed_call() -> None:
    reader = OpenAI().reader()
    feed(reader, [FIRST, tool(0, '{"a": ', id="c-1", name="f"), tool(1, "[]", id="c-2", name="g"), finish("length")])
    assert reader.broken_tool == ToolCallEnd(0, "c-1", "f", None, '{"a": ')


# ------------------------------------------------------------------------------------------------------ unknown content

UNKNOWN: dict[str, tuple[Frame, list[Event]]] = {
    "a member of the delta": (
        delta("a", reasoning_content="b", refusal=None),
        [TextDelta(0, "a"), unknown(delta={"reasoning_content": "b"})],
    ),
    "a refusal": (delta(refusal="no"), [unknown(delta={"refusal": "no"})]),
    "a member of a choice": (
        chunk({"index": 0, "delta": {"content": "a"}, "logprobs": {"content": []}}),
        [TextDelta(0, "a"), unknown(logprobs={"content": []})],
    ),
    "a member of a call": (
        delta(tool_calls=[{"index": 0, "id": "c", "type": "custom", "function": {"name": "f", "b": 1}}, {"index": 0}]),
        [ToolCallStart(0, "c", "f"), unknown(delta={"tool_calls": [{"type": "custom", "function": {"b": 1}}, {}]})],
    ),
    "a member of the chunk": (
        chunk({"index": 0, "delta": {"content": "a"}}, citations=[1], nothing=None),
        [TextDelta(0, "a"), UnknownEvent("chunk", {"citations": [1]})],
    ),
    "a further choice": (
        chunk({"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}),
        [TextDelta(0, "a"), unknown(index=1, delta={"content": "b"})],
    ),
    "an empty chunk": (raw_chunk(b"{}"), []),
    "an empty choice": (chunk({}), []),
    "a member beside the bytes": (raw_chunk(b"{}", q=1), [UnknownEvent("chunk", {"q": 1})]),
    "known members without information": (
        chunk(
            {"delta": {"content": "a"}, "logprobs": None},
            usage=None,
            system_fingerprint="x",
            obfuscation="abc",
            **{"amazon-bedrock-guardrailAction": "NONE"},
        ),
        [TextDelta(0, "a")],
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_content_is_passed_on(case: str) -> None:
    frame, events = UNKNOWN[case]
    assert read(frame) == events


def test_chunks_after_the_end_are_passed_on() -> None:
    late = {"index": 0, "delta": {"content": "b"}}
    assert read(delta("a"), finish(), chunk(late))[-1] == unknown(**late)
    assert read(delta("a"), finish(), finish())[-1] == unknown(index=0, delta={}, finish_reason="stop")


def test_an_exception_frame_raises_the_services_error() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    with pytest.raises(Throttled):
        read(Frame(dict(headers), b'{"message": "slow down"}'))


@given(st.text(max_size=5), st.sampled_from([None, "assistant"]))
def test_the_fast_and_the_generic_path_agree(content: str, role: str | None) -> None:
    wire: Wire = {"content": content, "role": role}
    generic = chunk({"index": 0, "delta": wire, "finish_reason": None}, new=1)
    assert read(generic) == [*read(delta(**wire)), UnknownEvent("chunk", {"new": 1})]


# ----------------------------------------------------------------------------------------------------------- guardrails

INTERVENED: Wire = {"amazon-bedrock-guardrailAction": "INTERVENED"}
TRACED: Wire = {**INTERVENED, "amazon-bedrock-trace": TRACE}


def test_a_guardrail_that_changes_the_text_sets_the_stop_reason() -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    assert read(chunk(choice, **INTERVENED), finish("stop", **TRACED)) == [
        TextDelta(0, "a"),
        BlockStop(0),
        MessageStop("guardrail_intervened", "stop"),
        Metadata(trace=TRACE),
    ]


@pytest.mark.parametrize("members", [TRACED, {**INTERVENED, **MEASURED}])
def test_a_guardrail_that_replaces_the_text_ends_the_message_without_a_reason(members: Wire) -> None:
    reader = OpenAI().reader()
    choice = {"index": 0, "delta": {"content": "Blocked."}, "finish_reason": None}
    events = feed(reader, [chunk(choice, **members)])
    assert events[:4] == [
        MessageStart("assistant"),
        TextDelta(0, "Blocked."),
        BlockStop(0),
        MessageStop("guardrail_intervened"),
    ]
    assert reader.ended
    assert feed(OpenAI().reader(), [chunk(**members)])[:2] == [
        MessageStart("assistant"),
        MessageStop("guardrail_intervened"),
    ]


def test_a_trace_alone_does_not_complete_the_stream() -> None:
    reader = OpenAI().reader()
    feed(reader, [FIRST, finish(**TRACED)])
    assert not reader.complete
    feed(reader, [chunk(**MEASURED)])
    assert reader.complete


# ------------------------------------------------------------------------------------------------------------- response


def answer_body(*, text: str | None = None, finish_reason: str | None = "stop", **members: Any) -> bytes:
    calls = members.pop("tool_calls", None)
    message: Wire = {"role": "assistant", "content": text, "refusal": None, **members.pop("message", {})}
    if calls is not None:
        message["tool_calls"] = calls
    return msgspec.json.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1764000000,
            "model": "openai.gpt-oss-20b-1:0",
            "service_tier": "auto",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
            "usage": USAGE,
            **members,
        }
    )


def answer(**members: Any) -> Response:
    return OpenAI().answer(answer_body(**members), request_id="r-1", model="m")


def call(arguments: str | None, id: str = "c-1") -> Wire:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def test_a_response_is_parsed() -> None:
    response = answer(
        text="<reasoning>User asks</reasoning><reasoning> more</reasoning>Hello <",
        tool_calls=[call('{"a": 1}'), call("", "c-2"), call(None, "c-3")],
        finish_reason="tool_calls",
    )
    calls = (ToolCall("c-1", "f", {"a": 1}), ToolCall("c-2", "f"), ToolCall("c-3", "f"))
    assert response == Response(
        message=Message.assistant(Reasoning("User asks more"), Text("Hello <"), *calls),
        text="Hello <",
        reasoning="User asks more",
        tool_calls=calls,
        stop_reason="tool_use",
        raw_stop_reason="tool_calls",
        usage=Usage(69, 8, 77),
        request_id="r-1",
        model="m",
        route="invoke",
    )


def test_a_response_and_its_stream_are_equal() -> None:
    text = "<reasoning>hm</reasoning>a <b> c"
    stream = assembled(FIRST, delta(text), tool(0, "{}", id="c-1", name="f"), finish("tool_calls"), chunk(usage=USAGE))
    assert stream == answer(text=text, tool_calls=[call("{}")], finish_reason="tool_calls")


def test_unknown_members_of_a_response_are_kept() -> None:
    response = answer(text="a", message={"reasoning_content": "b"}, prompt_logprobs=[1], **MEASURED)
    assert response.extra == {
        "choices": [{"message": {"reasoning_content": "b"}}],
        "prompt_logprobs": [1],
        "firstByteLatency": 210,
    }
    assert (response.usage, response.latency_ms) == (Usage(70, 9, 77), 640)
    other = {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"}
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}
    assert answer(choices=[choice, other]).extra == {"choices": [other]}


def test_a_call_whose_input_is_not_an_object_is_an_error_as_in_a_stream() -> None:
    with pytest.raises(ToolInputError) as caught:
        answer(text="a", tool_calls=[call("{}"), call('{"a": ', "c-2"), call("[]", "c-3")], finish_reason="length")
    error = caught.value
    assert (error.call_id, error.raw, error.stop_reason) == ("c-2", '{"a": ', "max_tokens")
    assert partial_of(error).tool_calls == (ToolCall("c-1", "f"),)
    assert partial_of(error).broken_tool_calls == (
        ToolCallEnd(2, "c-2", "f", None, '{"a": '),
        ToolCallEnd(3, "c-3", "f", None, "[]"),
    )


def test_a_guardrail_intervention_sets_the_stop_reason_of_a_response() -> None:
    response = answer(text="Blocked.", finish_reason=None, usage=None, **TRACED)
    assert (response.stop_reason, response.raw_stop_reason) == ("guardrail_intervened", None)
    assert (response.trace, response.usage) == (TRACE, None)


# -------------------------------------------------------------------------------------------------- malformed documents

MALFORMED_CHUNKS = [
    b"",
    b"[]",
    b'{"choices": 5}',
    b'{"choices": [5]}',
    b'{"choices": [{"delta": 5}]}',
    b'{"choices": [{"delta": {"content": 5}}]}',
    b'{"choices": [{"delta": {"role": 5}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": "0"}]}}]}',
    b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": {}}}]}}]}',
    b'{"choices": [{"delta": {}, "finish_reason": 5}]}',
    b'{"usage": 5}',
    b'{"usage": {"prompt_tokens": "5"}}',
    b'{"amazon-bedrock-trace": 5}',
]
MALFORMED_RESPONSES = [
    b"",
    b"[]",
    b"{}",
    b'{"choices": []}',
    b'{"choices": [{}]}',
    b'{"choices": [{"message": null}]}',
    b'{"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}',
    b'{"choices": [{"message": {"content": "a"}}]}',
    b'{"choices": [{"message": {"tool_calls": [{"id": "c"}]}, "finish_reason": "stop"}]}',
    b'{"choices": [{"message": {"tool_calls": [{"function": {"name": "f"}}]}, "finish_reason": "stop"}]}',
]


@pytest.mark.parametrize("document", MALFORMED_CHUNKS)
def test_a_malformed_chunk_is_an_invalid_frame(document: bytes) -> None:
    with pytest.raises(InvalidFrame):
        read(raw_chunk(document))


@pytest.mark.parametrize("document", MALFORMED_RESPONSES)
def test_a_malformed_response_is_an_invalid_frame(document: bytes) -> None:
    with pytest.raises(InvalidFrame):
        OpenAI().answer(document, request_id=None, model="m")


MEMBERS = [
    *("choices", "delta", "message", "index", "content", "role", "tool_calls", "id", "function", "name", "arguments"),
    *("finish_reason", "type", "usage", "prompt_tokens", "completion_tokens", "total_tokens"),
    *("amazon-bedrock-guardrailAction", "amazon-bedrock-trace", "amazon-bedrock-invocationMetrics"),
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.floats()
    | st.sampled_from(["", "a", "<reasoning>", "{}", "[]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
fragments = st.fixed_dictionaries(
    {"index": st.integers(0, 1)},
    optional={
        "id": st.sampled_from(["c-1", "", None]),
        "function": st.fixed_dictionaries(
            {}, optional={"name": st.sampled_from(["f", "", None]), "arguments": st.sampled_from(["{", "}", None])}
        ),
    },
)
inner = st.fixed_dictionaries(
    {},
    optional={"content": st.sampled_from(["a", "<rea", "<reasoning>"]), "tool_calls": st.lists(fragments, max_size=2)},
)
choices = st.fixed_dictionaries(
    {"delta": inner | values, "message": inner | values},
    optional={"finish_reason": st.sampled_from(["stop", None]) | values, "index": st.integers(0, 1) | values},
)
documents = st.one_of(
    st.binary(max_size=20),
    values.map(msgspec.json.encode),
    st.dictionaries(st.sampled_from(["a", "usage", "amazon-bedrock-trace"]), values, max_size=2).flatmap(
        lambda rest: st.lists(choices, max_size=2).map(lambda wires: msgspec.json.encode({**rest, "choices": wires}))
    ),
)


@given(st.lists(documents, max_size=5))
def test_any_stream_raises_only_errors_of_the_library(stream: list[bytes]) -> None:
    events: deque[Event] = deque()
    with suppress(BedrockStreamError):
        OpenAI().reader().feed([FIRST, *map(raw_chunk, stream)], events)
    msgspec.json.encode(assemble(events))
    msgspec.json.encode(list(events))


@given(documents)
def test_any_response_raises_only_errors_of_the_library(document: bytes) -> None:
    with suppress(BedrockStreamError):
        msgspec.json.encode(OpenAI().answer(document, request_id=None, model="m"))


def test_a_response_is_accepted_as_history() -> None:
    response = answer(text="<reasoning>hm</reasoning>a", tool_calls=[call('{"a":1}')], finish_reason="tool_calls")
    assert OpenAI().unsupported([response.message], Options()) is None
    assert sent(response.message) == [{"role": "assistant", "content": "a", "tool_calls": [call('{"a":1}')]}]
