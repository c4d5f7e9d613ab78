"""gpt-oss over InvokeModel: what is sent, how a stream and an answer are read, and every way to be broken."""

from __future__ import annotations

import re
from base64 import b64encode
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
from bedrock_stream.dialects.openai.reader import OpenAIReader
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
from bedrock_stream.types.response import Assembly

Wire = dict[str, Any]

METRICS = {"inputTokenCount": 70, "outputTokenCount": 9, "invocationLatency": 640, "firstByteLatency": 210}
MEASURED: Wire = {"amazon-bedrock-invocationMetrics": METRICS}
USAGE = {"prompt_tokens": 69, "completion_tokens": 8, "total_tokens": 77}
TRACE = {"guardrail": {"actionReason": "Guardrail blocked."}}


# --------------------------------------------------------------------------------------------------------------- frames


def raw_chunk(document: bytes, **members: Any) -> Frame:
    payload = msgspec.json.encode({"bytes": b64encode(document).decode(), "p": "abcd", **members})
    return Frame({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}, payload)


def chunk(*choices: Wire, **members: Any) -> Frame:
    """A chunk with all the envelope of recorded ones."""
    envelope = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "openai.gpt-oss-20b-1:0",
        "service_tier": "auto",
    }
    return raw_chunk(msgspec.json.encode({"choices": choices, **envelope, **members}))


def delta(content: str | None = None, /, **delta: Any) -> Frame:
    said = delta if content is None else {"content": content, **delta}
    return chunk({"index": 0, "delta": said, "finish_reason": None})


def tool(index: int, arguments: str | None = None, **members: Any) -> Frame:
    """A fragment of a tool call: the first has `id` and `name`, later ones have arguments only."""
    name = members.pop("name", None)
    function = {"name": name} if name else {}
    if arguments is not None:
        function["arguments"] = arguments
    return delta(tool_calls=[{"index": index, **members, "function": function}])


def finish(reason: str = "stop", **members: Any) -> Frame:
    return chunk({"index": 0, "delta": {}, "finish_reason": reason}, **members)


FIRST = delta("", role="assistant")


def feed(reader: OpenAIReader, *frames: Frame) -> list[Event]:
    events: deque[Event] = deque()
    reader.feed(frames, events)
    return list(events)


def read(*frames: Frame) -> list[Event]:
    """What a new reader makes of these frames, the first being the one that opens every stream."""
    started, *events = feed(OpenAI().reader(), FIRST, *frames)
    assert started == MessageStart("assistant")
    return events


def assembled(*frames: Frame) -> Response:
    assembly = Assembly()
    assembly.extend(feed(OpenAI().reader(), *frames))
    return assembly.response(request_id="r-1", model="m", route="invoke")


def unknown(**choice: Any) -> UnknownEvent:
    return UnknownEvent("chunk", {"choices": [choice]})


# --------------------------------------------------------------------------------------------------------------- bodies


def body(*messages: Message, **options: Any) -> Wire:
    return OpenAI().body(messages, read_options(options))


def sent(*messages: Message) -> Any:
    """The messages as they are sent."""
    return body(*messages)["messages"]


def test_nothing_is_sent_that_the_caller_did_not_ask_for() -> None:
    assert body(Message.user("hi")) == {"messages": [{"role": "user", "content": "hi"}]}


def test_every_option_has_its_place_in_the_body() -> None:
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


@pytest.mark.parametrize(("choice", "said"), CHOICES)
def test_every_tool_choice_is_said_in_the_models_words(choice: Any, said: Any) -> None:
    assert body(Message.user("hi"), tools=[Tool(name="f")], tool_choice=choice)["tool_choice"] == said


def test_a_tool_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(Message.user("hi"), tool_choice="none")


def test_tool_calls_and_results_become_messages_of_their_own() -> None:
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


def test_a_system_message_keeps_its_place() -> None:
    assert sent(Message.user("a"), Message("system", "Be brief."), Message.user("b")) == [
        {"role": "user", "content": "a"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "b"},
    ]


def test_a_turn_of_reasoning_alone_stays_behind() -> None:
    assert sent(Message.user("a"), Message.assistant(Reasoning("hm"), Reasoning(redacted=b"\x00"))) == [
        {"role": "user", "content": "a"}
    ]


