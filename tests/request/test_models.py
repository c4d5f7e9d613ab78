"""Model ids: validation, the prefixes that are removed, and what is parsed from an id."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.models import MAX_LENGTH, Model, describe, normalize
from tests.support.refusals import refused

SONNET = "anthropic.claude-3-sonnet-20240229-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0"


@pytest.mark.parametrize("model", [SONNET, f"us.{SONNET}", ARN, "openai.gpt-oss-120b-1:0", "x", "prompt/ü%&"])
@pytest.mark.parametrize("prefix", ["", "bedrock:", "amazon_bedrock:"])
def test_an_id_is_sent_unchanged_except_for_the_prefix(prefix: str, model: str) -> None:
    assert normalize(prefix + model) == model


@given(st.text("abc.:/-_0", min_size=1, max_size=60).filter(lambda text: text.strip(".")))
def test_nothing_else_is_stripped(model: str) -> None:
    assert normalize(model) == model
    assert normalize(f"bedrock:{model}") == model


@pytest.mark.parametrize(
    ("model", "value", "remedy"),
    [
        (None, "expected a str, got NoneType", "use a model id"),
        (b"x", "expected a str, got bytes", "use a model id"),
        ("", "'' is not a model id", "use a model id, an inference profile or an ARN"),
        ("bedrock:", "'bedrock:' is not a model id", "use a model id, an inference profile or an ARN"),
        ("a b", "'a b' contains white space", "remove them"),
        (" a", "' a' contains white space", "remove them"),
        ("a\n", "'a\\n' contains white space", "remove them"),
        ("a\x00", "'a\\x00' contains white space or control characters", "remove them"),
        ("a\ud800", "'a\\ud800' contains", "remove them"),
        ("x" * (MAX_LENGTH + 1), "expected at most 2048 characters, got 2049", "use a model id"),
    ],
)
def test_an_invalid_id_is_refused(model: Any, value: str, remedy: str) -> None:
    with refused("model", value, remedy):
        normalize(model)


def test_the_longest_id_is_accepted() -> None:
    assert len(normalize("x" * MAX_LENGTH)) == MAX_LENGTH


@pytest.mark.parametrize(
    ("model", "value", "remedy"),
    [
        ("amazon.nova-sonic-v1:0", "supports only InvokeModelWithBidirectionalStream", "use a text model"),
        ("us.amazon.nova-2-sonic-v1:0", "over HTTP/2, which does not accept API keys", "IAM credentials"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:agent-alias/A/B",
            "agents run in bedrock-agent-runtime",
            "IAM credentials",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:flow/F", "flows run in bedrock-agent-runtime", "IAM credentials"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/P",
            "data automation runs in",
            "IAM credentials",
        ),
        ("arn:aws:bedrock:us-east-1:123456789012:blueprint/B", "data automation runs in", "IAM credentials"),
    ],
)
def test_resources_of_other_services_and_protocols_are_refused_with_an_alternative(
    model: str, value: str, remedy: str
) -> None:
    with refused("model", value, remedy) as caught:
        describe(model)
    assert isinstance(caught.value, UnsupportedOperation)
    assert "does not accept API keys" in str(caught.value)


# -------------------------------------------------------------------------------------------------------------- parsing


@pytest.mark.parametrize(
    ("base", "vendor", "family", "native"),
    [
        (SONNET, "anthropic", "claude", "anthropic"),
        ("openai.gpt-oss-120b-1:0", "openai", "gpt-oss", "openai"),
        ("meta.llama3-70b-instruct-v1:0", "meta", "llama3", "llama"),
        ("meta.llama2-13b-chat-v1", "meta", "llama2", "llama"),
        ("meta.llama4-scout-17b-instruct-v1:0", "meta", "llama4", "llama"),
        ("cohere.command-r-plus-v1:0", "cohere", "command-r", None),
        ("cohere.command-text-v14", "cohere", None, None),
        ("amazon.nova-pro-v1:0", "amazon", "nova", None),
        ("amazon.titan-text-express-v1", "amazon", "titan", None),
        ("mistral.mistral-large-2402-v1:0", "mistral", "mistral", None),
        ("anthropic.claude-sonnet-5", "anthropic", "claude", "anthropic"),
        ("anthropic.tomorrow-v1", "anthropic", None, None),
        ("meta.llama3-3-70b-instruct-v1:0", "meta", "llama3", "llama"),
        ("meta.tomorrow-v1", "meta", None, None),
        ("openai.tomorrow-v1", "openai", None, None),
        ("ai21.jamba-1-5-mini-v1:0", "ai21", "ai21", None),
        ("deepseek.r1-v1:0", "deepseek", "deepseek", None),
        ("qwen.qwen3-32b-v1:0", "qwen", "qwen", None),
        ("writer.palmyra-x5-v1:0", "writer", "palmyra", None),
        ("zai.glm-4-6", "zai", "glm", None),
    ],
)
@pytest.mark.parametrize("geo", [None, "us", "eu", "apac", "us-gov", "global", "mx"])
def test_vendor_and_family_are_parsed_with_any_geo_prefix(
    geo: str | None, base: str, vendor: str, family: str | None, native: str | None
) -> None:
    name = f"{geo}.{base}" if geo else base
    model = describe(f"bedrock:{name}")
    assert (model.id, model.base, model.vendor, model.family, model.geo) == (name, base, vendor, family, geo)
    assert model.native == native


@pytest.mark.parametrize(
    ("arn", "base", "geo", "kind"),
    [
        (ARN, "anthropic.claude-sonnet-4-20250514-v1:0", "us", "inference-profile"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{SONNET}", SONNET, None, "foundation-model"),
        (f"arn:aws-cn:bedrock:cn-north-1::foundation-model/{SONNET}", SONNET, None, "foundation-model"),
        (f"arn:aws:bedrock:eu-west-1:1:inference-profile/global.{SONNET}", SONNET, "global", "inference-profile"),
    ],
)
def test_foundation_model_and_inference_profile_arns_end_in_a_model_id(
    arn: str, base: str, geo: str | None, kind: str
) -> None:
    model = describe(arn)
    assert (model.id, model.base, model.vendor, model.family) == (arn, base, "anthropic", "claude")
    assert (model.geo, model.arn_kind) == (geo, kind)


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("application-inference-profile/a1b2c3", "application-inference-profile"),
        ("provisioned-model/anthropic.claude-v2", "provisioned-model"),
        ("custom-model/anthropic.claude-v2:0/x", "custom-model"),
        ("imported-model/a1b2c3", "imported-model"),
        ("prompt/A1B2C3:1", "prompt"),
        ("custom-model-deployment/a1b2c3", "custom-model-deployment"),
        ("default-prompt-router/anthropic.claude:1", "default-prompt-router"),
    ],
)
def test_other_arns_have_only_a_kind(resource: str, kind: str) -> None:
    arn = f"arn:aws:bedrock:us-east-1:123456789012:{resource}"
    assert describe(arn) == Model(arn, arn, arn_kind=kind)
    assert describe(arn).native is None


def test_a_sagemaker_endpoint_has_only_a_kind() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/anthropic.claude-v2"
    assert describe(arn) == Model(arn, arn, arn_kind="endpoint")


@pytest.mark.parametrize("name", ["x", "newcomer.model-v1:0", "arn:aws:s3:::bucket/key"])
def test_an_id_of_an_unknown_vendor_has_no_family(name: str) -> None:
    assert describe(name) == Model(name, name)


def test_a_geo_prefix_is_parsed_for_an_unknown_vendor_too() -> None:
    assert describe("us.newcomer.model-v1:0") == Model("us.newcomer.model-v1:0", "newcomer.model-v1:0", geo="us")


def test_an_invalid_id_is_not_described() -> None:
    with refused("model", "'a b' contains white space", "remove them"):
        describe("a b")
