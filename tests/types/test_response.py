"""Assembly of responses from events, and the message of a response in the next request."""

from __future__ import annotations

import random
import tracemalloc
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
    CitedText,
    Event,
    Image,
    ImageDelta,
    ImageStart,
    Json,
    Message,
    MessageStart,
    MessageStop,
    Metadata,
    Raw,
    Reasoning,
    ReasoningDelta,
    Response,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    ToolResultDelta,
    ToolResultStart,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.converse.body import write_body
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.messages import Block
from bedrock_stream.types.options import Options
from bedrock_stream.types.response import Assembly, build_response, tool_input_error

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
CITATION = Citation("t", "s", ("c",), {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}})


def assemble(*events: Event) -> Response:
    assembly = Assembly()
    assembly.extend(events)
    return assembly.response()


def next_turn(response: Response) -> list[dict[str, Any]]:
    """Return the content of the response's message in the next request, between two user messages."""
    body = write_body([Message.user("a"), response.message, Message.user("b")], Options())
    sent: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(body))["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "user"]
    content: list[dict[str, Any]] = sent[1]["content"]
    return content


# ----------------------------------------------------------------------------- kinds of blocks: assembled and sent back

SHAPES: dict[str, tuple[list[Event], Any, dict[str, Any]]] = {
    "text": ([TextDelta(0, "one "), TextDelta(0, "two")], Text("one two"), {"text": "one two"}),
    "cited text": (
        [TextDelta(0, "one "), CitationDelta(0, CITATION), TextDelta(0, "two"), CitationDelta(0, Citation("u"))],
        CitedText(("one two",), (CITATION, Citation("u"))),
        {
            "citationsContent": {
                "content": [{"text": "one two"}],
                "citations": [
                    {"title": "t", "source": "s", "sourceContent": [{"text": "c"}], "location": CITATION.location},
                    {"title": "u"},
                ],
            }
        },
    ),
    "signed reasoning": (
        [ReasoningDelta(0, "h"), ReasoningDelta(0, "m"), ReasoningDelta(0, signature="sig")],
        Reasoning("hm", "sig"),
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
    ),
    "signature before the text": (
        [ReasoningDelta(0, signature="s"), ReasoningDelta(0, "hm"), ReasoningDelta(0, signature="ig")],
        Reasoning("hm", "sig"),
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
    ),
    "unsigned reasoning": (
        [ReasoningDelta(0, "hm")],
        Reasoning("hm"),
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
    ),
    "a signature alone": (
        [ReasoningDelta(0, signature="sig")],
        Reasoning("", "sig"),
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "sig"}}},
    ),
    "an empty signature": (
        [ReasoningDelta(0, "hm"), ReasoningDelta(0, signature="")],
        Reasoning("hm", ""),
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": ""}}},
    ),
    "redacted reasoning": (
        [ReasoningDelta(0, redacted=b"\x00"), ReasoningDelta(0, redacted=b"\xff")],
        Reasoning(redacted=b"\x00\xff"),
        {"reasoningContent": {"redactedContent": b64encode(b"\x00\xff").decode()}},
    ),
    "tool call": (
        [ToolCallStart(0, "id", "f"), ToolCallDelta(0, '{"a": 1}'), ToolCallEnd(0, "id", "f", {"a": 1}, '{"a": 1}')],
        ToolCall("id", "f", {"a": 1}),
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {"a": 1}}},
    ),
    "tool call without arguments": (
        [ToolCallStart(0, "id", "f"), ToolCallEnd(0, "id", "f", {}, "")],
        ToolCall("id", "f"),
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {}}},
    ),
    "server tool call": (
        [ToolCallStart(0, "id", "f", True), ToolCallEnd(0, "id", "f", {}, "", True)],
        ToolCall("id", "f", server=True),
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "server_tool_use"}},
    ),
    "server tool result": (
        [
            ToolResultStart(0, "id", "nova_code_interpreter_result", "success"),
            ToolResultDelta(0, [{"json": {"stdOut": "1"}}]),
            ToolResultDelta(0, [{"text": ""}, {"new": {}, "newer": 1}]),
        ],
        ToolResult(
            "id",
            [Raw({"json": {"stdOut": "1"}}), Raw({"text": ""}), Raw({"new": {}, "newer": 1})],
            "success",
            "nova_code_interpreter_result",
        ),
        {
            "toolResult": {
                "toolUseId": "id",
                "content": [{"json": {"stdOut": "1"}}, {"text": ""}, {"new": {}, "newer": 1}],
                "status": "success",
                "type": "nova_code_interpreter_result",
            }
        },
    ),
    "tool result of another type": (
        [ToolResultStart(0, "id"), ToolResultDelta(0, [5])],
        ToolResult("id", [Json(5)]),
        {"toolResult": {"toolUseId": "id", "content": [{"text": "5"}]}},
    ),
    "tool result with an unknown status": (
        [ToolResultStart(0, "id", "k", "unsure"), ToolResultDelta(0, [{"text": "a"}])],
        Raw({"toolResult": {"toolUseId": "id", "content": [{"text": "a"}], "status": "unsure", "type": "k"}}),
        {"toolResult": {"toolUseId": "id", "content": [{"text": "a"}], "status": "unsure", "type": "k"}},
    ),
    "tool result with an unknown status and no type": (
        [ToolResultStart(0, "id", status="unsure")],
        Raw({"toolResult": {"toolUseId": "id", "content": [], "status": "unsure"}}),
        {"toolResult": {"toolUseId": "id", "content": [], "status": "unsure"}},
    ),
    "image": (
        [ImageStart(0, "png"), ImageDelta(0, PNG[:5]), ImageDelta(0, PNG[5:])],
        Image(PNG, "png"),
        {"image": {"format": "png", "source": {"bytes": b64encode(PNG).decode()}}},
    ),
    "image in S3": (
        [ImageStart(0, "png"), ImageDelta(0, s3_location={"uri": "s3://b/k", "bucketOwner": "123456789012"})],
        Image(None, "png", "s3://b/k", "123456789012"),
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "123456789012"}}}},
    ),
}


