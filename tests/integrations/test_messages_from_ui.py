"""Requests of `useChat`: what becomes of each part, what is refused, and what the protocol sent comes back the same."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    Audio,
    BlockStop,
    Document,
    Image,
    Json,
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
    Usage,
    Video,
)
from bedrock_stream.errors import ConfigurationError, InvalidRequest
from bedrock_stream.integrations import ChatRequest, messages_from_openai, messages_from_ui
from bedrock_stream.integrations.protocols import StreamItem
from bedrock_stream.integrations.protocols.ui_message import UIMessageParts
from bedrock_stream.types.response import Assembly
from tests.support.planning import plan
from tests.support.ui_reader import read_ui_message

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
HELLO = {"role": "user", "parts": [{"type": "text", "text": "Hello"}]}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "1", "role": "user", "parts": list(parts)}


def answer(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": "2", "role": "assistant", "metadata": {"any": "thing"}, "parts": list(parts)}


def file(data: bytes, media_type: str, filename: str | None = None) -> dict[str, Any]:
    url = f"data:{media_type};base64,{b64encode(data).decode()}"
    return {"type": "file", "mediaType": media_type, "filename": filename, "url": url}


def messages_of(*messages: dict[str, Any], **limits: Any) -> list[Message]:
    return list(messages_from_ui({"id": "c", "trigger": "submit-message", "messages": list(messages)}, **limits)[0])


# --------------------------------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    "form", [dict, json.dumps, lambda body: json.dumps(body).encode(), lambda body: body["messages"]]
)
def test_a_body_is_taken_in_any_form(form: Any) -> None:
    request = messages_from_ui(form({"messages": [HELLO], "model": "x", "system": "x", "temperature": "hot"}))
    assert request == ChatRequest((Message.user("Hello"),), {})
    messages, options = request
    assert (messages, options) == (request.messages, request.options)


def test_what_only_a_page_shows_is_left_out() -> None:
    shown = answer(
        {"type": "step-start"},
        {"type": "source-url", "sourceId": "s", "url": "https://example.com"},
        {"type": "source-document", "sourceId": "s", "mediaType": "text/plain", "title": "t"},
        {"type": "data-weather", "data": {"text": 1}, "text": 5},
        {"type": "of-tomorrow", "text": []},
        {"type": "text", "text": " \n"},
        {"type": "text", "text": "Hi.", "state": "done", "providerMetadata": {"x": {}}},
    )
    unseen = user({"type": "data-clicked", "data": None})
    assert messages_of(HELLO, shown, unseen) == [Message.user("Hello"), Message.assistant("Hi.")]


def test_system_messages_are_refused_unless_they_are_allowed() -> None:
    system = {"role": "system", "parts": [{"type": "text", "text": "Obey me."}]}
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.role: a system message is not accepted.*allow_system"):
        messages_of(system, HELLO)
    request = messages_from_ui({"messages": [system, HELLO]}, allow_system=True)
    assert request == ((Message.user("Hello"),), {"system": "Obey me."})


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (file(PNG, "image/png"), Image(PNG)),
        (file(PNG, "image/jpeg"), Image(PNG)),  # its bytes decide
        (file(PNG, "application/octet-stream"), Image(PNG)),
        (file(b"%PDF-1.4", "application/pdf", "My report.pdf"), Document(b"%PDF-1.4", name="My report")),
        (file(b"a,b", "text/csv"), Document(b"a,b", "csv")),
        (file(b"x = 1", "text/x-python", "a.py"), Document(b"x = 1", "txt", name="a")),
        (file(b"{}", "application/json"), Document(b"{}", "txt")),
        (file(b"# A", "", "a.md"), Document(b"# A", "md", name="a")),
        (file(b"mov", "video/quicktime"), Video(b"mov", "mov")),
        (file(b"mp4", "video/mp4"), Video(b"mp4", "mp4")),
        (file(b"ID3", "audio/mpeg"), Audio(b"ID3", "mp3")),
        (file(b"wav", "audio/x-wav"), Audio(b"wav", "wav")),
    ],
    ids=lambda value: value["mediaType"] if isinstance(value, dict) else "",
)
def test_a_file_becomes_an_attachment(part: dict[str, Any], block: Any) -> None:
    (message,) = messages_of(user({"type": "text", "text": "See"}, part))
    assert message.content[1] == block


# ---------------------------------------------------------------------------------------------------------------- tools


def tool(state: str, **members: Any) -> dict[str, Any]:
    return {"type": "tool-f", "toolCallId": "a1", "state": state, "input": {"a": "x"}, **members}


@pytest.mark.parametrize(
    ("part", "result"),
    [
        (tool("output-available", output="rain"), ToolResult("a1", "rain", "success")),
        (tool("output-available", output={"sky": "rain"}), ToolResult("a1", Json({"sky": "rain"}), "success")),
        (tool("output-available", output=[1, 2]), ToolResult("a1", "[1,2]", "success")),
        (tool("output-available", output=3), ToolResult("a1", "3", "success")),
        (tool("output-available", output=" "), ToolResult("a1", "(no output)", "success")),
        (tool("output-available"), ToolResult("a1", "(no output)", "success")),
        (tool("output-error", errorText="broken"), ToolResult("a1", "broken", "error")),
        (tool("output-error"), ToolResult("a1", "The tool failed.", "error")),
        (
            tool("output-denied", approval={"id": "1", "approved": False, "reason": "no"}),
            ToolResult("a1", "no", "error"),
        ),
        (
            tool("approval-responded", approval={"id": "1", "approved": False, "reason": "no"}),
            ToolResult("a1", "no", "error"),
        ),
        (
            tool("output-denied"),
            ToolResult("a1", "The user denied the execution of this tool.", "error"),
        ),
    ],
)
def test_a_final_tool_part_becomes_a_call_and_its_result(part: dict[str, Any], result: ToolResult) -> None:
    expected = [
        Message.user("Hello"),
        Message.assistant("Look.", ToolCall("a1", "f", {"a": "x"})),
        Message.user(result),
    ]
    dynamic = {**part, "type": "dynamic-tool", "toolName": "f"}
    for one in (part, dynamic):
        assert messages_of(HELLO, answer({"type": "step-start"}, {"type": "text", "text": "Look."}, one)) == expected


@pytest.mark.parametrize(
    "part",
    [
        tool("input-streaming", input=None),
        tool("input-streaming"),
        tool("input-available"),
        tool("approval-requested", approval={"id": "1"}),
        tool("approval-responded", approval={"id": "1", "approved": True}),
        tool("output-available", output="so far", preliminary=True),
        tool("output-error", input=None, rawInput='{"a', errorText="invalid"),
        tool("output-available", output=["found"], providerExecuted=True),
        tool("of-tomorrow"),
    ],
)
def test_a_call_without_a_final_result_is_left_out(part: dict[str, Any]) -> None:
    left = answer({"type": "step-start"}, {"type": "text", "text": "Look."}, part)
    messages = messages_of(HELLO, left, user({"type": "text", "text": "never mind"}))
    assert messages == [Message.user("Hello"), Message.assistant("Look."), Message.user("never mind")]
    assert messages_of(HELLO, answer({"type": "step-start"}, part), HELLO) == [Message.user("Hello")] * 2


def test_each_step_is_a_turn_with_all_its_results_behind_it() -> None:
    first, second = tool("output-available", output="1"), tool("output-available", output="2", toolCallId="a2")
    text = {"type": "text", "text": "Rain."}
    expected = [
        Message.assistant(ToolCall("a1", "f", {"a": "x"}), ToolCall("a2", "f", {"a": "x"})),
        Message.user(ToolResult("a1", "1", "success"), ToolResult("a2", "2", "success")),
        Message.assistant("Rain."),
    ]
    step = {"type": "step-start"}
    assert messages_of(HELLO, answer(step, first, second, step, text))[1:] == expected
    assert messages_of(HELLO, answer(first, second, text))[1:] == expected  # a page that keeps no steps


S3 = {"s3Location": {"uri": "s3://secrets/key"}}


@pytest.mark.parametrize(
    "output",
    [
        {"image": {"format": "png", "source": S3}},
        [{"image": {"format": "png", "source": S3}}],
        [{"type": "raw", "value": {"document": {"name": "a", "format": "pdf", "source": S3}}}],
        [{"type": "image", "format": "png", "s3_uri": "s3://secrets/key"}],
        [{"type": "document", "format": "pdf", "s3_uri": "s3://secrets/key", "data": "eA=="}],
    ],
)
def test_an_output_never_names_what_the_account_reads(output: Any) -> None:
    messages = messages_of(HELLO, answer(tool("output-available", output=output)))
    (result,) = messages[-1].content
    assert isinstance(result, ToolResult)
    assert all(isinstance(block, Text | Json) for block in result.content)
    body = plan(CLAUDE, messages, tools=[{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}]).body
    (block,) = body["messages"][-1]["content"]
    assert all(set(item) <= {"text", "json"} for item in block["toolResult"]["content"])


# ------------------------------------------------------------------------------------------------------------ reasoning


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"text": "Hm", "providerMetadata": {"bedrock": {"signature": "s"}}}, Reasoning("Hm", "s")),
        ({"text": "", "providerMetadata": {"bedrock": {"redactedData": "AAE="}}}, Reasoning(redacted=b"\x00\x01")),
        ({"text": "Hm", "providerMetadata": {"anthropic": {"signature": "s"}}}, Reasoning("Hm")),
        ({"text": "Hm", "providerMetadata": {"bedrock": {"signature": 5}}}, Reasoning("Hm")),
        ({"text": "Hm", "providerMetadata": [1]}, Reasoning("Hm")),
        ({"text": "", "providerMetadata": {"bedrock": {"redactedData": "not base64!"}}}, None),
        ({"text": ""}, None),
        ({}, None),
    ],
)
def test_reasoning_keeps_what_the_protocol_sent(part: dict[str, Any], block: Reasoning | None) -> None:
    messages = messages_of(HELLO, answer({"type": "reasoning", **part}, {"type": "text", "text": "Hi."}))
    assert messages[1] == Message.assistant(*([] if block is None else [block]), "Hi.")


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("{", "body"),
        ("5", "body"),
        (None, "body"),
        (b"\xff", "body"),
        ('{"messages": [{"role": "user", "parts": [{"type": "text", "text": "\\ud800"}]}]}', "body"),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": "\ud800"}]}]}, "body"),
        ({"messages": [{"x": object()}]}, "body"),
        ({}, "body"),
        ({"messages": []}, "messages"),
        ({"messages": 5}, "messages"),
        ({"messages": [user({"type": "text", "text": " "})]}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [HELLO, {"role": "user"}]}, "messages[1]"),
        ({"messages": [{"role": "robot", "parts": []}]}, "messages[0].role"),
        ({"messages": [user({"text": "a"})]}, "messages[0].parts[0]"),
        ({"messages": [user({"type": "text", "text": 5})]}, "messages[0].parts[0].text"),
        ({"messages": [HELLO, user({"type": "file", "mediaType": "image/png", "url": "https://x/a.png"})]},
         "messages[1].parts[0].url"),
        ({"messages": [user({"type": "file", "mediaType": "image/png", "url": "s3://bucket/key"})]},
         "messages[0].parts[0].url"),
        ({"messages": [user({"type": "file", "mediaType": "image/png", "url": "data:image/png,raw"})]},
         "messages[0].parts[0].url"),
        ({"messages": [user({"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,%%"})]},
         "messages[0].parts[0].url"),
        ({"messages": [user(file(b"bmp", "image/bmp"))]}, "messages[0].parts[0].url"),
        ({"messages": [answer(tool("output-available", toolCallId=""))]}, "messages[0].parts[0]"),
        ({"messages": [answer(tool("output-available", toolCallId=5))]}, "messages[0].parts[0].toolCallId"),
    ],
)  # fmt: skip
def test_an_error_names_the_path(body: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_from_ui(body)
    assert caught.value.argument.startswith(path)
    assert str(caught.value).startswith(path)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("limits", "path"),
    [
        ({"max_bytes": 100}, "body"),
        ({"max_parts": 3}, "messages"),
        ({"max_file_bytes": len(PNG) - 1}, "messages[1].parts[0].url"),
    ],
)
def test_limits(limits: dict[str, int], path: str) -> None:
    body = [HELLO, user(file(PNG, "image/png"))]
    assert len(messages_of(*body)) == 2
    with pytest.raises(InvalidRequest, match="expected") as caught:
        messages_of(*body, **limits)
    assert (caught.value.argument, caught.value.status) == (path, 413)


@pytest.mark.parametrize("member", ["input", "output"])
def test_values_that_are_nested_too_deeply_are_refused(member: str) -> None:
    deep = {"a": json.loads("[" * 200 + "]" * 200)}
    with pytest.raises(InvalidRequest, match="levels of nesting") as caught:
        messages_of(answer({**tool("output-available", output="x"), member: deep}))
    assert caught.value.argument == f"messages[0].parts[0].{member}"


def test_json_that_would_need_much_memory_is_refused() -> None:
    part = tool("output-available", output=[[]] * 600_000)
    with pytest.raises(InvalidRequest, match="too complex") as caught:
        messages_of(answer(part))
    assert caught.value.status == 413
    many = [tool("output-available", output={"sky": "rain"}, toolCallId=str(number)) for number in range(12_000)]
    assert len(messages_of(answer(*many))[0].content) == 12_000  # small ones, of more than 1 MiB together


# ----------------------------------------------------------------------------------------------------------- properties

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(
    ["text", "reasoning", "file", "tool-f", "tool-", "dynamic-tool", "step-start", "data-x", "source-url", "other"]
)
STATES = st.sampled_from(["output-available", "output-error", "output-denied", "input-available", "other"])
URLS = st.sampled_from(["data:image/png;base64,iVBORw0KGgo=", "data:text/plain;base64,aGk=", "https://x", "data:;,"])
ANY_PARTS = st.fixed_dictionaries(
    {"type": TYPES | JSON},
    optional={
        "text": st.text(max_size=5) | JSON,
        "url": URLS | JSON,
        "mediaType": st.sampled_from(["image/png", "text/plain", "video/x", "a"]) | JSON,
        "filename": st.text(max_size=5) | JSON,
        "state": STATES | JSON,
        "toolCallId": st.sampled_from(["a", "b"]) | JSON,
        "toolName": st.just("f") | JSON,
        "input": JSON,
        "output": JSON,
        "errorText": JSON,
        "providerMetadata": st.just({"bedrock": {"signature": "s"}}) | JSON,
        "approval": JSON,
        "preliminary": JSON,
    },
)
ROLES = st.sampled_from(["user", "assistant", "system", "tool", "x"]) | JSON
ANY_MESSAGES = st.fixed_dictionaries(
    {"role": ROLES},
    optional={"parts": st.lists(ANY_PARTS, max_size=4) | JSON, "content": st.lists(ANY_PARTS, max_size=2) | JSON},
)
BODIES = st.fixed_dictionaries({"messages": st.lists(ANY_MESSAGES, max_size=3) | JSON}) | JSON


@given(BODIES | st.text(max_size=20) | st.binary(max_size=20), st.booleans())
def test_any_body_becomes_a_request_or_a_configuration_error(body: Any, allow_system: bool) -> None:
    for convert in (messages_from_ui, messages_from_openai):
        options = {"allow_system": allow_system} if convert is messages_from_ui else {}
        try:
            request = convert(body, **options)
        except ConfigurationError:
            continue
        assert isinstance(request, ChatRequest)
        try:
            plan(NOVA, request.messages, **request.options)
        except ConfigurationError:
            continue


NAMES = st.sampled_from(["weather", "now"])
RESULTS = st.one_of(
    st.text("ab ", min_size=1, max_size=5).filter(str.strip).map(lambda text: (Text(text),)),
    st.dictionaries(st.text("ab", max_size=2), st.integers(0, 9), max_size=2).map(lambda value: (Json(value),)),
    st.just((Text("a"), Image(PNG))),
    st.just((Json({"a": 1}), Text("b"))),
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[StreamItem], list[Message]]:
    """Draw the events of a tool run, and the messages that it adds to the conversation."""
    items: list[StreamItem] = []
    messages: list[Message] = []
    count = draw(st.integers(1, 3))
    for step in range(count):
        events: list[Any] = [MessageStart("assistant")]
        for index in range(draw(st.integers(0, 4))):
            events += draw(st.sampled_from([_text, _reasoning, _redacted, _broken] + [_tool] * (step < count - 1)))(
                draw, index, step
            )
        events += [MessageStop("end_turn"), Metadata(Usage(3, 5, 8))]
        assembly = Assembly()
        assembly.extend(events)
        message = assembly.response().message
        statuses: st.SearchStrategy[Literal["success", "error"]] = st.sampled_from(["success", "error"])
        results = [ToolResult(call.id, draw(RESULTS), draw(statuses)) for call in message.tool_calls]
        items += [*events, *results]
        messages += [message] if message.content else []
        messages += [Message("user", [_as_sent(result) for result in results])] if results else []
    return items, messages


def _text(draw: st.DrawFn, index: int, step: int) -> list[Any]:
    return [*(TextDelta(index, text) for text in draw(st.lists(st.text("ab \n", max_size=4)))), BlockStop(index)]


def _reasoning(draw: st.DrawFn, index: int, step: int) -> list[Any]:
    texts = [ReasoningDelta(index, text=text) for text in draw(st.lists(st.text("ab ", max_size=4)))]
    signed = [ReasoningDelta(index, signature=text) for text in draw(st.lists(st.text("xy", min_size=1, max_size=4)))]
    return [*texts, *signed, BlockStop(index)] if any(one.text for one in texts) or signed else []


def _redacted(draw: st.DrawFn, index: int, step: int) -> list[Any]:
    chunks = draw(st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=3))
    return [*(ReasoningDelta(index, redacted=chunk) for chunk in chunks), BlockStop(index)]


def _tool(draw: st.DrawFn, index: int, step: int) -> list[Any]:
    call_id, name, value = f"c{step}-{index}", draw(NAMES), {"city": draw(st.text("ab", max_size=3))}
    raw = json.dumps(value)
    end = ToolCallEnd(index, call_id, name, value, raw)
    call = [ToolCallStart(index, call_id, name), ToolCallDelta(index, raw), end]
    return [*call, BlockStop(index)]


def _broken(draw: st.DrawFn, index: int, step: int) -> list[Any]:
    call_id, raw = f"c{step}-{index}", '{"a'
    end = ToolCallEnd(index, call_id, "now", None, raw)
    call = [ToolCallStart(index, call_id, "now"), ToolCallDelta(index, raw), end]
    return [*call, BlockStop(index)]


def _as_sent(result: ToolResult) -> ToolResult:
    """Return a failed result as the protocol sends it: as text."""
    if result.status != "error":
        return result
    match result.content:
        case (Text(),):
            return result
        case (Json(value=value),):
            return ToolResult(result.id, msgspec.json.encode(value).decode(), "error")
    return ToolResult(result.id, msgspec.json.encode(result.content).decode(), "error")


@given(steps())
def test_what_the_protocol_streams_comes_back_as_the_messages_of_the_run(
    drawn: tuple[list[StreamItem], list[Message]],
) -> None:
    items, messages = drawn
    writer = UIMessageParts(message_id="m1", include_usage=True)
    page = read_ui_message(b"".join(writer.event(item) for item in items) + writer.end())
    assert page["id"] == "m1"
    assert messages_of(HELLO, page) == [Message.user("Hello"), *messages]
