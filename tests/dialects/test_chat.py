"""Chat Completions at a path of its own: bodies, streams and complete responses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedrock_stream import (
    Audio,
    BlockStop,
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
    ToolCallEnd,
    ToolResult,
    UnknownEvent,
    Usage,
)
from bedrock_stream.dialects.chat import Chat, TaggedChat
from bedrock_stream.errors import InvalidFrame, StreamInterrupted, ToolInputError, UnsupportedOperation
from bedrock_stream.types.messages import Block, Json, Raw
from bedrock_stream.types.options import read_options
from tests.support.reading import assemble
from tests.support.vendor_streams import Step, Wire, chat, chat_answer, encode, read_bytes

PNG = b"\x89PNG\r\n\x1a\n"
COUNTS = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def body(*messages: Message, **options: Any) -> Wire:
    return Chat("/v1").body(messages, read_options(options))


def read(*steps: Step, dialect: type[Chat] = Chat, **more: Any) -> list[Event]:
    return read_bytes(dialect("/v1").reader(), encode("chat", chat(*steps, **more)))


def read_documents(*documents: Wire) -> list[Event]:
    return read_bytes(Chat("/v1").reader(), encode("chat", documents))


# --------------------------------------------------------------------------------------------------------------- bodies


def test_a_conversation_with_tools_is_written() -> None:
    call = ToolCall("c1", "look", {"city": "Oslo"})
    messages = [
        Message.user("Weather?"),
        Message("assistant", [Reasoning("Hm"), Text("I'll "), CitedText(("look.",), ()), call]),
        Message("user", [ToolResult("c1", [Text("Rain"), Json({"mm": 4})], "error"), Text("And now?")]),
    ]
    function = {"name": "look", "arguments": '{"city":"Oslo"}'}
    assert body(*messages, system="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": "I'll look.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": 'Rain\n{"mm":4}'},
        {"role": "user", "content": "And now?"},
    ]


def test_attachments_are_data_urls() -> None:
    blocks: list[Block] = [
        Text("Compare."),
        Image(PNG),
        Image(s3_uri="s3://b/a.png"),
        Document(text="Oslo", name="city"),
        Audio(b"RIFF", "wav"),
        Raw({"type": "text", "text": "raw"}),
    ]
    [turn] = body(Message("user", blocks))["messages"]
    assert msgspec.json.decode(msgspec.json.encode(turn["content"])) == [
        {"type": "text", "text": "Compare."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "s3://b/a.png"}},
        {"type": "file", "file": {"filename": "city.txt", "file_data": "data:text/plain;base64,T3Nsbw=="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "text", "text": "raw"},
    ]


def test_options_have_the_names_of_this_api() -> None:
    def look(city: str) -> str:
        """Look."""
        return city

    options: Wire = {"max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "stop_sequences": ["END"]}
    written = body(Message.user("hi"), **options, service_tier="flex", tools=[look], tool_choice="look", extra={"n": 2})
    assert written | {"tools": None} == {
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "stop": ["END"],
        "tools": None,
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "service_tier": "flex",
        "n": 2,
    }
    assert [tool["function"]["name"] for tool in written["tools"]] == ["look"]


@pytest.mark.parametrize(("choice", "written"), [("any", "required"), ("auto", "auto"), ({"any": {}}, "required")])
def test_a_tool_choice_is_written(choice: Any, written: Any) -> None:
    own = {"type": "web_search"}
    wire = body(Message.user("hi"), tools=[own], tool_choice=choice)
    assert (wire["tools"], wire["tool_choice"]) == ([own], written)


def test_a_choice_in_the_apis_own_words_is_sent_as_it_is() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}
    assert body(Message.user("hi"), tools=[{"type": "web_search"}], tool_choice=choice)["tool_choice"] == choice


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Document(text="x", citations=True), "Document in user messages"),
        (Document(text="x", context="c"), "Document in user messages"),
        (Document(s3_uri="s3://b/a.pdf", format="pdf"), "Document in user messages"),
        (Image(s3_uri="s3://b/a.png", bucket_owner="123456789012"), "Image in user messages"),
        (ToolResult("c", [Image(PNG)]), "ToolResult in user messages"),
        (Raw({"text": "x"}), r"Raw \(text\)"),
    ],
)
def test_what_it_cannot_express_is_named(block: Any, words: str) -> None:
    with pytest.raises(UnsupportedOperation, match=rf"messages\[0\].content\[0\]: Chat Completions .* {words}"):
        body(Message("user", [block]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"request_metadata": {"a": "b"}}, "request_metadata"),
        ({"performance": "optimized"}, "performance"),
        ({"response_field_paths": ["/a"]}, "response_field_paths"),
        ({"prompt_variables": {"a": "b"}}, "prompt_variables"),
        ({"system": [{"guardContent": {}}]}, "only text in system"),
        ({"tools": [{"type": "custom", "name": "x"}]}, r"tools\[0\]: custom tools"),
        ({"tools": [{"systemTool": {"name": "x"}}]}, r"tools\[0\]"),
    ],
)
def test_an_option_that_it_does_not_have_is_refused(options: Wire, words: str) -> None:
    with pytest.raises(UnsupportedOperation, match=words):
        body(Message.user("hi"), **options)


def test_a_guardrail_and_a_project_are_headers() -> None:
    guardrail = {"guardrailIdentifier": "g", "guardrailVersion": "2", "trace": "enabled", "tagSuffix": "x"}
    options = read_options({"guardrail": guardrail, "project": "proj_1"})
    assert dict(Chat("/v1").headers(options, streaming=True)) == {
        "OpenAI-Project": "proj_1",
        "X-Amzn-Bedrock-GuardrailIdentifier": "g",
        "X-Amzn-Bedrock-GuardrailVersion": "2",
        "X-Amzn-Bedrock-Trace": "ENABLED",
    }
    written = Chat("/v1").body([Message.user("hi")], options)
    assert written["amazon-bedrock-guardrailConfig"] == {"tagSuffix": "x"}


def test_a_stream_asks_for_counts() -> None:
    dialect = Chat("/v1")
    assert dialect.complete_body({"a": 1}, "m", streaming=True) == {
        "model": "m",
        "a": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert dialect.complete_body({"stream_options": None}, "m", streaming=True)["stream_options"] is None
    assert dialect.complete_body({"a": 1}, "m", streaming=False) == {"model": "m", "a": 1}


# -------------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("member", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("more", [{}, {"unknown": None}])
def test_reasoning_is_a_block_of_its_own(member: str, more: Wire) -> None:
    assert read(("reasoning", ["Hm", "m"]), ("text", ["Yes", "."]), member=member, **more) == [
        MessageStart("assistant"),
        ReasoningDelta(0, "Hm"),
        ReasoningDelta(0, "m"),
        BlockStop(0),
        TextDelta(1, "Yes"),
        TextDelta(1, "."),
        BlockStop(1),
        MessageStop("end_turn", "stop"),
    ]


def test_reasoning_under_both_names_is_read_once() -> None:
    delta = {"reasoning": "Hm", "reasoning_content": "Hm", "unknown": 1}
    documents = chat()
    documents.insert(1, {"choices": [{"index": 0, "delta": delta}]})
    events = read_documents(*documents)
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["Hm"]
    assert UnknownEvent("chunk", {"choices": [{"delta": {"unknown": 1}}]}) in events


def test_tags_are_read_only_where_the_model_writes_them() -> None:
    pieces = ("text", ["<reas", "oning>Hm", "</reasoning>", "Yes"])
    assert assemble(read(pieces)).text == "<reasoning>Hm</reasoning>Yes"
    tagged = assemble(read(pieces, dialect=TaggedChat))
    assert (tagged.reasoning, tagged.text) == ("Hm", "Yes")


def test_counts_exclude_the_cache() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 10, "audio_tokens": 0}}
    usage = {**COUNTS, **details, "completion_tokens_details": {"reasoning_tokens": 4}}
    *_, stop, metadata = read(("text", ["x"]), usage=usage)
    extra = {"prompt_tokens_details": {"audio_tokens": 0}}
    expected = Usage(60, 20, 120, 30, 10, reasoning_tokens=4, extra=extra)
    assert (stop, metadata) == (MessageStop("end_turn", "stop"), Metadata(usage=expected))


def test_counts_smaller_than_the_cache_are_never_negative() -> None:
    usage = {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}
    assert assemble(read(usage=usage)).usage == Usage(input_tokens=0, cache_read_tokens=9)


def test_the_service_tier_is_told_with_the_end() -> None:
    assert assemble(read(("text", ["x"]), service_tier="flex")).service_tier == "flex"


def test_ids_that_each_answer_counts_anew_become_unique() -> None:
    calls = [
        ("call", "call_0", "f", ["{}"]),
        ("call", "functions.g:0", "g", ["{}"]),
        ("call", "chatcmpl-tool-9", "h", []),
    ]
    ends = [event for event in read(*calls, stop="tool_calls") if isinstance(event, ToolCallEnd)]
    assert [end.id for end in ends] == ["chatcmpl-1:call_0", "functions.g:0", "chatcmpl-tool-9"]


def test_a_refusal_is_text_and_stops_the_message() -> None:
    documents = chat()
    documents.insert(1, {"choices": [{"index": 0, "delta": {"refusal": "I cannot."}}]})
    response = assemble(read_documents(*documents))
    assert (response.text, response.stop_reason, response.raw_stop_reason) == ("I cannot.", "content_filtered", "stop")


def test_the_message_ends_with_its_reason_and_the_body_with_done() -> None:
    reader = Chat("/v1").reader()
    *documents, done = encode("chat", chat(("text", ["x"])))
    read_bytes(reader, documents)
    assert (reader.ended, reader.complete) == (True, False)
    read_bytes(reader, [done])
    assert reader.complete


def test_done_before_the_reason_is_an_interruption() -> None:
    with pytest.raises(StreamInterrupted):
        read_documents(*chat(("text", ["x"]))[:-1])


@pytest.mark.parametrize("data", [b"17", b"{oops", b"[]", b'{"choices":7}', b'{"choices":[{"delta":{"content":7}}]}'])
def test_a_document_of_another_form_is_an_invalid_frame(data: bytes) -> None:
    with pytest.raises(InvalidFrame):
        read_bytes(Chat("/v1").reader(), [b"data: " + data + b"\n\n"])


# -------------------------------------------------------------------------------------------------- complete responses


def answer(body: bytes, dialect: type[Chat] = Chat) -> Any:
    return dialect("/v1").answer(body, request_id="r", model="m", family="gpt")


def test_a_response_is_parsed() -> None:
    call = {"id": "call_0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"content": "Look", "reasoning": "Hm", "refusal": None, "tool_calls": [call], "annotations": None}
    response = answer(chat_answer(message, stop="tool_calls", usage=COUNTS, service_tier="default", new=[1]))
    assert response.message.content == (
        Reasoning("Hm", family="gpt"),
        Text("Look"),
        ToolCall("chatcmpl-1:call_0", "f", {"a": 1}),
    )
    assert (response.stop_reason, response.usage, response.service_tier) == ("tool_use", Usage(100, 20, 120), "default")
    assert (response.route, response.extra) == ("chat", {"new": [1]})


def test_tagged_reasoning_of_a_response_is_parsed_where_the_model_writes_it() -> None:
    body = chat_answer({"content": "<reasoning>Hm</reasoning>Yes"})
    assert answer(body).text == "<reasoning>Hm</reasoning>Yes"
    tagged = answer(body, TaggedChat)
    assert (tagged.reasoning, tagged.text) == ("Hm", "Yes")


def test_a_refusal_of_a_response_is_text() -> None:
    response = answer(chat_answer({"content": None, "refusal": "I cannot."}))
    assert (response.text, response.stop_reason) == ("I cannot.", "content_filtered")


def test_a_call_with_input_that_is_cut_off_raises() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a'}}
    with pytest.raises(ToolInputError) as caught:
        answer(chat_answer({"content": None, "tool_calls": [call]}, stop="length"))
    assert (caught.value.raw, caught.value.stop_reason) == ('{"a', "max_tokens")