@pytest.mark.parametrize(("events", "block", "sent"), SHAPES.values(), ids=SHAPES)
def test_each_kind_of_block_is_assembled_and_sent_back(events: list[Event], block: Any, sent: dict[str, Any]) -> None:
    response = assemble(*events, BlockStop(0), MessageStop("end_turn"))
    assert response.message == Message("assistant", [block])
    assert next_turn(response) == [sent]
    assert msgspec.json.decode(msgspec.json.encode(response.message), type=Message) == response.message


def with_index(events: Iterable[Event], index: int) -> list[Event]:
    return [msgspec.structs.replace(event, index=index) for event in events]


def test_blocks_are_ordered_by_index_for_any_order_of_events() -> None:
    blocks = [with_index(events, index) for index, (events, _, _) in enumerate(SHAPES.values())]
    turns = [index for index, block in enumerate(blocks) for _ in block]
    random.Random(5).shuffle(turns)  # noqa: S311  a reproducible order, not a secret
    queues = [iter(block) for block in blocks]
    response = assemble(*(next(queues[index]) for index in turns))
    assert list(response.message.content) == [block for _, block, _ in SHAPES.values()]
    assert next_turn(response) == [sent for _, _, sent in SHAPES.values()]


# ------------------------------------------------------------------------------------------------ the complete response


