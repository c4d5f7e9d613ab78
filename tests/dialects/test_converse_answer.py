"""Complete Converse responses: parsing, and sending each block back unchanged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bedrock_stream import (
    Citation,
    CitedText,
    Document,
    Message,
    Raw,
    Reasoning,
    Response,
    SearchResult,
    Text,
    ToolCall,
    ToolCallEnd,
    ToolResult,
    Usage,
)
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.dialects.converse.blocks import read_block
from bedrock_stream.dialects.converse.body import write_body
from bedrock_stream.errors import BedrockStreamError, ConfigurationError, InvalidFrame, ServiceError, ToolInputError
from bedrock_stream.types.events import CacheDetail
from bedrock_stream.types.options import Options
from tests.support.botocore_oracle import read_by_botocore, written_by_botocore
from tests.support.reading import partial_of

Wire = dict[str, Any]


def body(*content: Wire, **members: Any) -> bytes:
    return msgspec.json.encode(
        {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn", **members}
    )


def answer(*content: Wire, **members: Any) -> Response:
    return Converse().answer(body(*content, **members), request_id="r-1", model="m")


def written_back(response: Response) -> list[Wire]:
    """Return the response's content as it is sent back on the next turn."""
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
FOUND = {"source": "s", "title": "t", "content": [{"text": "a"}, {"text": "b"}]}
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
    "tool call with unknown members": (
        {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "remote", "new": [1]}},
        ToolCall("id", "f", extra={"type": "remote", "new": [1]}),
    ),
    "tool result": (
        {"toolResult": {"toolUseId": "id", "content": [{"text": "a"}, {"new": {}}], "status": "error", "type": "k"}},
        ToolResult("id", [Raw({"text": "a"}), Raw({"new": {}})], "error", "k"),
    ),
    "tool result without content": ({"toolResult": {"toolUseId": "id", "content": []}}, ToolResult("id")),
    "search result": (
        {"searchResult": {**FOUND, "citations": {"enabled": True}}},
        SearchResult("s", "t", ["a", "b"], citations=True),
    ),
    "search result without citations": ({"searchResult": FOUND}, SearchResult("s", "t", ["a", "b"])),
    "document of text": (
        {"document": {"format": "md", "name": "n", "source": {"text": "a"}}},
        Document(text="a", format="md", name="n"),
    ),
    "cited text": ({"citationsContent": CITED}, CitedText(("a", "b"), (Citation("t", "s", ("c",), PAGE),))),
    "citation with unknown members": (
        {
            "citationsContent": {
                "content": [{"text": "a"}],
                "citations": [{"title": None, "sourceContent": [], "new": 1}],
            }
        },
        CitedText(("a",), (Citation(extra={"title": None, "sourceContent": [], "new": 1}),)),
    ),
}
# Blocks that the typed form cannot represent completely.
RAW: dict[str, Wire] = {
    "unknown block": {"hologram": {"depth": None}},
    "two members": {"text": "a", "new": 1},
    "two members, empty text": {"text": "", "new": 1},
    "unknown image format": {"image": {"format": "jxl", "source": {"bytes": "AP8="}}},
    "image with an unknown member": {"image": {"format": "png", "source": {"bytes": "AP8="}, "new": 1}},
    "image, not base64": {"image": {"format": "png", "source": {"bytes": "?"}}},
    "image with an unknown source": {"image": {"format": "png", "source": {"url": "x"}}},
    "document of blank text": {"document": {"format": "md", "name": "n", "source": {"text": ""}}},
    "document of text without a format": {"document": {"name": "n", "source": {"text": "a"}}},
    "image of text": {"image": {"format": "png", "source": {"text": "a"}}},
    "search result with citations off": {"searchResult": {**FOUND, "citations": {"enabled": False}}},
    "search result without texts": {"searchResult": {**FOUND, "content": []}},
    "search result of another type": {"searchResult": {**FOUND, "content": [{"image": {}}]}},
    "unknown cache point": {"cachePoint": {"type": "other"}},
    "text of another type": {"text": {"a": 1}},
    "reasoning with an unknown member": {"reasoningContent": {"reasoningText": {"text": "hm", "new": 1}}},
    "unknown reasoning": {"reasoningContent": {"summary": "hm"}},
    "redacted with an unknown member": {"reasoningContent": {"redactedContent": "AP8=", "new": 1}},
    "redacted, not base64": {"reasoningContent": {"redactedContent": "?"}},
    "redacted, not ASCII": {"reasoningContent": {"redactedContent": "ü"}},
    "redacted, loose base64": {"reasoningContent": {"redactedContent": "QR=="}},
    "tool result with an unknown member": {"toolResult": {"toolUseId": "id", "content": [], "new": 1}},
    "tool result with an unknown status": {
        "toolResult": {"toolUseId": "id", "content": [{"text": "a"}], "status": "unsure"}
    },
    "tool result without an id": {"toolResult": {"content": []}},
    "tool result of another type": {"toolResult": {"toolUseId": "id", "content": [5]}},
    "cited text with an unknown member": {"citationsContent": {**CITED, "new": 1}},
    "cited text of another type": {"citationsContent": {"content": [{"image": {}}], "citations": []}},
    "tool call without a name": {"toolUse": {"toolUseId": "id", "input": {}}},
    "empty": {},
}


