"""Validation of Converse bodies: refused, malformed and accepted ones."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import (
    HELLO,
    MODEL,
    assistant,
    post,
    request_bytes,
    send,
    signed_headers,
    target,
    user,
)

SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
NOVA = "amazon.nova-lite-v1:0"
TOOLS: dict[str, Any] = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}


def use(call: str = "t1", name: str = "f", value: Any = None) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call, "name": name, "input": {} if value is None else value}}


def result(call: str = "t1", **more: Any) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": call, "content": [{"text": "ok"}], **more}}


def body(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def tools(name: str = "f", schema: Any = None, **more: Any) -> dict[str, Any]:
    spec = {"name": name, "inputSchema": {"json": {"type": "object"} if schema is None else schema}}
    return {"tools": [{"toolSpec": spec}], **more}


HI = user({"text": "Hi"})
BLANK = "is blank. Add text to the text field, and try again."

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({**HELLO, "max_tokens": 1}, "extraneous key [max_tokens] is not permitted"),
    "no messages": ({}, "A conversation must start with a user message."),
    "empty text": (body(user({"text": ""})), f"ContentBlock object at messages.0.content.0 {BLANK}"),
    "blank text": (body(user({"text": "a"}, {"text": " \n"})), f"messages.0.content.1 {BLANK}"),
    "blank system": (body(HI, system=[{"text": " "}]), f"SystemContentBlock object at system.0 {BLANK}"),
    "empty content": (body(user()), "The content field in the Message object at messages.0 is empty."),
    "two members": (body(user({"text": "a", "image": {}})), "must set exactly one of its members"),
    "no member": (body(user({})), "must set exactly one of its members"),
    "maxTokens 0": (body(HI, inferenceConfig={"maxTokens": 0}), "value greater than or equal to 1"),
    "temperature high": (body(HI, inferenceConfig={"temperature": 1.1}), "less than or equal to 1"),
    "temperature low": (body(HI, inferenceConfig={"temperature": -0.1}), "greater than or equal to 0"),
    "topP high": (body(HI, inferenceConfig={"topP": 2}), "'inferenceConfig.topP'"),
    "empty stop sequence": (body(HI, inferenceConfig={"stopSequences": [""]}), "inferenceConfig.stopSequences"),
    "no tools": (body(HI, toolConfig={"tools": []}), "toolConfig.tools"),
    "tool name": (body(HI, toolConfig=tools("get weather")), "pattern: [a-zA-Z0-9_-]+"),
    "long tool name": (body(HI, toolConfig=tools("f" * 65)), "length less than or equal to 64"),
    "tool schema": (body(HI, toolConfig=tools(schema="{}")), "inputSchema.json is invalid. Provide a json object"),
    "same tool twice": (body(HI, toolConfig={"tools": TOOLS["tools"] * 2}), "must be unique"),
    "choice of an unknown tool": (
        body(HI, toolConfig=tools(toolChoice={"tool": {"name": "g"}})),
        "is not among the tools",
    ),
    "tool use id": (body(HI, assistant(use("a b")), user(result("a b")), toolConfig=TOOLS), "[a-zA-Z0-9_.:-]+"),
    "long tool use id": (body(HI, assistant(use("a" * 65)), toolConfig=TOOLS), "less than or equal to 64"),
    "tool input": (body(HI, assistant(use(value="{}")), user(result()), toolConfig=TOOLS), "toolUse.input is invalid"),
    "missing result": (
        body(HI, assistant(use()), HI, toolConfig=TOOLS),
        "Expected toolResult blocks at messages.2.content for the following Ids: t1",
    ),
    "missing second result": (
        body(HI, assistant(use(), use("t2")), user(result()), toolConfig=TOOLS),
        "Expected toolResult blocks at messages.2.content for the following Ids: t2",
    ),
    "calls at the end": (
        body(HI, assistant(use()), toolConfig=TOOLS),
        "Expected toolResult blocks at messages.2.content for the following Ids: t1",
    ),
    "unknown result": (
        body(HI, assistant(use()), user(result(), result("t2")), toolConfig=TOOLS),
        "exceeds the number of toolUse blocks of previous turn",
    ),
    "result without call": (body(user(result()), toolConfig=TOOLS), "exceeds the number of toolUse blocks"),
    "tools without config": (
        body(HI, assistant(use()), user(result())),
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    ),
}

INVALID_THINKING: dict[str, tuple[dict[str, Any], str]] = {
    "small thinking budget": (
        body(HI, additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 10}}),
        "greater than or equal to 1024",
    ),
    "thinking budget over the limit": (
        body(
            HI,
            additionalModelRequestFields={"reasoning_config": {"type": "enabled", "budget_tokens": 2000}},
            inferenceConfig={"maxTokens": 2000},
        ),
        "must be greater than `thinking.budget_tokens`",
    ),
    "thinking and a forced tool": (
        body(
            HI,
            additionalModelRequestFields={"thinking": {"type": "enabled", "budget_tokens": 2000}},
            toolConfig=tools(toolChoice={"any": {}}),
        ),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
}

MALFORMED: dict[str, Any] = {
    "not JSON": b"{",
    "not UTF-8": b'{"a": "\xff"}',
    "empty": b"",
    "a list": b"[]",
    "messages": {"messages": "Hi"},
    "a message": {"messages": ["Hi"]},
    "content": {"messages": [{"role": "user", "content": "Hi"}]},
    "text": body(user({"text": 1})),
    "tool use": body(user({"toolUse": 1})),
    "tool result": body(user({"toolResult": {"toolUseId": "a"}})),
    "tool spec": body(HI, toolConfig={"tools": [{"toolSpec": 1}]}),
    "inference config": body(HI, inferenceConfig=1),
    "maxTokens": body(HI, inferenceConfig={"maxTokens": "1"}),
    "a boolean maxTokens": body(HI, inferenceConfig={"maxTokens": True}),
    "temperature": body(HI, inferenceConfig={"temperature": "1"}),
    "stop sequences": body(HI, inferenceConfig={"stopSequences": "x"}),
    "a result's content": body(HI, assistant(use()), user(result(content=["x"])), toolConfig=TOOLS),
    "a document": body(user({"document": "x"}, {"text": "a"})),
    "an output schema": body(
        HI, outputConfig={"textFormat": {"structure": {"jsonSchema": {"schema": "{"}}, "type": "json_schema"}}
    ),
}

VALID: dict[str, dict[str, Any]] = {
    "a system message": body(HI, {"role": "system", "content": [{"text": "now"}]}, HI),
    "an assistant turn first": body(assistant({"text": "Hello"}), HI),
    "a result": body(
        HI, assistant({"text": "a"}, use()), user(result(status="error"), {"text": "b"}), toolConfig=TOOLS
    ),
    "a server tool": body(
        HI,
        assistant(
            {"toolUse": {"toolUseId": "s", "name": "code", "input": {}, "type": "server_tool_use"}},
            {"toolResult": {"toolUseId": "s", "content": [], "type": "code_result"}},
            {"text": "a"},
        ),
        HI,
    ),
    "limits": body(HI, inferenceConfig={"maxTokens": 1, "temperature": 0, "topP": 1.0, "stopSequences": []}),
    "a system tool": body(HI, toolConfig={"tools": [{"systemTool": {"name": "x"}}]}),
    "a project": body(HI, projectIdentifier="prj_1"),
    "unknown members": body(user({"hologram": {"x": 1}}, {"text": "a"}), requestMetadata={"a": "b"}),
}


@pytest.mark.parametrize("case", INVALID)
async def test_invalid_bodies_are_refused(case: str) -> None:
    request, message = INVALID[case]
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, request, operation)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]


@pytest.mark.parametrize("case", INVALID_THINKING)
async def test_invalid_thinking_is_refused(case: str) -> None:
    request, message = INVALID_THINKING[case]
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, request, operation, SONNET_4)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_bodies_are_refused(case: str) -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, MALFORMED[case])).error[:2] == (400, "SerializationException")


@pytest.mark.parametrize("case", VALID)
async def test_valid_bodies_are_accepted(case: str) -> None:
    async with Emulator() as emulator:
        response = await post(emulator, VALID[case])
        assert response.status == 200, response.body


async def test_other_families_require_a_user_turn_first() -> None:
    async with Emulator() as emulator:
        response = await post(emulator, VALID["an assistant turn first"], model=NOVA)
        assert "must start with a user message" in response.error[2]["message"]


async def test_a_managed_prompt_needs_no_messages() -> None:
    async with Emulator() as emulator:
        model = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1"
        assert (await post(emulator, {"promptVariables": {"a": {"text": "b"}}}, model=model)).status == 200


async def test_unknown_models_are_refused() -> None:
    async with Emulator(models={MODEL}) as emulator:
        assert (await post(emulator)).status == 200
        assert (await post(emulator, model="no.such")).error == (
            400,
            "ValidationException",
            {"message": "The provided model identifier is invalid."},
        )


@pytest.mark.parametrize(
    "path", ["/", "/model/m/dance", "/model//converse", "/model/a/b/converse", "/guardrail/m/converse"]
)
async def test_unknown_paths_are_refused(path: str) -> None:
    async with Emulator() as emulator:
        response = await send(emulator, request_bytes(path, signed_headers(emulator, path, b"{}"), b"{}"))
        assert response.error[:2] == (404, "UnknownOperationException")
        assert emulator.requests[0].operation is None


async def test_other_methods_are_refused() -> None:
    async with Emulator() as emulator:
        request = request_bytes(
            target(), {"Host": "localhost", "Authorization": "Bearer bedrock-api-key-example"}, b"", "GET"
        )
        assert (await send(emulator, request)).status == 404