def test_a_response_contains_the_data_of_all_events() -> None:
    assembly = Assembly()
    assembly.extend([MessageStart("assistant"), ReasoningDelta(0, "h"), ReasoningDelta(0, "m"), BlockStop(0)])
    assembly.extend([TextDelta(1, "one "), TextDelta(2, "two"), CitationDelta(2, CITATION)])
    assembly.extend([ToolCallStart(3, "a", "f"), ToolCallEnd(3, "a", "f", {}, "")])
    assembly.extend([ToolCallStart(4, "b", "g", True), ToolCallEnd(4, "b", "g", {}, "", True)])
    assembly.extend([MessageStop("tool_use", "raw", {"a": 1})])
    assembly.extend([Metadata(Usage(1), 99, {"t": 1}, "optimized", "flex", {"new": 1})])
    assert assembly.response(request_id="r", model="m", route="converse") == Response(
        message=Message.assistant(
            Reasoning("hm"),
            "one ",
            CitedText(("two",), (CITATION,)),
            ToolCall("a", "f"),
            ToolCall("b", "g", server=True),
        ),
        text="one two",
        reasoning="hm",
        tool_calls=(ToolCall("a", "f"),),
        citations=(msgspec.structs.replace(CITATION, start=4, end=7),),
        stop_reason="tool_use",
        raw_stop_reason="raw",
        usage=Usage(1),
        latency_ms=99,
        additional_fields={"a": 1},
        trace={"t": 1},
        performance="optimized",
        service_tier="flex",
        extra={"new": 1},
        request_id="r",
        model="m",
        route="converse",
    )


def test_without_events_the_response_is_empty_and_incomplete() -> None:
    response = assemble()
    assert response == Response(message=Message("assistant", []))
    assert (response.stop_reason, response.usage, response.request_id) == (None, None, None)


def test_a_response_is_available_during_assembly() -> None:
    assembly = Assembly()
    snapshots = []
    for event in (TextDelta(0, "one "), TextDelta(0, "two"), MessageStop("end_turn")):
        assembly.extend([event])
        snapshots.append((assembly.response().text, assembly.response().stop_reason))
    assert snapshots == [("one ", None), ("one two", None), ("one two", "end_turn")]


@pytest.mark.parametrize(("reason", "calls"), [("end_turn", 1), ("tool_use", 0)])
def test_wants_tools_depends_on_the_content_and_not_on_the_stop_reason(reason: str, calls: int) -> None:
    events = [ToolCallEnd(index, str(index), "f", {}, "") for index in range(calls)]
    response = assemble(TextDelta(9, "a"), *events, MessageStop(reason))
    assert response.stop_reason == reason
    assert response.message.wants_tools == bool(calls)
    assert len(response.tool_calls) == calls


def test_a_block_that_its_events_do_not_contain_completely_is_kept_raw() -> None:
    block = {"type": "compaction", "content": "earlier"}
    response = assemble(UnknownEvent("content_block_start", {}), BlockStop(0, block), TextDelta(1, "a"))
    assert response.message == Message.assistant(Raw(block), "a")
    assert Message.from_json(response.message.to_json()) == response.message


def test_unknown_members_of_a_call_are_kept() -> None:
    response = assemble(
        ToolCallStart(0, "id", "f", extra={"caller": {"type": "direct"}}), ToolCallEnd(0, "id", "f", {"a": 1}, "")
    )
    assert response.tool_calls == (ToolCall("id", "f", {"a": 1}, extra={"caller": {"type": "direct"}}),)


def test_unknown_events_are_not_part_of_the_message() -> None:
    unknown = UnknownEvent("weatherReport", {"sunny": True})
    assert assemble(unknown, TextDelta(0, "a"), unknown) == assemble(TextDelta(0, "a"))


# ----------------------------------------------------------------------------------------------------------- blank text


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_blank_text_is_omitted_from_the_message_and_kept_in_the_text(blank: str) -> None:
    response = assemble(
        TextDelta(0, blank), TextDelta(1, "a"), TextDelta(2, blank), CitationDelta(2, CITATION), BlockStop(2)
    )
    assert response.message == Message.assistant("a")
    assert response.text == f"{blank}a{blank}"
    assert response.citations == (msgspec.structs.replace(CITATION, start=len(blank) + 1, end=2 * len(blank) + 1),)


