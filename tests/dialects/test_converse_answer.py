"""A whole Converse answer: typed, complete, and fit to go back exactly as it came."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream import (
    Citation,
    CitedText,
    Message,
    Raw,
    Reasoning,
    Response,
    Text,
    ToolCall,
    ToolCallEnd,
    ToolResult,
    Usage,
)
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.blocks import read_block
from bedrock_stream.dialects.converse.body import write_body
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, InvalidFrame, ToolInputError
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.options import Options
from tests.support.botocore_oracle import read_by_botocore, written_by_botocore

Wire = dict[str, Any]


def body(*content: Wire, **members: Any) -> bytes:
    return msgspec.json.encode(
        {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn", **members}
    )


def answer(*content: Wire, **members: Any) -> Response:
    return Converse().answer(body(*content, **members), request_id="r-1", model="m")


def written_back(response: Response) -> list[Wire]:
    """The answer's content as it goes back on the next turn."""
    messages = [Message.user("a"), response.message, Message.user("b")]
    sent = msgspec.json.decode(msgspec.json.encode(write_body(messages, Options())))
    content: list[Wire] = sent["messages"][1]["content"]
    return content


# --------------------------------------------------------------------------------------------------------------- blocks

PAGE = {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}
CITED = {
    "content": [{"text": "a"}, {"text": "b"}],
    "citations": [{"title": "t", "source": "s", "sourceContent": [{"text": "c"}], "location": PAGE}],
}
BLOCKS: dict[str, tuple[Wire, Any]] = {
    "text": ({"text": "a"}, Text("a")),
    "reasoning": (
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        Reasoning("hm", "sig"),
    ),
    "unsigned reasoning": ({"reasoningContent": {"reasoningText": {"text": "hm"}}}, Reasoning("hm")),
    "signature alone": (
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "sig"}}},
        Reasoning(signature="sig"),
    ),
    "redacted": ({"reasoningContent": {"redactedContent": "AP8="}}, Reasoning(redacted=b"\x00\xff")),
    "tool call": (
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {"a": [1, None]}}},
        ToolCall("id", "f", {"a": [1, None]}),
    ),
    "server tool call": (
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "server_tool_use"}},
        ToolCall("id", "f", server=True),
    ),
    "tool call of tomorrow": (
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "remote", "new": [1]}},
        ToolCall("id", "f", extra={"type": "remote", "new": [1]}),
    ),
    "tool result": (
        {"toolResult": {"toolUseId": "id", "content": [{"text": "a"}, {"new": {}}], "status": "error", "type": "k"}},
        ToolResult("id", [Raw({"text": "a"}), Raw({"new": {}})], "error", "k"),
    ),
    "tool result without content": ({"toolResult": {"toolUseId": "id", "content": []}}, ToolResult("id")),
    "cited text": ({"citationsContent": CITED}, CitedText(("a", "b"), (Citation("t", "s", ("c",), PAGE),))),
    "odd citation": (
        {
            "citationsContent": {
                "content": [{"text": "a"}],
                "citations": [{"title": None, "sourceContent": [], "new": 1}],
            }
        },
        CitedText(("a",), (Citation(extra={"title": None, "sourceContent": [], "new": 1}),)),
    ),
}
# What the typed form could not say in full stays as it came.
RAW: dict[str, Wire] = {
    "block of tomorrow": {"hologram": {"depth": None}},
    "two members": {"text": "a", "new": 1},
    "two members, empty text": {"text": "", "new": 1},
    "image of tomorrow": {"image": {"format": "jxl", "source": {"bytes": "AP8="}}},
    "image with more": {"image": {"format": "png", "source": {"bytes": "AP8="}, "new": 1}},
    "image, no base64": {"image": {"format": "png", "source": {"bytes": "?"}}},
    "image from elsewhere": {"image": {"format": "png", "source": {"url": "x"}}},
    "cache point of tomorrow": {"cachePoint": {"type": "other"}},
    "text of another type": {"text": {"a": 1}},
    "reasoning with more": {"reasoningContent": {"reasoningText": {"text": "hm", "new": 1}}},
    "reasoning of tomorrow": {"reasoningContent": {"summary": "hm"}},
    "redacted with more": {"reasoningContent": {"redactedContent": "AP8=", "new": 1}},
    "redacted, no base64": {"reasoningContent": {"redactedContent": "?"}},
    "redacted, no ASCII": {"reasoningContent": {"redactedContent": "ü"}},
    "redacted, loose base64": {"reasoningContent": {"redactedContent": "QR=="}},
    "tool result with more": {"toolResult": {"toolUseId": "id", "content": [], "new": 1}},
    "tool result of tomorrow": {"toolResult": {"toolUseId": "id", "content": [{"text": "a"}], "status": "unsure"}},
    "tool result without an id": {"toolResult": {"content": []}},
    "tool result of another type": {"toolResult": {"toolUseId": "id", "content": [5]}},
    "cited text with more": {"citationsContent": {**CITED, "new": 1}},
    "cited text without citations": {"citationsContent": {"content": [{"text": "a"}]}},
    "cited text of another type": {"citationsContent": {"content": [{"image": {}}], "citations": []}},
    "tool call without a name": {"toolUse": {"toolUseId": "id", "input": {}}},
    "empty": {},
}


