"""Validation of native bodies, for each family."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import CLAUDE, GPT_OSS, LLAMA, NATIVE, STREAM, assistant, post, user

TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
USE: dict[str, Any] = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
HI = {"role": "user", "content": "Hi"}
CACHE = {"cache_control": {"type": "ephemeral"}}
CACHE_1H = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SONNET_4 = "anthropic.claude-sonnet-4-20250514-v1:0"
SONNET_46 = "anthropic.claude-sonnet-4-6"
THINK = {"type": "enabled", "budget_tokens": 1024}
IMAGE: dict[str, Any] = {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}}
FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
CALL: dict[str, Any] = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def text_block(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def claude(*messages: Any, **more: Any) -> dict[str, Any]:
    body = {**NATIVE[CLAUDE], **more}
    return {**body, "messages": list(messages)} if messages else body


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in NATIVE[CLAUDE].items() if key != name}


def gpt_oss(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"messages": list(messages) or [HI], **more}


def llama(**more: Any) -> dict[str, Any]:
    return {"prompt": "Hi", **more}


INVALID: dict[str, tuple[str, Any, str]] = {
    "claude: model": (CLAUDE, claude(model=CLAUDE), "model: Extra inputs are not permitted"),
    "claude: stream": (CLAUDE, claude(stream=True), "stream: Extra inputs are not permitted"),
    "claude: no version": (CLAUDE, without("anthropic_version"), "anthropic_version: Field required"),
    "claude: another version": (CLAUDE, claude(anthropic_version="v1"), "Invalid API version: v1"),
    "claude: no limit": (CLAUDE, without("max_tokens"), "max_tokens: Field required"),
    "claude: limit of 0": (CLAUDE, claude(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    "claude: limit as a string": (CLAUDE, claude(max_tokens="9"), "max_tokens: Input should be a valid integer"),
    "claude: temperature": (CLAUDE, claude(temperature=1.5), "temperature: range: 0..1"),
    "claude: blank stop": (CLAUDE, claude(stop_sequences=[" "]), "must contain non-whitespace"),
    "claude: no messages": (CLAUDE, without("messages"), "messages: Field required"),
    "claude: empty messages": (CLAUDE, {**claude(), "messages": []}, "at least one message is required"),
    "claude: role": (CLAUDE, claude({"role": "system", "content": "x"}), "Input should be 'user' or 'assistant'"),
    "claude: empty turn": (CLAUDE, claude(user(), HI), "all messages must have non-empty content"),
    "claude: empty text": (CLAUDE, claude(user(text_block(""))), "text content blocks must be non-empty"),
    "claude: blank text": (CLAUDE, claude(user(text_block(" "))), "must contain non-whitespace text"),
    "claude: unknown block": (CLAUDE, claude(user({"type": "audio"})), "Input tag 'audio' found using 'type'"),
    "claude: image by url": (CLAUDE, claude(user(IMAGE)), "image.source: Input tag 'url' found"),
    "claude: trailing white space": (
        CLAUDE,
        claude(HI, assistant(text_block("So "))),
        "cannot end with trailing whitespace",
    ),
    "claude: tool's extra key": (CLAUDE, claude(tools=[{**TOOL, "custom": {}}]), "tools.0.custom.custom: Extra inputs"),
    "claude: tool's name": (
        CLAUDE,
        claude(tools=[{**TOOL, "name": "a b"}]),
        "tools.0.custom.name: String should match",
    ),
    "claude: tool's schema": (CLAUDE, claude(tools=[{"name": "f"}]), "tools.0.custom.input_schema: Field required"),
    "claude: same tool twice": (CLAUDE, claude(tools=[TOOL, TOOL]), "Tool names must be unique"),
    "claude: choice of an unknown tool": (
        CLAUDE,
        claude(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}),
        "Tool 'g' not found in provided tools",
    ),
    "claude: missing result": (
        CLAUDE,
        claude(HI, assistant(USE), HI, tools=[TOOL]),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
    ),
    "claude: result without call": (
        CLAUDE,
        claude(user(RESULT), tools=[TOOL]),
        "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: t1.",
    ),
    "claude: no tools": (CLAUDE, claude(HI, assistant(USE), user(RESULT)), "must define tools"),
    "claude: five cache points": (
        CLAUDE,
        claude(user(*[text_block("a", **CACHE)] * 5)),
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "claude: longer ttl later": (
        CLAUDE,
        claude(user(text_block("a"), text_block("b", **CACHE_1H)), tools=[{**TOOL, **CACHE}]),
        "messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
    ),
    "claude: small budget": (
        SONNET_4,
        claude(thinking={"type": "enabled", "budget_tokens": 10}),
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "claude: budget over limit": (SONNET_4, claude(thinking=THINK), "`max_tokens` must be greater than"),
    "claude: thinking and temperature": (
        SONNET_4,
        claude(thinking=THINK, max_tokens=2000, temperature=0.5),
        "`temperature` may only be set to 1",
    ),
    "claude: thinking and top_p": (
        SONNET_4,
        claude(thinking=THINK, max_tokens=2000, top_p=0.5),
        "`top_p` must be greater",
    ),
    "claude: thinking and top_k": (SONNET_46, claude(thinking={"type": "adaptive"}, top_k=3), "`top_k` must be unset"),
    "claude: thinking and a forced tool": (
        SONNET_4,
        claude(thinking=THINK, max_tokens=2000, tools=[TOOL], tool_choice={"type": "any"}),
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "claude: missing thinking block": (
        SONNET_4,
        claude(HI, assistant(USE), user(RESULT), tools=[TOOL], thinking=THINK, max_tokens=2000),
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ),
    "claude: malformed": (CLAUDE, claude("Hi"), "Malformed input request"),
    "gpt-oss: unknown key": (GPT_OSS, gpt_oss(top_k=1), "extraneous key [top_k] is not permitted"),
    "gpt-oss: no messages": (GPT_OSS, {}, "messages: Field required"),
    "gpt-oss: limit": (GPT_OSS, gpt_oss(max_tokens=0), "max_tokens must be at least 1"),
    "gpt-oss: temperature": (GPT_OSS, gpt_oss(temperature=3), "temperature: Input should be between 0 and 2"),
    "gpt-oss: effort": (GPT_OSS, gpt_oss(reasoning_effort="none"), "reasoning_effort: Input should be 'low'"),
    "gpt-oss: same tool twice": (GPT_OSS, gpt_oss(tools=[FUNCTION, FUNCTION]), "Tool names must be unique"),
    "gpt-oss: choice of an unknown tool": (
        GPT_OSS,
        gpt_oss(tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "g"}}),
        "'g' is not among the tools",
    ),
    "gpt-oss: image": (
        GPT_OSS,
        gpt_oss(user({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}})),
        "messages.0.content.0: this model does not support image_url content",
    ),
    "gpt-oss: empty text": (GPT_OSS, gpt_oss({"role": "user", "content": ""}), "text must not be empty"),
    "gpt-oss: role": (GPT_OSS, gpt_oss({"role": "function", "content": "x"}), "Unexpected message role 'function'"),
    "gpt-oss: tool with a name": (
        GPT_OSS,
        gpt_oss({"role": "tool", "tool_call_id": "t1", "name": "f", "content": "x"}),
        "#/messages/0: extraneous key [name]",
    ),
    "gpt-oss: missing result": (
        GPT_OSS,
        gpt_oss(HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}),
        "did not have response messages: t1",
    ),
    "gpt-oss: result without call": (
        GPT_OSS,
        gpt_oss(HI, {"role": "tool", "tool_call_id": "t1", "content": "x"}),
        "must be a response to a preceding message",
    ),
    "gpt-oss: arguments": (
        GPT_OSS,
        gpt_oss({"role": "assistant", "tool_calls": [{"id": "t1", "function": {"name": "f", "arguments": "{"}}]}),
        "Malformed input request",
    ),
    "llama: unknown key": (LLAMA, llama(max_tokens=1), "#: extraneous key [max_tokens] is not permitted"),
    "llama: images": (LLAMA, llama(images=["AA=="]), "#: extraneous key [images] is not permitted"),
    "llama: no prompt": (LLAMA, {}, "#: required key [prompt] not found"),
    "llama: empty prompt": (LLAMA, {"prompt": ""}, "#/prompt: expected minLength: 1, actual: 0"),
    "llama: limit": (LLAMA, llama(max_gen_len=2049), "#/max_gen_len: 2049 is not less or equal to 2048"),
    "llama: limit of 0": (LLAMA, llama(max_gen_len=0), "#/max_gen_len: 0 is not greater or equal to 1"),
    "llama: broken limit": (LLAMA, llama(max_gen_len=1.5), "#/max_gen_len: expected type: Number"),
    "llama: temperature": (LLAMA, llama(temperature=True), "#/temperature: expected type: Number"),
    "llama: top_p": (LLAMA, llama(top_p=2), "#/top_p: 2 is not less or equal to 1"),
}

VALID: dict[str, tuple[str, Any]] = {
    "claude: the SDK's version": (CLAUDE, claude(anthropic_version="2026-10-21")),
    "claude: a prefill": (CLAUDE, claude(HI, assistant(text_block("So")))),
    "claude: an empty last turn": (CLAUDE, claude(HI, assistant())),
    "claude: four cache points": (
        CLAUDE,
        claude(
            user(text_block("a", **CACHE_1H), text_block("b", **CACHE)),
            system=[text_block("s", **CACHE_1H)],
            tools=[{**TOOL, **CACHE_1H, "description": "d"}],
        ),
    ),
    "claude: betas": (CLAUDE, claude(anthropic_beta=["x"], metadata={"user_id": "u"}, top_k=3, top_p=0.5)),
    "claude: nulls": (CLAUDE, claude(user(text_block("a", citations=None, cache_control=None)), temperature=None)),
    "claude: disabled thinking": (CLAUDE, claude(thinking={"type": "disabled"}, temperature=0)),
    "gpt-oss: model and stream": (GPT_OSS, gpt_oss(model=GPT_OSS, stream=True, seed=1)),
    "gpt-oss: white space": (GPT_OSS, gpt_oss({"role": "user", "content": " "})),
    "gpt-oss: an empty assistant turn": (GPT_OSS, gpt_oss(HI, {"role": "assistant", "content": ""}, HI)),
    "llama: white space": (LLAMA, {"prompt": " "}),
    "llama: images": ("us.meta.llama3-2-11b-instruct-v1:0", llama(images=["AA=="])),
    "llama: a high limit": ("meta.llama4-scout-17b-instruct-v1:0", llama(max_gen_len=8192)),
}


@pytest.mark.parametrize("case", INVALID)
async def test_invalid_bodies_are_refused(case: str) -> None:
    model, body, message = INVALID[case]
    async with Emulator() as emulator:
        for operation in ("invoke", STREAM):
            status, code, document = (await post(emulator, body, operation, model)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]


@pytest.mark.parametrize("case", VALID)
async def test_valid_bodies_are_accepted(case: str) -> None:
    model, body = VALID[case]
    async with Emulator() as emulator:
        response = await post(emulator, body, "invoke", model)
        assert response.status == 200, response.body


async def test_unknown_models_are_refused() -> None:
    async with Emulator(models={CLAUDE}) as emulator:
        assert (await post(emulator, NATIVE[CLAUDE], "invoke")).status == 200
        response = await post(emulator, NATIVE[LLAMA], "invoke", LLAMA)
        assert json.loads(response.body) == {"message": "The provided model identifier is invalid."}