@pytest.mark.parametrize(("wire", "block"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_is_parsed_and_sent_back_unchanged(wire: Wire, block: Any) -> None:
    response = answer(wire)
    assert response.message == Message("assistant", [block])
    assert written_back(response) == [wire]


@pytest.mark.parametrize("wire", RAW.values(), ids=RAW)
def test_a_block_without_a_typed_form_is_kept_unchanged(wire: Wire) -> None:
    response = answer(wire)
    assert response.message.content == (Raw(wire),)
    assert written_back(response) == [wire]


def test_all_blocks_of_a_response_are_sent_back_unchanged() -> None:
    content = [wire for wire, _ in BLOCKS.values()] + list(RAW.values())
    response = answer(*content)
    assert written_back(response) == content
    assert msgspec.json.decode(msgspec.json.encode(response.message), type=Message) == response.message


def test_the_type_of_a_call_is_dropped_where_requests_reject_it() -> None:
    wire = {"toolUse": {"toolUseId": "id", "name": "f", "input": {}, "type": "tool_use"}}
    response = answer(wire)
    assert response.tool_calls == (ToolCall("id", "f"),)
    (back,) = written_back(response)
    assert back == {"toolUse": {"toolUseId": "id", "name": "f", "input": {}}}
    written_by_botocore({"messages": [{"role": "assistant", "content": [back]}]})


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_in_the_text_and_not_in_the_message(blank: str) -> None:
    cited = {"citationsContent": {"content": [{"text": blank}], "citations": [{"title": "t"}]}}
    response = answer({"text": blank}, {"text": "a"}, cited)
    assert response.message == Message.assistant("a")
    assert response.text == f"{blank}a{blank}"
    assert response.citations == (Citation("t", start=len(blank) + 1, end=2 * len(blank) + 1),)


@pytest.mark.parametrize("citations", [{}, {"citations": None}])
def test_cited_text_without_citations_is_text(citations: Wire) -> None:
    response = answer({"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], **citations}})
    assert response.message == Message.assistant("ab")
    assert (response.text, response.citations) == ("ab", ())
    assert written_back(response) == [{"text": "ab"}]


def test_citations_have_the_position_of_their_block_in_the_text() -> None:
    cited = [{"citationsContent": {"content": [{"text": t}], "citations": [{"title": t}]}} for t in ("bc", "def")]
    response = answer({"text": "a"}, *cited, {"text": "g"})
    assert [response.text[item.start : item.end] for item in response.citations] == ["bc", "def"]
    # The message has the citations as they are sent back, without a position in this response.
    assert response.message.content[1] == CitedText(("bc",), (Citation("bc"),))


# ------------------------------------------------------------------------------------------------ the complete response


def test_all_members_of_a_response_are_parsed() -> None:
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
        citations=(Citation("t", "s", ("c",), PAGE, start=4, end=6),),
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


def test_absent_members_of_a_response_are_unknown() -> None:
    response = answer()
    assert response.message.content == ()
    assert (response.text, response.usage, response.latency_ms, response.extra) == ("", None, None, {})


def test_an_unknown_stop_reason_is_passed_through() -> None:
    assert answer(stopReason="got_bored").stop_reason == "got_bored"


def test_botocore_parses_the_same_response_alike() -> None:
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


# ------------------------------------------------------------------------------------------------------ malformed calls


@pytest.mark.parametrize(
    ("value", "raw"), [([1], "[1]"), ('{"a": 1}', r'"{\"a\": 1}"'), (None, "null"), (5, "5"), ("{}", '"{}"')]
)
def test_an_input_that_is_not_an_object_is_an_error_as_in_a_stream(value: Any, raw: str) -> None:
    with pytest.raises(ToolInputError) as caught:
        answer(
            {"text": "a"},
            {"toolUse": {"toolUseId": "id", "name": "f", "input": value, "type": "tool_use"}},
            usage={"inputTokens": 1},
            stopReason="max_tokens",
        )
    error = caught.value
    assert (error.name, error.call_id, error.raw, error.stop_reason) == ("f", "id", raw, "max_tokens")
    assert error.usage == Usage(1)
    assert partial_of(error).message == Message.assistant("a")
    assert partial_of(error).broken_tool_calls == (ToolCallEnd(1, "id", "f", None, raw),)


def test_an_empty_input_is_a_call_without_arguments() -> None:
    response = answer({"toolUse": {"toolUseId": "id", "name": "f", "input": ""}}, stopReason="tool_use")
    assert response.tool_calls == (ToolCall("id", "f", {}),)
    assert written_back(response) == [{"toolUse": {"toolUseId": "id", "name": "f", "input": {}}}]


def test_an_absent_input_is_not_an_empty_input() -> None:
    with pytest.raises(ToolInputError, match="null"):
        answer({"toolUse": {"toolUseId": "id", "name": "f"}})


def test_the_first_malformed_call_is_raised_and_valid_calls_are_kept() -> None:
    calls: list[Wire] = [
        {"toolUse": {"toolUseId": str(n), "name": "f", "input": value}} for n, value in enumerate([{}, [], 5])
    ]
    with pytest.raises(ToolInputError) as caught:
        answer(*calls)
    assert caught.value.call_id == "1"
    assert [call.id for call in partial_of(caught.value).broken_tool_calls] == ["1", "2"]
    assert [call.id for call in partial_of(caught.value).tool_calls] == ["0"]


def test_a_malformed_call_that_the_service_runs_is_not_an_error() -> None:
    server = {"toolUse": {"toolUseId": "id", "name": "f", "input": [], "type": "server_tool_use"}}
    response = answer({"text": "a"}, server)
    assert response.message == Message.assistant("a")
    assert response.broken_tool_calls == (ToolCallEnd(1, "id", "f", None, "[]", server=True),)


# -------------------------------------------------------------------------------------------------- malformed responses


NOT_JSON = "the response is not JSON: "
NOT_AN_OBJECT = "the response: expected a JSON object, got "
MISMATCH = "the response does not match the API's format: "
MALFORMED = [
    (b"", NOT_JSON),
    (b"{", NOT_JSON),
    (b'{"a":"\xff"}', NOT_JSON),
    (b"[" * 100_000, NOT_JSON),
    (b"null", NOT_AN_OBJECT),
    (b"[]", NOT_AN_OBJECT),
    (b"{}", MISMATCH),
    (b'{"output":null}', MISMATCH),
    (b'{"output":[]}', MISMATCH),
    (b'{"output":{"message":{"role":"assistant"}},"stopReason":"a"}', MISMATCH),
    (b'{"output":{"message":{"content":"a"}},"stopReason":"a"}', MISMATCH),
    (b'{"output":{"message":{"content":[]}}}', MISMATCH),
    (b'{"output":{"message":{"content":[]}},"stopReason":5}', MISMATCH),
]


@pytest.mark.parametrize(("sent", "problem"), MALFORMED, ids=[repr(sent[:40]) for sent, _ in MALFORMED])
def test_a_malformed_response_is_an_invalid_frame(sent: bytes, problem: str) -> None:
    with pytest.raises(InvalidFrame, match=problem):
        Converse().answer(sent, request_id=None, model="m")


@pytest.mark.parametrize("block", ["a", 5, None, []])
def test_a_block_that_is_not_an_object_is_an_invalid_frame(block: Any) -> None:
    with pytest.raises(InvalidFrame, match=f"content block: expected a JSON object, got {type(block).__name__}"):
        answer(block)


def test_a_citation_that_is_not_an_object_is_an_invalid_frame() -> None:
    with pytest.raises(InvalidFrame, match="citation: expected a JSON object, got str"):
        answer({"citationsContent": {"content": [], "citations": ["here"]}})


# ------------------------------------------------------------------------------------------------------------ any input

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
def test_any_input_raises_only_errors_of_the_library(sent: bytes) -> None:
    try:
        response = Converse().answer(sent, request_id=None, model="m")
    except (InvalidFrame, ServiceError):
        return
    except BedrockStreamError as error:
        assert isinstance(error, ToolInputError)  # noqa: PT017  any other is a bug
        response = partial_of(error)
    msgspec.json.encode(response)


@example({"text": ""})
@given(any_blocks)
def test_any_block_is_sent_back_unchanged(wire: Wire) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(wire))
    try:
        block = read_block(wire)
    except InvalidFrame:
        return
    if wire == {"text": ""}:  # allowed in responses, rejected in requests, so `Response.message` omits it
        with pytest.raises(ConfigurationError, match="expected non-empty text"):
            Message("assistant", [block])
        return
    back = msgspec.json.decode(msgspec.json.encode(write_body([Message("assistant", [block])], Options())))
    if isinstance(block, ToolCall) and wire["toolUse"].get("type") == "tool_use":
        del wire["toolUse"]["type"]
    assert back["messages"][0]["content"] == [wire]