@pytest.mark.parametrize(("wire", "block"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_read_and_goes_back_as_it_came(wire: Wire, block: Any) -> None:
    response = answer(wire)
    assert response.message == Message("assistant", [block])
    assert written_back(response) == [wire]


@pytest.mark.parametrize("wire", RAW.values(), ids=RAW)
def test_a_block_that_the_typed_form_cannot_say_stays_as_it_came(wire: Wire) -> None:
    response = answer(wire)
    assert response.message.content == (Raw(wire),)
    assert written_back(response) == [wire]


def test_a_whole_answer_goes_back_block_for_block() -> None:
    content = [wire for wire, _ in BLOCKS.values()] + list(RAW.values())
    response = answer(*content)
    assert written_back(response) == content
    assert msgspec.json.decode(msgspec.json.encode(response.message), type=Message) == response.message


def test_a_type_that_answers_say_and_requests_may_not_is_dropped() -> None:
    wire = {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "tool_use"}}
    response = answer(wire)
    assert response.tool_calls == (ToolCall("id", "f"),)
    (back,) = written_back(response)
    assert back == {"toolUse": {"toolUseId": "id", "name": "f", "input": {}}}
    written_by_botocore({"messages": [{"role": "assistant", "content": [back]}]})


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_stays_out_of_the_message_and_in_the_text(blank: str) -> None:
    cited = {"citationsContent": {"content": [{"text": blank}], "citations": [{"title": "t"}]}}
    response = answer({"text": blank}, {"text": "a"}, cited)
    assert response.message == Message.assistant("a")
    assert response.text == f"{blank}a{blank}"
    assert response.citations == (Citation("t"),)


# ----------------------------------------------------------------------------------------------------- the whole answer


def test_everything_that_an_answer_says_has_its_place() -> None:
    response = answer(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"text": "one "},
        {"citationsContent": CITED},
        {"toolUse": {"toolUseId": "1", "name": "f", "input": {}}},
        {"toolUse": {"toolUseId": "2", "name": "g", "input": {}, "type": "server_tool_use"}},
        stopReason="tool_use",
        usage={
            "inputTokens": 1,
            "outputTokens": 2,
            "totalTokens": 3,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 4}],
        },
        metrics={"latencyMs": 99},
        additionalModelResponseFields={"a": 1},
        trace={"promptRouter": {}},
        performanceConfig={"latency": "optimized"},
        serviceTier={"type": "flex"},
        new=[1],
    )
    assert response == Response(
        message=Message.assistant(
            Reasoning("hm", "sig"),
            "one ",
            CitedText(("a", "b"), (Citation("t", "s", ("c",), PAGE),)),
            ToolCall("1", "f"),
            ToolCall("2", "g", server=True),
        ),
        text="one ab",
        reasoning="hm",
        tool_calls=(ToolCall("1", "f"),),
        citations=(Citation("t", "s", ("c",), PAGE),),
        stop_reason="tool_use",
        usage=Usage(1, 2, 3, cache_details=(CacheDetail("1h", 4),)),
        latency_ms=99,
        additional_fields={"a": 1},
        trace={"promptRouter": {}},
        performance="optimized",
        service_tier="flex",
        extra={"new": [1]},
        request_id="r-1",
        model="m",
        route="converse",
    )


def test_an_answer_that_says_little_leaves_the_rest_unknown() -> None:
    response = answer()
    assert response.message.content == ()
    assert (response.text, response.usage, response.latency_ms, response.extra) == ("", None, None, {})


def test_a_stop_reason_of_tomorrow_passes_through() -> None:
    assert answer(stopReason="got_bored").stop_reason == "got_bored"


def test_botocore_reads_the_same_answer_alike() -> None:
    content: list[Wire] = [
        {"text": "a"},
        {"reasoningContent": {"redactedContent": "AP8="}},
        {"citationsContent": CITED},
    ]
    usage = {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 3,
        "cacheReadInputTokens": 4,
        "cacheWriteInputTokens": 5,
    }
    sent = body(*content, usage=usage, metrics={"latencyMs": 99})
    theirs, ours = read_by_botocore(sent), Converse().answer(sent, request_id=None, model="m")
    blocks = write_body([ours.message], Options())["messages"][0]["content"]
    assert blocks == theirs["output"]["message"]["content"]
    assert ours.stop_reason == theirs["stopReason"]
    assert ours.latency_ms == theirs["metrics"]["latencyMs"]
    assert ours.usage == Usage(*theirs["usage"].values())


# --------------------------------------------------------------------------------------------------------- broken calls


