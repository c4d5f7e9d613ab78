"""Options sent as headers of InvokeModel, and the guardrail settings in the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.dialects.native import native_body, native_headers
from bedrock_stream.types.options import read_options
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
