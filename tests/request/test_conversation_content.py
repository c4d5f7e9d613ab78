"""Blocks that a model does not take: refused with their path, or left out with "drop"; cache points beside tools."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import CachePoint, Client, Document, Image, Message, Reasoning, Text, Tool, ToolCall, ToolResult
from bedrock_stream.errors import UnsupportedOperation

PNG = Image(data=b"\x89PNG\r\n\x1a\n" + bytes(16))
PAPER = Document(text="Oslo is rainy.")
CALL = Message("assistant", [ToolCall(id="abcdefghi", name="look", input={})])
LOOK = Tool(name="look", description="Looks.")


def explained(model: str, prompt: Any, **options: Any) -> Any:
    return Client(api_key="key", region="us-east-1").explain(model, prompt, **options)


def answered(*content: Any) -> list[Message]:
    return [Message("user", "Look."), CALL, Message("user", [ToolResult("abcdefghi", content)])]


@pytest.mark.parametrize(
    ("model", "prompt", "path", "problem"),
    [
        ("zai.glm-5", [Message("user", ["Hi", PNG])], "messages[0].content[1]", "takes no images"),
        ("amazon.nova-micro-v1:0", [Message("user", ["Hi", PAPER])], "messages[0].content[1]", "takes no documents"),
        ("mistral.pixtral-large-2502-v1:0", [Message("user", ["Hi", PAPER])], "messages[0].content[1]", "there"),
        ("moonshotai.kimi-k2.5", answered(Text("A"), PNG), "messages[2].content[0].content[1]", "no images there"),
        ("meta.llama3-8b-instruct-v1:0", answered("A"), "messages[1].content[0]", "has no tools"),
    ],
)
def test_what_a_model_does_not_take_is_refused_with_its_path(
    model: str, prompt: list[Message], path: str, problem: str
) -> None:
    with pytest.raises(UnsupportedOperation, match=problem) as caught:
        explained(model, prompt)
    assert caught.value.argument == path


def test_attachments_are_left_out_with_drop_and_named() -> None:
    shown = explained("moonshotai.kimi-k2.5", answered(Text("A"), PNG), unsupported="drop")
    assert shown.body["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "A"}]
    assert any("messages[2].content[0].content[1] was left out" in change for change in shown.changes)


def test_attachments_are_sent_with_send() -> None:
    shown = explained("zai.glm-5", [Message("user", ["Hi", PNG])], unsupported="send")
    assert "image" in shown.body["messages"][0]["content"][1]


def test_attachments_in_the_callers_own_blocks_pass() -> None:
    wire = {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}}
    shown = explained("zai.glm-5", [{"role": "user", "content": [{"text": "Hi"}, wire]}])
    assert shown.body["messages"][0]["content"][1] == wire


def test_nova_gets_no_cache_point_beside_tool_results() -> None:
    prompt = [*answered("A")[:2], Message("user", [ToolResult("abcdefghi", "A"), CachePoint()])]
    shown = explained("amazon.nova-pro-v1:0", prompt, tools=[LOOK])
    assert "cachePoint" not in str(shown.body)
    assert any("beside tool calls" in change for change in shown.changes)


def test_a_budget_needs_the_reasoning_of_the_turn_that_called_the_tools() -> None:
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    with pytest.raises(UnsupportedOperation, match="no signed reasoning"):
        explained(model, answered("A"), tools=[LOOK], reasoning=2000)
    signed = Message("assistant", [Reasoning("Hm.", signature="c2ln"), *CALL.content])
    first, _, last = answered("A")
    shown = explained(model, [first, signed, last], tools=[LOOK], reasoning=2000)
    assert shown.body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2000
    dropped = explained(model, answered("A"), tools=[LOOK], reasoning=2000, unsupported="drop")
    assert "thinking" not in str(dropped.body)


def test_nova_takes_no_prefill_while_it_reasons() -> None:
    prompt = [Message("user", "Hi"), Message("assistant", "Oslo")]
    assert explained("amazon.nova-2-lite-v1:0", prompt).body["messages"][1]["role"] == "assistant"
    with pytest.raises(UnsupportedOperation, match="while it reasons"):
        explained("amazon.nova-2-lite-v1:0", prompt, reasoning="low")


@pytest.mark.parametrize(("limit", "route"), [(2048, "invoke"), (2049, "converse")])
def test_llama_3_uses_converse_for_more_tokens_than_its_native_format_takes(limit: int, route: str) -> None:
    assert explained("meta.llama3-1-8b-instruct-v1:0", "Hi", max_tokens=limit).route == route
