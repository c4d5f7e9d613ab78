"""What Claude refuses in its native format, and the nearest request that it takes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.emulator_client import assistant
from tests.testing.service.refusal_samples import (
    BLANK_STOP,
    BOTH,
    CLOSED,
    DEPRECATED,
    FORCED,
    LOW_TO_HIGH,
    NEVER_FORCED,
    NEVER_OFF,
    NO_BUDGET,
    NO_FORMAT,
    NO_PREFILL,
    NO_STRICT,
    ONLY_1,
    OPEN,
    OPUS_41,
    OPUS_45,
    OPUS_46,
    OPUS_48,
    OPUS_55,
    SONNET_4,
    SONNET_5,
    SONNET_45,
    SONNET_46,
    UNSIGNED,
    WHITE_SPACE,
    Case,
    check,
    thinking,
)

NATIVE_HI = {"role": "user", "content": "Hi"}
NATIVE_TOOL = {"name": "f", "input_schema": {"type": "object"}}


def native(*messages: Any, **more: Any) -> dict[str, Any]:
    start = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 2000}
    return {**start, "messages": list(messages or (NATIVE_HI,)), **more}


def native_format(value: Any) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": value}}}


CASES = {
    "temperature": Case(
        OPUS_48, native(temperature=0.2), DEPRECATED.format("temperature"), (OPUS_48, native(temperature=1))
    ),
    "top_k": Case(SONNET_5, native(top_k=3), DEPRECATED.format("top_k"), (SONNET_45, native(top_k=3))),
    "temperature and top_p": Case(
        SONNET_45, native(temperature=0.2, top_p=0.9), BOTH, (SONNET_4, native(temperature=0.2, top_p=0.9))
    ),
    "temperature and thinking": Case(
        OPUS_46, native(temperature=0.2, **thinking("adaptive")), ONLY_1, (OPUS_46, native(**thinking("adaptive")))
    ),
    "budget": Case(OPUS_48, native(**thinking("enabled")), NO_BUDGET, (SONNET_45, native(**thinking("enabled")))),
    "off": Case(OPUS_55, native(**thinking("disabled")), NEVER_OFF, (OPUS_48, native(**thinking("disabled")))),
    "effort": Case(
        OPUS_45,
        native(output_config={"effort": "xhigh"}),
        LOW_TO_HIGH,
        (OPUS_48, native(output_config={"effort": "xhigh"})),
    ),
    "forced": Case(
        OPUS_55,
        native(tools=[NATIVE_TOOL], tool_choice={"type": "any"}),
        NEVER_FORCED,
        (OPUS_55, native(tools=[NATIVE_TOOL], tool_choice={"type": "auto"})),
    ),
    "forced and thinking": Case(
        SONNET_45,
        native(tools=[NATIVE_TOOL], tool_choice={"type": "any"}, **thinking("enabled")),
        FORCED,
        (OPUS_48, native(tools=[NATIVE_TOOL], tool_choice={"type": "any"}, **thinking("adaptive"))),
    ),
    "prefill": Case(
        SONNET_46,
        native(NATIVE_HI, assistant({"type": "text", "text": "So"})),
        NO_PREFILL,
        (SONNET_45, native(NATIVE_HI, assistant({"type": "text", "text": "So"}))),
    ),
    "white space": Case(
        SONNET_45,
        native(NATIVE_HI, assistant({"type": "text", "text": "So\n"})),
        WHITE_SPACE,
        (SONNET_45, native(NATIVE_HI, assistant({"type": "text", "text": "So"}), NATIVE_HI)),
    ),
    "blank stop sequence": Case(
        SONNET_45, native(stop_sequences=[" "]), BLANK_STOP, (SONNET_45, native(stop_sequences=["a b"]))
    ),
    "limit": Case(
        SONNET_45,
        native(max_tokens=64_001),
        "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for "
        "claude-sonnet-4-5-20250929-v1:0",
        (OPUS_46, native(max_tokens=64_001)),
    ),
    "schema": Case(OPUS_41, native(**native_format(CLOSED)), NO_FORMAT, (SONNET_45, native(**native_format(CLOSED)))),
    "an open object": Case(
        SONNET_45,
        native(**native_format(OPEN)),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        (SONNET_45, native(**native_format(CLOSED))),
    ),
    "strict": Case(
        SONNET_4,
        native(tools=[{**NATIVE_TOOL, "strict": True}]),
        NO_STRICT,
        (SONNET_45, native(tools=[{**NATIVE_TOOL, "strict": True}])),
    ),
    "unsigned reasoning": Case(
        SONNET_45,
        native(NATIVE_HI, assistant({"type": "thinking", "thinking": "Hm"}), NATIVE_HI),
        UNSIGNED,
        (SONNET_45, native(NATIVE_HI, assistant({"type": "thinking", "thinking": "", "signature": "c2ln"}), NATIVE_HI)),
    ),
    "automatic caching": Case(
        SONNET_45,
        native(cache_control={"type": "ephemeral"}),
        "cache_control: Extra inputs are not permitted",
        (OPUS_48, native(cache_control={"type": "ephemeral"})),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_claude_refuses_and_takes_on_invoke(case: str) -> None:
    await check(CASES[case], "invoke")