def test_white_space_around_text_is_kept() -> None:
    assert assemble(TextDelta(0, " a\n")).message == Message.assistant(" a\n")


# ------------------------------------------------------------------------------------------ truncated and invalid calls


def test_a_truncated_call_is_not_a_tool_call() -> None:
    response = assemble(
        TextDelta(0, "a"), ToolCallStart(1, "id", "f"), ToolCallDelta(1, '{"ci'), ToolCallDelta(1, 'ty"')
    )
    assert response.tool_calls == ()
    assert response.message == Message.assistant("a")
    assert response.broken_tool_calls == (ToolCallEnd(1, "id", "f", None, '{"city"'),)


def test_a_call_without_fragments_is_truncated_until_it_ends() -> None:
    started = ToolCallStart(0, "id", "f", True)
    assert assemble(started).broken_tool_calls == (ToolCallEnd(0, "id", "f", None, "", True),)
    assert assemble(started, ToolCallEnd(0, "id", "f", {}, "", True)).broken_tool_calls == ()


def test_a_call_whose_input_is_not_an_object_is_broken() -> None:
    end = ToolCallEnd(0, "id", "f", None, "[1]")
    response = assemble(ToolCallStart(0, "id", "f"), ToolCallDelta(0, "[1]"), end)
    assert (response.message.content, response.broken_tool_calls) == ((), (end,))


def test_the_error_for_a_broken_call_contains_the_received_input() -> None:
    end = ToolCallEnd(0, "id", "f", None, "[1]")
    response = assemble(end, MessageStop("max_tokens"), Metadata(Usage(5)))
    error = tool_input_error(end, response)
    assert (error.name, error.call_id, error.raw) == ("f", "id", "[1]")
    assert (error.stop_reason, error.usage, error.partial) == ("max_tokens", Usage(5), response)
    bare = tool_input_error(end, None)
    assert (bare.stop_reason, bare.usage, bare.partial) == (None, None, None)


@pytest.mark.parametrize(
    "events",
    [
        [ToolResultDelta(0, [{"text": "a"}])],
        [ToolCallDelta(0, "{}")],
        [ImageStart(0, "png")],
        [ImageStart(0, "avif"), ImageDelta(0, PNG)],
        [ImageDelta(0, b"no format")],
        [ImageStart(0, "png"), ImageDelta(0, b"")],
        [ImageStart(0, "png"), ImageDelta(0, error="blocked")],
        [ImageStart(0, "png"), ImageDelta(0, s3_location={"uri": 5})],
        [ImageStart(0, "png"), ImageDelta(0, s3_location={"new": 5})],
        [BlockStop(0)],
    ],
    ids=repr,
)
def test_a_block_that_cannot_be_sent_back_is_omitted_from_the_message(events: list[Event]) -> None:
    assert assemble(*events, TextDelta(1, "a")).message == Message.assistant("a")


def test_the_format_of_an_image_without_a_start_is_detected() -> None:
    assert assemble(ImageDelta(0, PNG)).message == Message.assistant(Image(PNG, "png"))


# ------------------------------------------------------------------------------------------------------------- metadata


def test_later_metadata_never_overwrites_known_values_with_none() -> None:
    response = assemble(
        Metadata(
            Usage(1, 2, cache_details=(CacheDetail("5m", 3),), extra={"a": 1}), 99, {"t": 1}, "standard", extra={"a": 1}
        ),
        Metadata(),
        Metadata(Usage(output_tokens=5, extra={"b": 2}), service_tier="flex", extra={"b": 2}),
        Metadata(latency_ms=0, trace={"t": 2}),
    )
    assert response.usage == Usage(1, 5, cache_details=(CacheDetail("5m", 3),), extra={"a": 1, "b": 2})
    assert (response.latency_ms, response.trace, response.performance) == (0, {"t": 2}, "standard")
    assert (response.service_tier, response.extra) == ("flex", {"a": 1, "b": 2})