@pytest.mark.parametrize(
    "message",
    [Message.assistant(ToolCall("c", "f", {"a": object()})), Message.user(ToolResult("c", {"a": {1, object()}}))],
)
def test_what_cannot_become_json_is_told_at_the_call(message: Message) -> None:
    with pytest.raises(ConfigurationError, match="cannot become JSON"):
        body(message)


PNG = Image(b"\x89PNG\r\n\x1a\n")
REFUSED: dict[str, tuple[Message, Wire, str]] = {
    "an image": (
        Message.user("a", PNG),
        {},
        "messages[0].content[1]: Chat Completions has no form for a Image in user's turn",
    ),
    "a document": (Message.user(Document(b"%PDF-")), {}, "a Document in user's turn"),
    "a cache point": (Message.user("a", CachePoint()), {}, "a CachePoint in user's turn"),
    "a raw block": (Message.user({"guardContent": {}}), {}, "a Raw (guardContent) in user's turn"),
    "a call of the user's": (Message.user(ToolCall("c", "f")), {}, "a ToolCall in user's turn"),
    "a call of the service's": (
        Message.assistant(ToolCall("c", "f", server=True)),
        {},
        "a ToolCall in assistant's turn",
    ),
    "a result of the assistant's": (Message.assistant(ToolResult("c", "a")), {}, "a ToolResult in assistant's turn"),
    "a result of the service's": (Message.user(ToolResult("c", "a", None, "x_result")), {}, "a ToolResult in user's"),
    "an image as a result": (Message.user(ToolResult("c", [PNG])), {}, "a ToolResult in user's turn"),
    "a raw image as a result": (Message.user(ToolResult("c", [{"image": {}}])), {}, "a ToolResult in user's turn"),
    "a cached system prompt": (
        Message.user("a"),
        {"system": ["a", CachePoint()]},
        "system: Chat Completions takes text only",
    ),
    "a raw system block": (Message.user("a"), {"system": [{"guardContent": {}}]}, "system: "),
    "a cached list of tools": (
        Message.user("a"),
        {"tools": [{"cachePoint": {"type": "default"}}]},
        "tools: Chat Completions takes functions only",
    ),
    "a choice of tomorrow": (
        Message.user("a"),
        {"tools": [Tool(name="f")], "tool_choice": {"some": {}}},
        "tool_choice: Chat Completions knows no some",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said_is_named_and_never_left_out(case: str) -> None:
    message, options, reason = REFUSED[case]
    refusal = OpenAI().unsupported([message], read_options(options))
    assert refusal is not None
    assert reason in refusal
    with pytest.raises(UnsupportedOperation) as caught:
        body(message, **options)
    assert caught.value.problem == refusal


def test_what_can_be_said_is_not_refused() -> None:
    turns = [
        Message.user("a"),
        Message.assistant(Reasoning("hm"), ToolCall("c", "f")),
        Message.user(ToolResult("c", 1)),
    ]
    assert OpenAI().unsupported(turns, read_options({"system": "a", "tools": [Tool(name="f")]})) is None


def test_the_dialect_says_where_it_is_spoken() -> None:
    dialect = OpenAI()
    assert dialect.route == dialect.operation == "invoke"
    assert dialect.stream_operation == "invoke-with-response-stream"


# ----------------------------------------------------------------------------------------------------------------- tags

Pieces = list[tuple[bool, str]]


def split(cuts: Iterable[str]) -> Pieces:
    """Neighbours of one kind joined, for the cuts are not the model's."""
    tags = TagSplitter()
    pieces = [piece for cut in cuts if cut for piece in tags.feed(cut)] + list(tags.finish())
    return joined(pieces)


def joined(pieces: Iterable[tuple[bool, str]]) -> Pieces:
    return [(kind, "".join(text for _, text in group)) for kind, group in groupby(pieces, key=lambda piece: piece[0])]


def by_pattern(text: str) -> Pieces:
    """The same, told by a pattern over the whole text; what a message leaves open is open to its end."""
    pattern = re.compile(r"<reasoning>(.*?)(?:</reasoning>|\Z)|(.+?)(?=<reasoning>|\Z)", re.DOTALL)
    pieces = [(match[2] is None, match[1] or match[2]) for match in pattern.finditer(text)]
    return joined(piece for piece in pieces if piece[1])


tagged = st.lists(
    st.sampled_from(["<reasoning>", "</reasoning>", "<", ">", "/", "<reason", "</", "a", "\u00fc\n", "<<reasoning>"]),
    max_size=12,
).map("".join)


@given(tagged)
def test_reasoning_and_text_are_told_apart_by_their_tags(text: str) -> None:
    assert split([text]) == by_pattern(text)


@given(tagged, st.lists(st.integers(0, 60), max_size=8))
def test_tags_may_be_cut_anywhere(text: str, places: list[int]) -> None:
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    assert split(text[a:b] for a, b in pairwise(cuts)) == split([text])
    assert split(text) == split([text])


def test_each_piece_of_reasoning_may_have_tags_of_its_own() -> None:
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


def test_a_recorded_shape_of_stream_becomes_events() -> None:
    frames = [
        FIRST,
        delta("<reasoning>User asks</reasoning>"),
        delta("<reasoning> more</reasoning>"),
        delta("Hel"),
        delta("lo <3"),
        finish("stop", **MEASURED),
    ]
    reader = OpenAI().reader()
    assert feed(reader, *frames[:-1]) == [
        MessageStart("assistant"),
        ReasoningDelta(0, "User asks"),
        ReasoningDelta(0, " more"),
        BlockStop(0),
        TextDelta(1, "Hel"),
        TextDelta(1, "lo <3"),
    ]
    assert not reader.ended
    assert feed(reader, frames[-1]) == [
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
    feed(reader, FIRST, delta("a"), finish())
    assert reader.ended
    assert not reader.complete
    usage = {**USAGE, "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": None}
    assert feed(reader, chunk(usage=usage, **MEASURED)) == [
        Metadata(
            Usage(70, 9, 77, extra={"prompt_tokens_details": {"cached_tokens": 0}}),
            640,
            extra={"firstByteLatency": 210},
        )
    ]
    assert reader.complete


def test_usage_is_known_without_metrics() -> None:
    reader = OpenAI().reader()
    events = feed(reader, FIRST, chunk(usage=USAGE), finish())
    assert events[1:] == [MessageStop("end_turn", "stop"), Metadata(Usage(69, 8, 77))]
    assert reader.complete


def test_counts_that_come_apart_join_in_the_response() -> None:
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
def test_the_stop_reason_is_said_in_converses_words(raw: str, reason: str) -> None:
    assert read(finish(raw)) == [MessageStop(reason, raw)]
    assert answer(text="a", finish_reason=raw).stop_reason == reason


def test_a_stream_whose_first_chunk_names_no_role_is_the_assistants() -> None:
    assert feed(OpenAI().reader(), delta("a"))[0] == MessageStart("assistant")
    assert feed(OpenAI().reader(), delta("a", role="critic", refusal="b"))[0] == MessageStart("critic")


def test_role_and_content_may_come_in_every_chunk() -> None:
    assert read(delta("a", role="assistant"), delta("b", role="assistant")) == [TextDelta(0, "a"), TextDelta(0, "b")]


def test_what_was_held_back_comes_out_at_the_end() -> None:
    assert read(delta("a <"), finish()) == [
        TextDelta(0, "a "),
        TextDelta(0, "<"),
        BlockStop(0),
        MessageStop("end_turn", "stop"),
    ]


def test_reasoning_that_is_cut_by_the_limit_stays_reasoning() -> None:
    assert read(delta("<reasoning>a</rea"), finish("length")) == [
        ReasoningDelta(0, "a"),
        ReasoningDelta(0, "</rea"),
        BlockStop(0),
        MessageStop("max_tokens", "length"),
    ]


@given(tagged, st.lists(st.integers(0, 60), max_size=8))
def test_any_cut_of_a_stream_assembles_to_the_same_response(text: str, places: list[int]) -> None:
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    deltas = [delta(text[a:b]) for a, b in pairwise(cuts)]
    assert assembled(FIRST, *deltas, finish()) == assembled(FIRST, delta(text), finish())


# ----------------------------------------------------------------------------------------------------------- tool calls


def test_a_tool_call_comes_whole_or_in_fragments() -> None:
    whole = [tool(0, '{"a": 1}', id="c-1", type="function", name="f")]
    parts = [tool(0, "", id="c-1", type="function", name="f"), tool(0, '{"a"'), tool(0, ": 1}"), tool(0)]
    assert read(delta("<reasoning>a</reasoning>"), *whole, finish("tool_calls")) == [
        ReasoningDelta(0, "a"),
        BlockStop(0),
        ToolCallStart(1, "c-1", "f"),
        ToolCallDelta(1, '{"a": 1}'),
        ToolCallEnd(1, "c-1", "f", {"a": 1}, '{"a": 1}'),
        BlockStop(1),
        MessageStop("tool_use", "tool_calls"),
    ]
    assert read(*parts, finish("tool_calls")) == [
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


def test_a_call_opens_when_both_id_and_name_are_known() -> None:
    assert read(tool(0, "{", id="c-1"), tool(0, '"a":'), tool(0, "1}", name="f"), finish("tool_calls")) == [
        ToolCallStart(0, "c-1", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallEnd(0, "c-1", "f", {"a": 1}, '{"a":1}'),
        BlockStop(0),
        MessageStop("tool_use", "tool_calls"),
    ]


def test_a_call_that_never_gets_a_name_is_an_error_and_not_lost() -> None:
    with pytest.raises(InvalidFrame, match="without id or name"):
        read(tool(0, "{}", id="c-1"), finish("tool_calls"))


def test_input_that_is_no_object_is_a_broken_call() -> None:
    reader = OpenAI().reader()
    feed(reader, FIRST, tool(0, '{"a": ', id="c-1", name="f"), tool(1, "[]", id="c-2", name="g"), finish("length"))
    assert reader.broken_tool == ToolCallEnd(0, "c-1", "f", None, '{"a": ')


# ------------------------------------------------------------------------------------------------ what nobody knows yet

STRANGE: dict[str, tuple[Frame, list[Event]]] = {
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
    "a further answer": (
        chunk({"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}),
        [TextDelta(0, "a"), unknown(index=1, delta={"content": "b"})],
    ),
    "a chunk of nothing": (raw_chunk(b"{}"), []),
    "a choice of nothing": (chunk({}), []),
    "a member beside the bytes": (raw_chunk(b"{}", q=1), [UnknownEvent("chunk", {"q": 1})]),
    "well-known members that say nothing": (
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


@pytest.mark.parametrize("case", STRANGE)
def test_what_nobody_knows_yet_is_passed_on(case: str) -> None:
    frame, events = STRANGE[case]
    assert read(frame) == events


def test_what_comes_behind_the_end_is_passed_on() -> None:
    late = {"index": 0, "delta": {"content": "b"}}
    assert read(delta("a"), finish(), chunk(late))[-1] == unknown(**late)
    assert read(delta("a"), finish(), finish())[-1] == unknown(index=0, delta={}, finish_reason="stop")


def test_an_exception_frame_is_the_services_error() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    with pytest.raises(Throttled):
        read(Frame(dict(headers), b'{"message": "slow down"}'))


@given(st.text(max_size=5), st.sampled_from([None, "assistant"]))
def test_the_fast_and_the_generic_way_agree(content: str, role: str | None) -> None:
    said: Wire = {"content": content, "role": role}
    generic = chunk({"index": 0, "delta": said, "finish_reason": None}, new=1)
    assert read(generic) == [*read(delta(**said)), UnknownEvent("chunk", {"new": 1})]


# ----------------------------------------------------------------------------------------------------------- guardrails

INTERVENED: Wire = {"amazon-bedrock-guardrailAction": "INTERVENED"}
TRACED: Wire = {**INTERVENED, "amazon-bedrock-trace": TRACE}


def test_a_guardrail_that_changes_the_text_shows_in_the_stop_reason() -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
    assert read(chunk(choice, **INTERVENED), finish("stop", **TRACED)) == [
        TextDelta(0, "a"),
        BlockStop(0),
        MessageStop("guardrail_intervened", "stop"),
        Metadata(trace=TRACE),
    ]


@pytest.mark.parametrize("sign", [TRACED, {**INTERVENED, **MEASURED}])
def test_a_guardrail_that_answers_itself_ends_the_message_without_a_reason(sign: Wire) -> None:
    reader = OpenAI().reader()
    choice = {"index": 0, "delta": {"content": "Blocked."}, "finish_reason": None}
    events = feed(reader, chunk(choice, **sign))
    assert events[:4] == [
        MessageStart("assistant"),
        TextDelta(0, "Blocked."),
        BlockStop(0),
        MessageStop("guardrail_intervened"),
    ]
    assert reader.ended
    assert feed(OpenAI().reader(), chunk(**sign))[:2] == [
        MessageStart("assistant"),
        MessageStop("guardrail_intervened"),
    ]


def test_a_trace_alone_does_not_settle_the_stream() -> None:
    reader = OpenAI().reader()
    feed(reader, FIRST, finish(**TRACED))
    assert not reader.complete
    feed(reader, chunk(**MEASURED))
    assert reader.complete


# --------------------------------------------------------------------------------------------------------------- answer


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


def test_a_whole_answer_is_read() -> None:
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


def test_a_whole_answer_and_its_stream_come_to_the_same() -> None:
    text = "<reasoning>hm</reasoning>a <b> c"
    stream = assembled(FIRST, delta(text), tool(0, "{}", id="c-1", name="f"), finish("tool_calls"), chunk(usage=USAGE))
    assert stream == answer(text=text, tool_calls=[call("{}")], finish_reason="tool_calls")


def test_unknown_members_of_an_answer_are_kept() -> None:
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


def test_a_call_whose_input_is_no_object_is_told_as_a_stream_would() -> None:
    with pytest.raises(ToolInputError) as caught:
        answer(text="a", tool_calls=[call("{}"), call('{"a": ', "c-2"), call("[]", "c-3")], finish_reason="length")
    error = caught.value
    assert (error.call_id, error.raw, error.stop_reason) == ("c-2", '{"a": ', "max_tokens")
    assert error.partial.tool_calls == (ToolCall("c-1", "f"),)
    assert error.partial.broken_tool_calls == (
        ToolCallEnd(2, "c-2", "f", None, '{"a": '),
        ToolCallEnd(3, "c-3", "f", None, "[]"),
    )


def test_a_guardrail_shows_in_a_whole_answer() -> None:
    response = answer(text="Blocked.", finish_reason=None, usage=None, **TRACED)
    assert (response.stop_reason, response.raw_stop_reason) == ("guardrail_intervened", None)
    assert (response.trace, response.usage) == (TRACE, None)


# ----------------------------------------------------------------------------------------------------- broken documents

BROKEN_CHUNKS = [
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
BROKEN_ANSWERS = [
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


@pytest.mark.parametrize("document", BROKEN_CHUNKS)
def test_a_chunk_that_is_not_as_described_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidFrame):
        read(raw_chunk(document))


@pytest.mark.parametrize("document", BROKEN_ANSWERS)
def test_an_answer_that_is_not_as_described_is_refused(document: bytes) -> None:
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
        lambda rest: st.lists(choices, max_size=2).map(lambda said: msgspec.json.encode({**rest, "choices": said}))
    ),
)


@given(st.lists(documents, max_size=5))
def test_whatever_streams_in_nothing_but_our_own_errors_comes_out(stream: list[bytes]) -> None:
    events: deque[Event] = deque()
    with suppress(BedrockStreamError):
        OpenAI().reader().feed([FIRST, *map(raw_chunk, stream)], events)
    assembly = Assembly()
    assembly.extend(events)
    msgspec.json.encode(assembly.response())
    msgspec.json.encode(list(events))


@given(documents)
def test_whatever_answers_nothing_but_our_own_errors_comes_out(document: bytes) -> None:
    with suppress(BedrockStreamError):
        msgspec.json.encode(OpenAI().answer(document, request_id=None, model="m"))


def test_an_answer_goes_back_as_history() -> None:
    response = answer(text="<reasoning>hm</reasoning>a", tool_calls=[call('{"a":1}')], finish_reason="tool_calls")
    assert OpenAI().unsupported([response.message], Options()) is None
    assert sent(response.message) == [{"role": "assistant", "content": "a", "tool_calls": [call('{"a":1}')]}]
