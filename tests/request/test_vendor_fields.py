"""Options that each model family spells differently."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.models import describe
from bedrock_stream.request.supported import check_options
from bedrock_stream.request.unsupported import Refusals
from bedrock_stream.request.vendor_fields import with_vendor_fields
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import read_options
from tests.support.refusals import refused

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
GPT_OSS = "openai.gpt-oss-20b-1:0"
ADDITIONAL = "omit it, or use additional_model_request_fields"


def fields(model: str, known: ModelFacts | None = None, mode: Any = "error", **options: Any) -> Any:
    described = describe(model, known)
    checked = check_options(described, read_options(options), Refusals(model, mode))
    return with_vendor_fields(described, checked).additional_model_request_fields


def test_options_that_all_families_share_are_unchanged() -> None:
    options = read_options({"max_tokens": 5, "additional_model_request_fields": {"a": 1}})
    assert with_vendor_fields(describe(CLAUDE), options) is options


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (("top_k",), {"top_k": 5}),
        (("k",), {"k": 5}),
        (("inferenceConfig", "topK"), {"inferenceConfig": {"topK": 5}}),
    ],
)
def test_top_k_is_sent_under_the_name_of_each_family(path: tuple[str, ...], sent: Any) -> None:
    assert fields(CLAUDE, ModelFacts(top_k=path), top_k=5) == sent


@pytest.mark.parametrize(
    ("model", "option"),
    [
        (GPT_OSS, {"top_k": 5}),
        ("meta.llama3-8b-instruct-v1:0", {"top_k": 5}),
        ("meta.llama3-8b-instruct-v1:0", {"reasoning": "low"}),
        ("mistral.mistral-large-2402-v1:0", {"reasoning": "low"}),
        ("newcomer.model-v1", {"top_k": 5}),
        ("newcomer.model-v1", {"reasoning": 2000}),
    ],
)
def test_an_option_that_a_family_is_not_known_to_support_is_refused(model: str, option: dict[str, Any]) -> None:
    (name,) = option
    with refused(name, f"not known to be supported by {model!r}", ADDITIONAL) as caught:
        fields(model, **option)
    assert isinstance(caught.value, UnsupportedOperation)


def test_top_k_without_a_known_field_is_left_out_or_sent_under_its_usual_name() -> None:
    facts = ModelFacts(family="new")
    assert fields("newcomer.model-v1", facts, "drop", top_k=5) is None
    assert fields("newcomer.model-v1", facts, "send", top_k=5) == {"top_k": 5}


def test_betas_are_for_claude_only() -> None:
    assert fields(CLAUDE, anthropic_beta=["a", "b"]) == {"anthropic_beta": ["a", "b"]}
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1"
    assert fields(profile, anthropic_beta=["a"]) == {"anthropic_beta": ["a"]}
    with refused("anthropic_beta", "is not an Anthropic model", "omit it") as caught:
        fields(GPT_OSS, anthropic_beta=["a"])
    assert isinstance(caught.value, UnsupportedOperation)
    assert fields(GPT_OSS, mode="drop", anthropic_beta=["a"]) is None


def test_the_callers_own_fields_take_precedence() -> None:
    own = {"top_k": 9, "thinking": {"type": "disabled"}, "new": 1}
    assert fields(CLAUDE, top_k=5, anthropic_beta=["a"], additional_model_request_fields=own) == {
        "top_k": 9,
        "thinking": {"type": "disabled"},
        "new": 1,
        "anthropic_beta": ["a"],
    }
    assert fields(CLAUDE, reasoning="low", additional_model_request_fields={"thinking": 1}) == {"thinking": 1}


def test_the_callers_own_fields_are_merged_member_by_member() -> None:
    facts = ModelFacts(family="claude", thinking="adaptive", efforts=("low",))
    own = {"output_config": {"format": {"a": 1}}, "thinking": {"block_binding": 1}}
    assert fields(CLAUDE, facts, reasoning="low", additional_model_request_fields=own) == {
        "output_config": {"effort": "low", "format": {"a": 1}},
        "thinking": {"type": "adaptive", "display": "summarized", "block_binding": 1},
    }
    # An object of another type is another value: the service refuses a `display` beside `disabled`.
    own = {"thinking": {"type": "disabled"}}
    assert fields(CLAUDE, facts, reasoning="low", additional_model_request_fields=own) == {
        "output_config": {"effort": "low"},
        "thinking": {"type": "disabled"},
    }
