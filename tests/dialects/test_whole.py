"""Whole answers put together from documents: what no script of the emulator has, and documents that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.dialects.whole import whole_answer
from bedrock_stream.errors import InvalidFrame
from bedrock_stream.types.events import UnknownEvent


def joined(native: str, *documents: Any) -> dict[str, Any]:
    whole = whole_answer(native)
    assert whole is not None
    for document in documents:
        assert not whole.is_complete
        whole.add(document)
    assert whole.is_complete
    return whole.answer()


def test_formats_that_are_not_read() -> None:
    assert whole_answer(None) is None
    assert whole_answer("cohere") is None


def test_claude() -> None:
    def delta(index: int, **members: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": members}

    blocks = [
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": "", "citations": []},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        {"type": "redacted_thinking", "data": "eA=="},
        {"type": "tool_use", "id": "u", "name": "g", "input": {}},
    ]
    message: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "content": [], "stop_reason": None}
    answer = joined(
        "anthropic",
        {"type": "message_start", "message": {**message, "usage": {"input_tokens": 3, "output_tokens": 1}}},
        *(
            {"type": "content_block_start", "index": index, "content_block": block}
            for index, block in enumerate(blocks)
        ),
        {"type": "ping"},
        delta(0, type="thinking_delta", thinking="I "),
        delta(0, type="thinking_delta", thinking="think"),
        delta(0, type="signature_delta", signature="sig"),
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="citations_delta", citation={"cited_text": "x"}),
        delta(1, type="text_delta", text="lo"),
        delta(2, type="input_json_delta", partial_json='{"a"'),
        delta(2, type="input_json_delta", partial_json=": 1}"),
        delta(4, type="input_json_delta", partial_json='{"cut'),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 9, "input_tokens": None},
        },
        {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3}},
    )
    assert answer == {
        **message,
        "content": [
            {"type": "thinking", "thinking": "I think", "signature": "sig"},
            {"type": "text", "text": "Hello", "citations": [{"cited_text": "x"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            {"type": "redacted_thinking", "data": "eA=="},
            {"type": "tool_use", "id": "u", "name": "g", "input": '{"cut'},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 9},
    }


def test_openai() -> None:
    def chunk(index: int, reason: str | None = None, **delta: Any) -> dict[str, Any]:
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}

    def call(index: int, arguments: str, **members: Any) -> list[dict[str, Any]]:
        name = {"name": members.pop("name")} if members else {}
        return [{"index": index, **members, "function": {**name, "arguments": arguments}}]

    answer = joined(
        "openai",
        chunk(0, role="assistant", content=None),
        chunk(1, role="assistant", content="B"),
        chunk(0, tool_calls=call(0, "", id="x", type="function", name="f")),
        chunk(0, tool_calls=call(1, "{}", id="y", type="function", name="g")),
        chunk(0, tool_calls=call(0, '{"a": 1}')),
        chunk(1, "stop", content="ye"),
        {**chunk(0, "tool_calls"), "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}},
    )
    first, second = (choice["message"] for choice in answer["choices"])
    assert answer["object"] == "chat.completion"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert first == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
            {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert second == {"role": "assistant", "content": "Bye"}


def test_converse() -> None:
    def delta(index: int, **members: Any) -> UnknownEvent:
        return UnknownEvent("contentBlockDelta", {"contentBlockIndex": index, "delta": members})

    answer = joined(
        "converse",
        UnknownEvent("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": "I "}),
        delta(0, reasoningContent={"text": "think"}),
        delta(0, reasoningContent={"signature": "sig"}),
        delta(1, reasoningContent={"redactedContent": "eA=="}),
        delta(2, text="Hel"),
        delta(2, citation={"title": "x"}),
        delta(2, text="lo"),
        UnknownEvent(
            "contentBlockStart", {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}
        ),
        delta(3, toolUse={"input": '{"a":'}),
        delta(3, toolUse={"input": "1}"}),
        UnknownEvent(
            "contentBlockStart", {"contentBlockIndex": 4, "start": {"toolResult": {"toolUseId": "t", "type": "x"}}}
        ),
        delta(4, toolResult=[{"text": "a"}]),
        delta(4, toolResult=[{"json": {}}]),
        UnknownEvent(
            "contentBlockStart", {"contentBlockIndex": 5, "start": {"toolUse": {"toolUseId": "u", "name": "g"}}}
        ),
        UnknownEvent("contentBlockStop", {"contentBlockIndex": 5}),
        UnknownEvent("messageStop", {"stopReason": "tool_use"}),
    )
    assert answer["stopReason"] == "tool_use"
    assert answer["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "I think", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "eA=="}},
        {"citationsContent": {"content": [{"text": "Hello"}], "citations": [{"title": "x"}]}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        {"toolResult": {"toolUseId": "t", "type": "x", "content": [{"text": "a"}, {"json": {}}]}},
        {"toolUse": {"toolUseId": "u", "name": "g", "input": {}}},
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["text", "message_delta", "content_block_delta"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["type", "index", "delta", "choices", "content_block", "contentBlockIndex", "message", "usage"]
            ),
            inner,
        )
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("native", ["anthropic", "openai", "llama", "converse"])
@given(documents=st.lists(st.dictionaries(st.sampled_from(["type", "index", "delta", "choices", "start"]), _VALUES)))
def test_other_documents_are_refused_by_an_error_of_the_family(native: str, documents: list[dict[str, Any]]) -> None:
    whole = whole_answer(native)
    assert whole is not None
    for document in documents:
        try:
            whole.add(UnknownEvent("contentBlockDelta", document) if native == "converse" else document)
        except InvalidFrame:
            return
    try:
        whole.answer()
    except InvalidFrame:
        return