@pytest.mark.parametrize(
    ("given", "raw"), [([1], "[1]"), ('{"a": 1}', r'"{\"a\": 1}"'), (None, "null"), (5, "5"), ("", '""')]
)
def test_an_input_that_is_no_object_is_an_error_as_in_a_stream(given: Any, raw: str) -> None:
    with pytest.raises(ToolInputError) as caught:
        answer(
            {"text": "a"},
            {"toolUse": {"toolUseId": "id", "name": "f", "input": given, "type": "tool_use"}},
            usage={"inputTokens": 1},
            stopReason="max_tokens",
        )
    error = caught.value
    assert (error.name, error.call_id, error.raw, error.stop_reason) == ("f", "id", raw, "max_tokens")
    assert error.usage == Usage(1)
    assert error.partial.message == Message.assistant("a")
    assert error.partial.broken_tool_calls == (ToolCallEnd(1, "id", "f", None, raw),)


def test_an_absent_input_is_no_empty_one() -> None:
    with pytest.raises(ToolInputError, match="null"):
        answer({"toolUse": {"toolUseId": "id", "name": "f"}})


def test_the_first_broken_call_is_told_and_the_good_ones_stay() -> None:
    calls: list[Wire] = [
        {"toolUse": {"toolUseId": str(n), "name": "f", "input": given}} for n, given in enumerate([{}, [], 5])
    ]
    with pytest.raises(ToolInputError) as caught:
        answer(*calls)
    assert caught.value.call_id == "1"
    assert [call.id for call in caught.value.partial.broken_tool_calls] == ["1", "2"]
    assert [call.id for call in caught.value.partial.tool_calls] == ["0"]


def test_a_broken_call_that_the_service_runs_is_not_the_callers_business() -> None:
    server = {"toolUse": {"toolUseId": "id", "name": "f", "input": [], "type": "server_tool_use"}}
    response = answer({"text": "a"}, server)
    assert response.message == Message.assistant("a")
    assert response.broken_tool_calls == (ToolCallEnd(1, "id", "f", None, "[]", server=True),)


# ------------------------------------------------------------------------------------------------------- broken answers


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b'{"a":"\xff"}',
        b"[" * 100_000,
        b"null",
        b"[]",
        b"{}",
        b'{"output":null}',
        b'{"output":[]}',
        b'{"output":{"message":{"role":"assistant"}},"stopReason":"a"}',
        b'{"output":{"message":{"content":"a"}},"stopReason":"a"}',
        b'{"output":{"message":{"content":[]}}}',
        b'{"output":{"message":{"content":[]}},"stopReason":5}',
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_an_answer_that_is_not_as_described_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidFrame, match="the answer is not as the service describes it"):
        Converse().answer(sent, request_id=None, model="m")


@pytest.mark.parametrize("block", ["a", 5, None, []])
def test_a_block_that_is_no_object_is_refused(block: Any) -> None:
    with pytest.raises(InvalidFrame, match=f"a content block is a {type(block).__name__}, not an object"):
        answer(block)


def test_a_citation_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidFrame, match="a citation is a str, not an object"):
        answer({"citationsContent": {"content": [], "citations": ["here"]}})


# ---------------------------------------------------------------------------------------------------- whatever comes in

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = sorted(
    {
        *("text", "reasoningContent", "reasoningText", "signature", "redactedContent", "toolUse", "toolUseId", "name"),
        *("input", "type", "toolResult", "content", "status", "citationsContent", "citations", "title", "source"),
        *("sourceContent", "location", "image", "usage", "metrics", "trace", "stopReason", "output", "message"),
    }
)
wires = st.recursive(
    json_values | st.sampled_from(["AP8=", "\u00fc", "tool_use", "server_tool_use"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3),
    max_leaves=12,
)
any_blocks = st.dictionaries(st.sampled_from(MEMBERS), wires, min_size=1, max_size=2)
answers = st.one_of(
    st.binary(max_size=40),
    wires.map(msgspec.json.encode),
    st.builds(
        lambda blocks, members: body(*blocks, **members),
        st.lists(any_blocks, max_size=3),
        st.dictionaries(st.sampled_from(["usage", "metrics", "trace", "stopReason", "serviceTier", "new"]), wires),
    ),
)


@given(answers)
def test_whatever_comes_in_nothing_but_our_own_errors_comes_out(sent: bytes) -> None:
    try:
        response = Converse().answer(sent, request_id=None, model="m")
    except InvalidFrame:
        return
    except BedrockStreamError as error:
        assert isinstance(error, ToolInputError)  # noqa: PT017  any other is a bug
        response = error.partial
    msgspec.json.encode(response)


@example({"text": ""})
@given(any_blocks)
def test_any_block_goes_back_as_it_came(wire: Wire) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(wire))
    try:
        block = read_block(wire)
    except InvalidFrame:
        return
    if wire == {"text": ""}:  # answers may hold one, turns may not: a response leaves it out of its message
        with pytest.raises(ConfigurationError, match="expected non-empty text"):
            Message("assistant", [block])
        return
    back = msgspec.json.decode(msgspec.json.encode(write_body([Message("assistant", [block])], Options())))
    if isinstance(block, ToolCall) and wire["toolUse"].get("type") == "tool_use":
        del wire["toolUse"]["type"]
    assert back["messages"][0]["content"] == [wire]
