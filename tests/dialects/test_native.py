"""Options sent as headers of InvokeModel, facts in the headers of its responses, and guardrail settings in the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream import Client, Metadata
from bedrock_stream.dialects.anthropic import Anthropic
from bedrock_stream.dialects.native import native_body, native_headers
from bedrock_stream.testing import API_KEY, Emulator
from bedrock_stream.types.options import read_options
from tests.support.anthropic_chunks import message_delta, message_start, message_stop
from tests.support.reading import feed
from tests.support.refusals import refused


def headers(**options: Any) -> dict[str, str]:
    return dict(native_headers(read_options(options)))


def test_nothing_is_sent_by_default() -> None:
    assert headers() == {}


def test_every_option_has_its_header() -> None:
    assert headers(
        guardrail={
            "guardrailIdentifier": "g",
            "guardrailVersion": 1,
            "trace": "enabled_full",
            "streamProcessingMode": "async",
        },
        performance="optimized",
        service_tier="flex",
        project="proj_1",
        request_metadata={"team": "m\u00fcller"},
    ) == {
        "X-Amzn-Bedrock-GuardrailIdentifier": "g",
        "X-Amzn-Bedrock-GuardrailVersion": "1",
        "X-Amzn-Bedrock-Trace": "ENABLED_FULL",
        "X-Amzn-Bedrock-PerformanceConfig-Latency": "optimized",
        "X-Amzn-Bedrock-Service-Tier": "flex",
        "X-Amzn-Bedrock-ProjectIdentifier": "proj_1",
        "X-Amzn-Bedrock-Request-Metadata": json.dumps({"team": "m\u00fcller"}),
    }


def test_a_null_guardrail_setting_is_not_sent() -> None:
    assert headers(guardrail={"guardrailIdentifier": "g", "trace": None}) == {"X-Amzn-Bedrock-GuardrailIdentifier": "g"}


@pytest.mark.parametrize("value", ["a\r\nHost: b", "m\u00fcller"])
def test_an_invalid_header_value_is_rejected(value: str) -> None:
    with refused("X-Amzn-Bedrock-Service-Tier", repr(value), "use printable ASCII"):
        headers(service_tier=value)


def body(wire: dict[str, Any], **options: Any) -> dict[str, Any]:
    return native_body(wire, read_options(options))


def test_guardrail_settings_without_a_header_are_in_the_body() -> None:
    guardrail = {"guardrailIdentifier": "g", "streamProcessingMode": "async", "tagSuffix": "x"}
    config = {"streamProcessingMode": "async", "tagSuffix": "x"}
    assert body({"a": 1}, guardrail=guardrail) == {"a": 1, "amazon-bedrock-guardrailConfig": config}
    assert body({"a": 1}, guardrail={"guardrailIdentifier": "g"}) == {"a": 1}
    assert body({"a": 1}) == {"a": 1}


def test_the_callers_guardrail_config_takes_precedence() -> None:
    wire = {"amazon-bedrock-guardrailConfig": {"tagSuffix": "y"}}
    assert body(wire, guardrail={"tagSuffix": "x"}) == wire


# ------------------------------------------------------------------------------------------------- headers of responses

MODELS = ["anthropic.claude-sonnet-4-6", "openai.gpt-oss-120b-1:0", "us.meta.llama3-2-3b-instruct-v1:0"]


@pytest.mark.parametrize("model", MODELS)
async def test_the_headers_of_a_response_are_part_of_its_metadata(model: str) -> None:
    options: Any = {"service_tier": "flex", "performance": "optimized", "use_converse": False}
    async with Emulator() as emulator, Client(endpoint_url=emulator.url, api_key=API_KEY) as client:
        stream = client.stream(model, "q", **options)
        events = [event async for event in stream]
        streamed, complete = await stream.response(), await client.generate(model, "q", **options)
    for response in (streamed, complete):
        assert (response.route, response.service_tier, response.performance) == ("invoke", "flex", "optimized")
        assert response.usage is not None
    assert ("flex", "optimized") in [(e.service_tier, e.performance) for e in events if isinstance(e, Metadata)]


def test_headers_alone_are_metadata() -> None:
    reader = Anthropic().reader()
    reader.take_headers({"X-Amzn-Bedrock-Service-Tier": "priority"})
    events = feed(reader, [message_start(), message_delta(), message_stop()])
    assert events[-1] == Metadata(service_tier="priority")
