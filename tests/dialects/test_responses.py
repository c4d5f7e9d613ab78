"""The Responses API: items of a conversation, streams and complete responses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    BlockStop,
    Citation,
    CitationDelta,
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
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.responses import Responses
from bedrock_stream.errors import InvalidFrame, ToolInputError, UnsupportedOperation
from bedrock_stream.types.messages import Block, Json, Raw
from bedrock_stream.types.options import read_options
from tests.support.reading import assemble
from tests.support.vendor_streams import COUNTS, Step, Wire, encode, read_bytes, responses, responses_answer

PNG = b"\x89PNG\r\n\x1a\n"
ITEM: Wire = {"id": "rs_9", "type": "reasoning", "summary": [], "encrypted_content": "rsn_abc"}
PACKED = msgspec.json.encode(ITEM)
LONG = "resp_" + "a" * 52
ENCRYPTED = ["reasoning.encrypted_content"]


def body(*messages: Message, **options: Any) -> Wire:
    return Responses("/v1").body(messages, read_options(options))


def read_documents(documents: list[Wire]) -> list[Event]:
    return read_bytes(Responses("/v1").reader(), encode("responses", documents))


def read(*steps: Step, **more: Any) -> list[Event]:
    return read_documents(responses(*steps, **more))


def without(documents: list[Wire], *kinds: str) -> list[Wire]:
    return [document for document in documents if document["type"] not in {f"response.{kind}" for kind in kinds}]


# --------------------------------------------------------------------------------------------------------------- bodies


def test_each_block_becomes_an_item_in_its_order() -> None:
    messages = [
        Message.user("Weather?"),
        Message(
            "assistant",
            [Reasoning("Hm", redacted=PACKED), Text("I'll "), Text("look."), ToolCall("c", "look", {"a": 1})],
        ),
        Message("user", [ToolResult("c", [Text("Rain"), Json({"mm": 4})]), Text("And"), Text("now?")]),
        Message("assistant", [Raw({"type": "web_search_call", "id": "ws_1"}), CitedText(("Sun",), ())]),
    ]
    assert body(*messages)["input"] == [
        {"role": "user", "content": "Weather?"},
        ITEM,
        {"role": "assistant", "content": "I'll look."},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "c", "output": 'Rain\n{"mm":4}'},
        {"role": "user", "content": "And\nnow?"},
        {"type": "web_search_call", "id": "ws_1"},
        {"role": "assistant", "content": "Sun"},
    ]


def test_attachments_are_data_urls_in_turns_and_in_results() -> None:
    blocks: list[Block] = [
        Text("See"),
        Image(PNG),
        Document(b"%PDF-", "pdf", name="a b"),
        Raw({"type": "input_text", "text": "x"}),
    ]
    result = ToolResult("c", [Json(1), Image(PNG)])
    turn, output = body(Message("user", blocks), Message("user", [result]))["input"]
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    assert msgspec.json.decode(msgspec.json.encode(turn["content"])) == [
        {"type": "input_text", "text": "See"},
        image,
        {"type": "input_file", "filename": "a b.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
        {"type": "input_text", "text": "x"},
    ]
    assert output["output"] == [{"type": "input_text", "text": "1"}, image]


@pytest.mark.parametrize(
    "block",
    [
        Reasoning("Hm"),
        Reasoning("Hm", "signature"),
        Reasoning(redacted=b"of another API"),
        Reasoning(redacted=b'{"type":"other"}'),
        Reasoning(redacted=b'{"type":"reasoning","id":"rs_1","summary":[]}'),
    ],
)
def test_reasoning_that_the_service_cannot_read_is_not_sent(block: Reasoning) -> None:
    assert body(Message("assistant", [block, Text("a")]))["input"] == [{"role": "assistant", "content": "a"}]


def test_reasoning_of_a_stored_answer_is_found_by_its_id() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    message = Message("assistant", [Reasoning(redacted=msgspec.json.encode(item)), Text("a")])
    assert body(message, store=True)["input"][0] == item


def test_reasoning_without_an_item_behind_it_is_not_sent() -> None:
    packed = Reasoning(redacted=PACKED)
    assert body(Message("assistant", [Text("a"), packed, packed]))["input"] == [{"role": "assistant", "content": "a"}]


def test_nothing_is_stored_unless_it_is_asked_for() -> None:
    assert body(Message.user("hi")) == {
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
        "include": ENCRYPTED,
    }
    assert body(Message.user("hi"), store=False)["store"] is False
    stored = body(Message.user("hi"), store=True, previous_response_id="resp_1")
    assert stored == {
        "input": [{"role": "user", "content": "hi"}],
        "store": True,
        "previous_response_id": "resp_1",
    }


@pytest.mark.parametrize("answer_id", ["resp_1", LONG])
def test_a_result_for_a_stored_answer_has_the_calls_own_id(answer_id: str) -> None:
    [call] = [event for event in read(("call", "call_12", "f", []), id=answer_id) if isinstance(event, ToolCallStart)]
    result = Message("user", [ToolResult(call.id, "Rain")])
    [output] = body(result, previous_response_id=answer_id)["input"]
    assert output["call_id"] == "call_12"
    [output] = body(result, previous_response_id="resp_another_answer")["input"]
    assert output["call_id"] == call.id


def test_options_have_the_names_of_this_api() -> None:
    def look(city: str) -> str:
        """Look."""
        return city

    options: Wire = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "request_metadata": {"a": "b"}}
    written = body(
        Message.user("hi"),
        **options,
        system="Be brief.",
        service_tier="flex",
        tools=[look, {"type": "web_search"}],
        tool_choice="look",
        extra={"store": True},
    )
    function, own = written.pop("tools")
    assert written == {
        "input": [{"role": "user", "content": "hi"}],
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "metadata": {"a": "b"},
        "tool_choice": {"type": "function", "name": "look"},
        "service_tier": "flex",
        "include": ENCRYPTED,
        "store": True,
    }
    assert (function["type"], function["name"], function["strict"]) == ("function", "look", False)
    assert own == {"type": "web_search"}


def test_the_callers_own_fields_of_reasoning_are_beside_the_effort() -> None:
    fields = {"reasoning": {"effort": "low"}}
    extra = {"reasoning": {"summary": "auto"}, "include": []}
    written = body(Message.user("hi"), additional_model_request_fields=fields, extra=extra)
    assert (written["reasoning"], written["include"]) == ({"effort": "low", "summary": "auto"}, [])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stop_sequences": ["END"]}, "stop_sequences"),
        ({"guardrail": {"guardrailIdentifier": "g"}}, "guardrail"),
        ({"performance": "optimized"}, "performance"),
        ({"tools": [{"type": "custom", "name": "x"}]}, r"tools\[0\]: custom tools"),
    ],
)
def test_an_option_that_it_does_not_have_is_refused(options: Wire, words: str) -> None:
    with pytest.raises(UnsupportedOperation, match=words):
        body(Message.user("hi"), **options)


def test_what_it_cannot_express_is_named() -> None:
    with pytest.raises(
        UnsupportedOperation, match=r"messages\[0\].content\[0\]: the Responses API .* ToolCall in user"
    ):
        body(Message("user", [ToolCall("c", "f")]))


# -------------------------------------------------------------------------------------------------------------- streams


def test_every_kind_of_item_becomes_a_block() -> None:
    steps = [
        ("item", ITEM),
        ("reasoning", ["Hm", "m"]),
        ("text", ["I'll ", "look."]),
        ("call", "call_0", "look", ['{"a"', ":1}"]),
        ("call", "call_1", "look", []),
    ]
    readable = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hmm"}],
    }
    usage = Usage(20, 9, 29, 0, reasoning_tokens=3)
    assert read(*steps) == [
        MessageStart("assistant"),
        ReasoningDelta(0, redacted=PACKED),
        BlockStop(0),
        ReasoningDelta(1, "Hm"),
        ReasoningDelta(1, "m"),
        ReasoningDelta(1, redacted=msgspec.json.encode(readable)),
        BlockStop(1),
        TextDelta(2, "I'll "),
        TextDelta(2, "look."),
        BlockStop(2),
        ToolCallStart(3, "resp_1:call_0", "look"),
        ToolCallDelta(3, '{"a"'),
        ToolCallDelta(3, ":1}"),
        ToolCallEnd(3, "resp_1:call_0", "look", {"a": 1}, '{"a":1}'),
        BlockStop(3),
        ToolCallStart(4, "resp_1:call_1", "look"),
        ToolCallEnd(4, "resp_1:call_1", "look", {}, ""),
        BlockStop(4),
        MessageStop("tool_use", "completed"),
        Metadata(usage=usage, service_tier="default", extra={"id": "resp_1"}),
    ]


CUT: Wire = {"incomplete_details": {"reason": "max_output_tokens"}}
FILTERED: Wire = {"incomplete_details": {"reason": "content_filter"}}
TOMORROW: Wire = {"incomplete_details": {"reason": "tomorrow"}}


@pytest.mark.parametrize(
    ("steps", "more", "stop"),
    [
        ([], {}, MessageStop("end_turn", "completed")),
        ([("text", ["a"])], {}, MessageStop("end_turn", "completed")),
        ([("refusal", ["I ", "cannot."])], {}, MessageStop("content_filtered", "completed")),
        ([("text", ["a"])], CUT, MessageStop("max_tokens", "max_output_tokens")),
        ([("call", "c", "f", [])], FILTERED, MessageStop("content_filtered", "content_filter")),
        ([("text", ["a"])], TOMORROW, MessageStop("tomorrow", "tomorrow")),
        ([("text", ["a"])], {"incomplete_details": None}, MessageStop("incomplete", "incomplete")),
    ],
)
def test_the_end_tells_why_the_message_stopped(steps: list[Step], more: Wire, stop: MessageStop) -> None:
    status = "incomplete" if "incomplete_details" in more else "completed"
    events = read(*steps, status=status, **more)
    assert stop in events
    response = Responses("/v1").answer(
        msgspec.json.encode(responses(*steps, status=status, **more)[-1]["response"]), request_id="r", model="m"
    )
    assert (response.stop_reason, response.raw_stop_reason) == (stop.stop_reason, stop.raw_stop_reason)


def test_what_is_done_without_deltas_is_taken_from_there() -> None:
    steps = [("reasoning", ["Hm"]), ("text", ["Hel", "lo"]), ("call", "call_0", "f", ['{"a":1}'])]
    whole = assemble(read(*steps))
    deltas = ("reasoning_text.delta", "output_text.delta", "function_call_arguments.delta")
    done = ("reasoning_text.done", "output_text.done", "function_call_arguments.done", "content_part.done")
    added = ("output_item.added", "content_part.added")
    for gone in (
        deltas,
        deltas + done,
        deltas + done + added,
        (*deltas, *done, *added, "output_item.done"),
        ("created",),
    ):
        documents = without(responses(*steps), *gone)
        assert assemble(read_documents(documents)) == whole, gone


def test_the_rest_of_a_text_is_taken_from_its_end() -> None:
    documents = [document for document in responses(("text", ["Hel", "lo"])) if document.get("delta") != "lo"]
    assert [event.text for event in read_documents(documents) if isinstance(event, TextDelta)] == ["Hel", "lo"]


def test_arguments_that_differ_from_their_deltas_are_never_run() -> None:
    documents = responses(("call", "c", "f", ['{"a":1}']))
    for document in documents:
        if document["type"].endswith("arguments.done"):
            document["arguments"] = '{"a":2}'
    with pytest.raises(InvalidFrame, match="differ"):
        read_documents(documents)
    for document in documents:
        if document["type"].endswith("arguments.done"):
            document["arguments"] = '{"a": 1}'  # the same object in other words
    assert assemble(read_documents(documents)).tool_calls == (ToolCall("resp_1:c", "f", {"a": 1}),)


def test_the_parts_of_reasoning_are_one_block() -> None:
    parts = [{"type": "summary_text", "text": text} for text in ("One.", "Two.")]
    item = {**ITEM, "summary": parts}
    documents = responses(("item", item))
    place = {"output_index": 0, "item_id": "rs_9"}
    for number in (1, 0):
        here = {**place, "summary_index": number}
        text = parts[number]["text"]
        documents[3:3] = [
            {"type": "response.reasoning_summary_part.added", **here, "part": {"type": "summary_text", "text": ""}},
            {"type": "response.reasoning_summary_text.delta", **here, "delta": text},
            {"type": "response.reasoning_summary_text.done", **here, "text": text},
            {"type": "response.reasoning_summary_part.done", **here, "part": parts[number]},
        ]
    response = assemble(read_documents(documents))
    assert response.message.content == (Reasoning("One.\n\nTwo.", redacted=msgspec.json.encode(item)),)
    assert not [event for event in read_documents(documents) if isinstance(event, UnknownEvent)]


def test_each_part_of_a_message_is_a_block() -> None:
    part = {"type": "output_text", "text": "b", "annotations": []}
    documents = responses(("text", ["a"]))
    for document in documents:
        if document["type"] == "response.output_item.done":
            document["item"]["content"].append(part)
    response = assemble(read_documents(documents))
    assert response.message.content == (Text("a"), Text("b"))


def test_citations_are_read_once() -> None:
    web = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
    file = {"type": "file_citation", "file_id": "f", "filename": "b.txt", "index": 1}
    documents = responses(("text", ["a"]))
    here = {"output_index": 0, "content_index": 0, "item_id": "msg_0"}
    documents.insert(
        5, {"type": "response.output_text.annotation.added", **here, "annotation_index": 0, "annotation": web}
    )
    for document in documents:
        if document["type"] == "response.output_item.done":
            document["item"]["content"][0]["annotations"] = [web, file]
    citations = [event.citation for event in read_documents(documents) if isinstance(event, CitationDelta)]
    assert citations == [
        Citation("A", location={"web": {"url": "https://a.example"}}, extra={"start_index": 0, "end_index": 1}),
        Citation("b.txt", location={"file_citation": {}}, extra={"type": "file_citation", "file_id": "f", "index": 1}),
    ]


def test_items_of_other_types_are_passed_on_and_go_back() -> None:
    item = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}
    documents = responses(("item", item), ("text", ["a"]))
    documents.insert(3, {"type": "response.web_search_call.searching", "output_index": 0})
    events = read_documents(documents)
    names = [event.name for event in events if isinstance(event, UnknownEvent)]
    assert names == ["response.output_item.added", "response.web_search_call.searching", "response.output_item.done"]
    message = assemble(events).message
    assert message.content == (Raw(item), Text("a"))
    assert body(message)["input"][0] == item


@pytest.mark.parametrize("members", [{}, {"logprobs": [], "new": None}, {"logprobs": [{"token": "a"}]}, {"new": 1}])
def test_unknown_members_of_a_delta_are_passed_on(members: Wire) -> None:
    documents = responses(("text", ["a"]))
    delta = next(document for document in documents if document["type"] == "response.output_text.delta")
    delta |= members
    events = read_documents(documents)
    assert assemble(events).text == "a"
    rest = {name: value for name, value in members.items() if value not in (None, [])}
    unknown = [event for event in events if isinstance(event, UnknownEvent)]
    assert unknown == ([UnknownEvent("response.output_text.delta", rest)] if rest else [])


def test_unknown_members_of_an_answer_are_told_with_its_end() -> None:
    response = assemble(read(("text", ["a"]), billing={"payer": "developer"}, moderation=None))
    assert response.extra == {"id": "resp_1", "billing": {"payer": "developer"}}


def test_counts_exclude_the_cache() -> None:
    details = {"cached_tokens": 5, "cache_write_tokens": 7}
    usage = {**COUNTS, "input_tokens_details": details}
    assert assemble(read(usage=usage)).usage == Usage(8, 9, 29, 5, 7, reasoning_tokens=3)
    assert assemble(read(usage=None)).usage is None


def test_an_id_never_exceeds_what_the_service_takes() -> None:
    for call_id in ("call_0", "call_10", "call_" + "x" * 24, "x" * 64, "x" * 70):
        events = read(("call", call_id, "f", []), id=LONG)
        [start] = [event for event in events if isinstance(event, ToolCallStart)]
        assert start.id.endswith(call_id)
        assert len(start.id) <= max(64, len(call_id))
    [start] = [event for event in read(("call", "call_0", "f", []), id=LONG) if isinstance(event, ToolCallStart)]
    assert start.id == f"{LONG}:call_0"


def test_the_name_of_an_event_counts_only_without_a_type() -> None:
    documents = responses(("text", ["a"]))
    named = [b"event: nonsense\ndata: " + msgspec.json.encode(document) + b"\n\n" for document in documents]
    assert assemble(read_bytes(Responses("/v1").reader(), named)).text == "a"
    typeless = []
    for document in documents:
        kind = document.pop("type")
        typeless.append(b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(document) + b"\n\n")
    assert assemble(read_bytes(Responses("/v1").reader(), typeless)).text == "a"


@pytest.mark.parametrize("late", ["response.created", "response.output_text.delta", "response.completed"])
def test_a_second_message_is_an_invalid_frame(late: str) -> None:
    documents = responses(("text", ["a"]))
    again = next(document for document in documents if document["type"] == late)
    with pytest.raises(InvalidFrame, match="end of the message"):
        read_documents([*documents, again])


def test_more_of_an_item_behind_its_end_is_an_invalid_frame() -> None:
    documents = responses(("text", ["a"]))
    delta = next(document for document in documents if document["type"] == "response.output_text.delta")
    with pytest.raises(InvalidFrame, match="follows its end"):
        read_documents([*documents[:-1], delta])


def test_another_answer_in_the_same_body_is_an_invalid_frame() -> None:
    with pytest.raises(InvalidFrame, match="second message"):
        read_documents([responses()[0], responses(id="resp_2")[0]])


@pytest.mark.parametrize(
    "document",
    [
        {"type": "response.output_text.delta", "output_index": "0", "delta": "a"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": 7},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{"},
        {"type": "response.output_item.added", "output_index": 0},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call"}},
        {"type": "response.completed", "response": {"output": 7}},
        {"type": "response.completed"},
    ],
)
def test_a_malformed_event_is_an_invalid_frame(document: Wire) -> None:
    with pytest.raises(InvalidFrame):
        read_documents([responses()[0], document])


# -------------------------------------------------------------------------------------------------- complete responses


def answer(*output: Wire, **more: Any) -> Any:
    body = msgspec.json.encode(responses_answer(output, **more))
    return Responses("/v1").answer(body, request_id="r", model="m", family="gpt")


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [("item", ITEM), ("text", ["a"])],
        [("reasoning", ["Hm"]), ("text", ["a"]), ("call", "call_0", "f", ['{"a":1}'])],
        [("item", {"id": "m", "type": "mcp_call", "output": None})],
        [("refusal", ["I cannot."])],
    ],
)
def test_a_complete_response_is_what_its_stream_adds_up_to(steps: list[Step]) -> None:
    documents = responses(*steps, new=1)
    streamed = assemble(read_documents(documents), route="responses", request_id="r", model="m", family="gpt")
    assert answer(*documents[-1]["response"]["output"], new=1) == streamed


def test_a_part_of_an_unknown_type_is_passed_on() -> None:
    part = {"type": "output_audio", "data": "aGk="}
    response = answer({"id": "msg", "type": "message", "content": [part, {"type": "output_text", "text": "a"}]})
    assert (response.text, response.extra["output"]) == ("a", [part])


def test_an_answer_that_is_not_over_does_not_look_over() -> None:
    for status in ("queued", "in_progress", "cancelled"):
        assert answer(status=status).stop_reason == status


def test_a_call_with_input_that_is_cut_off_raises() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a'}
    with pytest.raises(ToolInputError) as caught:
        answer(call, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    assert (caught.value.raw, caught.value.stop_reason) == ('{"a', "max_tokens")


@pytest.mark.parametrize("output", [None, 7, [7], [{"type": "message"}], [{"type": "function_call"}]])
def test_a_response_of_another_form_is_an_invalid_frame(output: Any) -> None:
    with pytest.raises(InvalidFrame):
        Responses("/v1").answer(
            msgspec.json.encode({"status": "completed", "output": output}), request_id=None, model="m"
        )