def test_the_order_of_usage_and_other_metadata_does_not_matter() -> None:
    assert assemble(Metadata(Usage(1)), Metadata()).usage == assemble(Metadata(), Metadata(Usage(1))).usage == Usage(1)


# ------------------------------------------------------------------------------------------------------- long responses


def test_memory_for_thousands_of_deltas_is_proportional_to_their_text() -> None:
    count = 20_000
    assembly = Assembly()
    assembly.extend([ToolCallStart(2, "id", "f")])

    def deltas(n: int) -> list[Event]:
        return [TextDelta(0, f"word{n:06} "), ReasoningDelta(1, f"idea{n:06} "), ToolCallDelta(2, f"{n:09},")]

    tracemalloc.start()
    try:
        for n in range(count):
            assembly.extend(deltas(n))
        retained, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    response = assembly.response()
    assert response.text == "".join(f"word{n:06} " for n in range(count))
    assert response.reasoning == "".join(f"idea{n:06} " for n in range(count))
    assert response.broken_tool_calls[0].raw == "".join(f"{n:09}," for n in range(count))
    characters = len(response.text) + len(response.reasoning) + len(response.broken_tool_calls[0].raw)
    assert retained < 2 * characters


def test_a_response_can_be_built_from_blocks() -> None:
    blocks: list[Block] = [Text("a"), Text(" "), Reasoning("hm")]
    response = build_response(iter(blocks), None, Metadata(), route="invoke")
    assert response.message == Message.assistant("a", Reasoning("hm"))
    assert (response.text, response.reasoning, response.stop_reason, response.route) == ("a ", "hm", None, "invoke")


# ------------------------------------------------------------------------------------------------------- many fragments

# So many that a copy of all earlier ones for each, hundreds of gigabytes in total, would not end within the time limit.
MANY = 60_000


def test_any_number_of_parts_is_joined_in_their_order() -> None:
    parts = [index.to_bytes(4, "big") * 100 for index in range(MANY)]
    whole = b"".join(parts)
    events: list[Event] = [ImageStart(0, "png")]
    events += [ImageDelta(0, data=part) for part in parts]
    events += [ReasoningDelta(1, redacted=part) for part in parts]
    events += [ReasoningDelta(2, signature=str(index)) for index in range(MANY)]
    events += [ToolCallStart(3, "a", "f"), *(ToolCallDelta(3, str(index)) for index in range(MANY))]
    response = assemble(*events)
    image, redacted, signed = response.message.content
    assert isinstance(image, Image)
    assert image.data == whole
    assert redacted == Reasoning("", None, whole)
    assert signed == Reasoning("", "".join(map(str, range(MANY))))
    assert response.broken_tool_calls[0].raw == "".join(map(str, range(MANY)))


def test_any_number_of_unknown_metadata_is_merged_and_later_values_win() -> None:
    events = [
        Metadata(Usage(1, 2, 3, extra={f"u{index}": 1}), extra={f"m{index}": 1, "last": index}) for index in range(MANY)
    ]
    response = assemble(*events, Metadata(latency_ms=5))
    assert response.extra == {**{f"m{index}": 1 for index in range(MANY)}, "last": MANY - 1}
    assert response.usage == Usage(1, 2, 3, extra={f"u{index}": 1 for index in range(MANY)})
    assert response.latency_ms == 5


def test_a_response_so_far_does_not_change_with_later_events() -> None:
    assembly = Assembly()
    assembly.extend([ReasoningDelta(0, redacted=b"a"), Metadata(Usage(1, extra={"u": 1}), extra={"m": 1})])
    first = assembly.response()
    assembly.extend([ReasoningDelta(0, redacted=b"b"), Metadata(Usage(1, extra={"v": 1}), extra={"n": 1})])
    assert (first.message.content[0], first.extra) == (Reasoning("", None, b"a"), {"m": 1})
    assert first.usage == Usage(1, extra={"u": 1})
    assert assembly.response().extra == {"m": 1, "n": 1}
