"""Chat completion requests as messages and options. The gateway's tests cover the conversion of each member."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream import Image, Message, Text, Tool, ToolCall, ToolResult
from bedrock_stream.errors import InvalidRequest
from bedrock_stream.integrations import ChatRequest, messages_from_openai
from tests.support.planning import plan

HELLO = {"role": "user", "content": "Hello"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "a1", "type": "function", "function": {"name": "f", "arguments": '{"a": "x"}'}}


@pytest.mark.parametrize("form", [dict, json.dumps, lambda body: json.dumps(body).encode()])
def test_a_conversation_becomes_messages_and_the_system_option(form: Any) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a1", "content": "rain"},
    ]
    request = messages_from_openai(form({"messages": messages, "model": "gpt", "stream": True}))
    assert request == ChatRequest(
        (
            Message.user("Hi", Image(b"\x89PNG\r\n\x1a\n")),
            Message.assistant(ToolCall("a1", "f", {"a": "x"})),
            Message.user(ToolResult("a1", "rain")),
        ),
        {"system": [Text("Be brief.")]},
    )


PNG = "data:image/png;base64,iVBORw0KGgo="


def test_members_become_options() -> None:
    body = {
        "messages": [HELLO],
        "tools": [FUNCTION],
        "tool_choice": "required",
        "max_completion_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": "END",
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "seed": 1,
        "user": "someone",
        "guardrailConfig": {"guardrailIdentifier": "none"},
    }
    _, options = messages_from_openai(body)
    (tool,) = options.pop("tools")
    assert (type(tool), tool.name) == (Tool, "f")
    assert options == {
        "tool_choice": "any",
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "reasoning": "low",
        "output_schema": {"type": "object"},
    }
    assert plan("amazon.nova-lite-v1:0", *messages_from_openai({"messages": [HELLO], "max_tokens": 5})[:1]).body


@pytest.mark.parametrize(
    ("members", "member"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": 5}, "messages"),
        ({"n": 3}, "n"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, "tool_choice"),
        ({"messages": [HELLO, {"role": "assistant", "tool_calls": [
            {"id": "a", "function": {"name": "f", "arguments": '{"a": ' + "[" * 200 + "]" * 200 + "}"}}]}]},
         "messages"),
    ],
)  # fmt: skip
def test_an_invalid_request_names_its_member(members: dict[str, Any], member: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_from_openai({"messages": [HELLO], **members})
    assert (caught.value.member, caught.value.status) == (member, 400)


@pytest.mark.parametrize(
    ("body", "limits", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (None, {}, 400),
        ({"messages": [HELLO]}, {"max_bytes": 10}, 413),
        ({"messages": [HELLO, HELLO]}, {"max_parts": 1}, 413),
        ({"messages": [HELLO], "logit_bias": None, "metadata": [[]] * 600_000}, {}, 413),
    ],
    ids=["cut", "a list", "nothing", "bytes", "parts", "memory"],
)
def test_limits_of_the_body(body: Any, limits: dict[str, int], status: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        messages_from_openai(body, **limits)
    assert caught.value.status == status
