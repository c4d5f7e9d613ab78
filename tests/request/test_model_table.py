"""The capability table: which row an id has, what is inferred for unknown models, and the page that shows the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Client
from bedrock_stream.errors import UnsupportedOperation
from bedrock_stream.request.models import UNKNOWN, check_reachable, describe, facts_of
from bedrock_stream.request.models.families import render
from bedrock_stream.request.models.table import ROWS, Row, row_of
from bedrock_stream.testing.model_drift import ids_of_botocore, ids_of_litellm, main, without_row
from bedrock_stream.types.model_facts import ModelFacts
from tests.support.planning import plan
from tests.support.refusals import refused

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "families.md"

# One id at least for each row. A new model is one row of the table and one line here.
GENERATIONS = {
    "anthropic.claude-v2:1": "Claude 2 and Instant",
    "anthropic.claude-instant-v1": "Claude 2 and Instant",
    "anthropic.claude-3-haiku-20240307-v1:0": "Claude 3",
    "anthropic.claude-3-opus-20240229-v1:0": "Claude 3",
    "anthropic.claude-3-5-haiku-20241022-v1:0": "Claude 3.5 Haiku",
    "anthropic.claude-3-5-sonnet-20241022-v2:0": "Claude 3.5 Sonnet",
    "anthropic.claude-3-7-sonnet-20250219-v1:0": "Claude 3.7 Sonnet",
    "anthropic.claude-sonnet-4-20250514-v1:0": "Claude Sonnet 4",
    "anthropic.claude-opus-4-20250514-v1:0": "Claude Opus 4",
    "anthropic.claude-opus-4-1-20250805-v1:0": "Claude Opus 4.1",
    "anthropic.claude-sonnet-4-5-20250929-v1:0": "Claude Sonnet 4.5",
    "anthropic.claude-haiku-4-5-20251001-v1:0": "Claude Haiku 4.5",
    "anthropic.claude-haiku-4-5@20251001": "Claude Haiku 4.5",
    "anthropic.claude-opus-4-5-20251101-v1:0": "Claude Opus 4.5",
    "anthropic.claude-opus-4-6-v1": "Claude Opus 4.6",
    "anthropic.claude-sonnet-4-6": "Claude Sonnet 4.6",
    "anthropic.claude-opus-4-7": "Claude Opus 4.7",
    "anthropic.claude-opus-4-8": "Claude Opus 4.8",
    "anthropic.claude-sonnet-5": "Claude Sonnet 5",
    "anthropic.claude-sonnet-5-20270101-v1:0": "Claude Sonnet 5",
    "anthropic.claude-sonnet-5-5": "Claude Sonnet 5.5",
    "anthropic.claude-opus-5": "Claude Opus 5",
    "anthropic.claude-opus-5:0": "Claude Opus 5",
    "anthropic.claude-opus-5-5": "Claude Opus 5.5",
    "anthropic.claude-opus-5-5-20270101-v1:0": "Claude Opus 5.5",
    "anthropic.claude-haiku-5-5": "Claude Haiku 5.5",
    "anthropic.claude-fable-5": "Claude Fable 5",
    "anthropic.claude-fable-5-1": "Claude Fable 5.1 and 5.2",
    "anthropic.claude-fable-5-2": "Claude Fable 5.1 and 5.2",
    "anthropic.claude-mythos-preview": "Claude Mythos Preview",
    "anthropic.claude-mythos-5": "Claude Mythos 5",
    "anthropic.claude-mythos-5-1": "Claude Mythos 5.1 and 5.2",
    "amazon.nova-micro-v1:0": "Nova Micro",
    "amazon.nova-lite-v1:0": "Nova 1",
    "amazon.nova-pro-v1:0": "Nova 1",
    "amazon.nova-premier-v1:0": "Nova 1",
    "amazon.nova-2-lite-v1:0": "Nova 2",
    "amazon.nova-2-pro-preview-20251202-v1:0": "Nova 2",
    "amazon.nova-2-sonic-v1:0": "Nova Sonic",
    "amazon.titan-text-express-v1": "Titan Text Express",
    "amazon.titan-text-lite-v1": "Titan Text Lite",
    "amazon.titan-text-premier-v1:0": "Titan Text Premier",
    "openai.gpt-5.4": "GPT-5.4 and 5.5",
    "openai.gpt-5.6-cyber": "GPT-5.6 Cyber and Daybreak",
    "openai.gpt-daybreak-1": "GPT-5.6 Cyber and Daybreak",
    "openai.gpt-5.6-terra": "GPT-5.6 Sol, Terra and Luna",
    "openai.gpt-6-sol": "GPT-6 Sol and Luna",
    "openai.gpt-6-astra": "GPT-6 Astra and GPT-6.1 Sol",
    "openai.gpt-6.1-sol": "GPT-6 Astra and GPT-6.1 Sol",
    "openai.gpt-6.1-terra": "GPT-6.1 Terra",
    "openai.gpt-oss-120b-1:0": "gpt-oss",
    "openai.gpt-oss-safeguard-20b": "gpt-oss-safeguard",
    "meta.llama2-13b-chat-v1": "Llama 2",
    "meta.llama3-8b-instruct-v1:0": "Llama 3",
    "meta.llama3-70b-instruct-v1:0": "Llama 3",
    "meta.llama3-1-8b-instruct-v1:0": "Llama 3.1 and 3.3",
    "meta.llama3-1-405b-instruct-v1:0": "Llama 3.1 and 3.3",
    "meta.llama3-3-70b-instruct-v1:0": "Llama 3.1 and 3.3",
    "meta.llama3-2-1b-instruct-v1:0": "Llama 3.2 1B and 3B",
    "meta.llama3-2-11b-instruct-v1:0": "Llama 3.2 11B and 90B",
    "meta.llama4-scout-17b-instruct-v1:0": "Llama 4",
    "mistral.mistral-7b-instruct-v0:2": "Mistral 7B and Mixtral",
    "mistral.mixtral-8x7b-instruct-v0:1": "Mistral 7B and Mixtral",
    "mistral.mistral-large-2402-v1:0": "Mistral Large and Small 24",
    "mistral.mistral-small-2402-v1:0": "Mistral Large and Small 24",
    "mistral.pixtral-large-2502-v1:0": "Pixtral Large",
    "mistral.mistral-large-3-675b-instruct": "Mistral Large 3",
    "mistral.ministral-3-14b-instruct": "Ministral 3",
    "mistral.magistral-small-2509": "Magistral Small",
    "mistral.devstral-2-123b": "Devstral 2",
    "mistral.voxtral-small-24b-2507": "Voxtral",
    "xai.grok-4.3": "Grok 4.3",
    "xai.grok-4.6": "Grok 4.6",
    "xai.grok-4.7": "Grok 4.7",
    "moonshot.kimi-k2-thinking": "Kimi K2 Thinking",
    "moonshotai.kimi-k2-thinking": "Kimi K2 Thinking",
    "moonshotai.kimi-k2.5": "Kimi K2.5",
    "moonshotai.kimi-k3": "Kimi K3",
    "moonshotai.kimi-k3.1": "Kimi K3.1",
    "zai.glm-4.7-flash": "GLM-4.7 and GLM-5",
    "zai.glm-5": "GLM-4.7 and GLM-5",
    "zai.glm-5.3": "GLM-5.3",
    "deepseek.r1-v1:0": "DeepSeek-R1",
    "deepseek.v3-v1:0": "DeepSeek-V3.1",
    "deepseek.v3.1": "DeepSeek-V3.1",
    "deepseek.v3.2": "DeepSeek-V3.2",
    "qwen.qwen3-32b-v1:0": "Qwen3 32B",
    "qwen.qwen3-235b-a22b-2507-v1:0": "Qwen3 235B and Next",
    "qwen.qwen3-next-80b-a3b": "Qwen3 235B and Next",
    "qwen.qwen3-coder-30b-a3b-v1:0": "Qwen3-Coder",
    "qwen.qwen3-vl-235b-a22b": "Qwen3-VL",
    "minimax.minimax-m2": "MiniMax M2",
    "minimax.minimax-m2.5": "MiniMax M2",
    "nvidia.nemotron-nano-12b-v2": "Nemotron Nano",
    "nvidia.nemotron-super-3-120b": "Nemotron Super",
    "google.gemma-3-4b-it": "Gemma 3 4B",
    "google.gemma-3-27b-it": "Gemma 3 12B and 27B",
    "google.gemma-4-31b": "Gemma 4",
    "cohere.command-r-plus-v1:0": "Command R and R+",
    "cohere.command-light-text-v14": "Command",
    "ai21.jamba-1-5-large-v1:0": "Jamba 1.5",
    "ai21.jamba-instruct-v1:0": "Jamba-Instruct",
    "ai21.j2-ultra-v1": "Jurassic-2",
    "writer.palmyra-x5-v1:0": "Palmyra X4 and X5",
    "writer.palmyra-vision-7b": "Palmyra Vision",
    "twelvelabs.pegasus-1-2-v1:0": "Pegasus",
}


@pytest.mark.parametrize(("base", "name"), GENERATIONS.items())
def test_an_id_has_the_row_of_its_generation(base: str, name: str) -> None:
    row = row_of(base)
    assert row is not None
    assert (row.facts.name, row.known) == (name, True)
    assert facts_of(base) is row.facts


def test_each_row_has_an_id_above() -> None:
    assert {row.facts.name for row in ROWS if row.known} == set(GENERATIONS.values())


def test_no_row_hides_another() -> None:
    """The beginning of an id is itself an id of its row, whatever rows precede it."""
    assert {start: row.facts.name for row in ROWS for start in row.ids} == {
        start: facts_of(start).name for row in ROWS for start in row.ids
    }


@pytest.mark.parametrize("geo", ["us", "eu", "apac", "ap", "jp", "au", "ca", "in", "sa", "mx", "us-gov", "global"])
@pytest.mark.parametrize("base", ["xai.grok-4.7", "anthropic.claude-opus-5-5", "moonshotai.kimi-k3", "zai.glm-5.3"])
def test_facts_do_not_depend_on_the_geo_prefix(geo: str, base: str) -> None:
    model = describe(f"{geo}.{base}")
    assert (model.geo, model.base, model.facts) == (geo, base, facts_of(base))


def test_an_arn_of_an_inference_profile_has_its_models_facts() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5"
    assert describe(arn).facts is facts_of("anthropic.claude-opus-5-5")


def test_an_opaque_arn_has_the_facts_that_it_is_given() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
    assert describe(arn).facts is UNKNOWN
    assert describe(arn, "us.anthropic.claude-opus-5-5").facts is facts_of("anthropic.claude-opus-5-5")
    own = ModelFacts(name="ours")
    assert describe(arn, own).facts is own


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds("{}{}".format, st.sampled_from([start for row in ROWS for start in row.ids]), st.text("0123.-:va")),
    )
)
def test_facts_are_found_for_any_text(base: str) -> None:
    facts = facts_of(base)
    assert facts is UNKNOWN or any(row.facts is facts and base.startswith(row.ids) for row in ROWS)


# ------------------------------------------------------------------------------------------------------ the rows' facts


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ids[0])
def test_the_facts_of_a_row_agree_with_each_other(row: Row) -> None:
    facts = row.facts
    assert bool(facts.tool_choices) == facts.tools
    assert set(facts.tool_choices) <= {"auto", "any", "tool"}
    assert bool(facts.reasoning_path) == (facts.thinking == "effort")
    assert bool(facts.efforts) == (facts.thinking in ("budget", "adaptive", "effort"))
    assert set(facts.effort_words) <= set(facts.efforts)
    assert not facts.takes_budget or facts.thinking in ("budget", "adaptive")
    assert facts.default_max_tokens is None or facts.default_max_tokens <= (facts.max_output or 0)
    assert facts.refused is None or "; " in facts.refused


@pytest.mark.parametrize("row", [row for row in ROWS if row.facts.family == "claude"], ids=lambda row: row.ids[0])
def test_claude_has_room_for_adaptive_thinking(row: Row) -> None:
    facts = row.facts
    assert facts.native == "anthropic"
    assert (facts.thinking == "adaptive") == ((facts.default_max_tokens or 0) >= 32_000)


# ---------------------------------------------------------------------------------------------------- unknown models


@pytest.mark.parametrize(
    "base",
    [
        "anthropic.claude-opus-6",
        "anthropic.claude-opus-5-6",
        "anthropic.claude-sonnet-5-10-20280101-v1:0",
        "anthropic.claude-haiku-5",
        "anthropic.claude-fable-5-3",
        "anthropic.claude-opus-4-10",
        "anthropic.claude-saga-1",
        "anthropic.claude",
    ],
)
def test_an_unknown_claude_is_treated_as_the_newest_but_may_leave_thinking_out(base: str) -> None:
    facts, newest = facts_of(base), facts_of("anthropic.claude-opus-5-5")
    assert facts.name == "a newer Claude"
    assert (facts.family, facts.native) == ("claude", "anthropic")
    for name in ("thinking", "efforts", "temperature", "top_p", "top_k", "prefill", "tool_choices", "native_schema"):
        assert getattr(facts, name) == getattr(newest, name)
    assert (facts.takes_budget, facts.thinking_off, facts.count_tokens) == (False, "omit", None)
    assert (facts.cache_one_hour, facts.cache_min_tokens, facts.max_output) == (True, 512, 128_000)


@pytest.mark.parametrize(
    ("base", "like"),
    [
        ("openai.gpt-7", "openai.gpt-6-astra"),
        ("openai.gpt-6.2-sol", "openai.gpt-6-astra"),
        ("openai.gpt-oss-2-400b", "openai.gpt-oss-120b"),
        ("xai.grok-5", "xai.grok-4.7"),
        ("xai.grok-4.70", "xai.grok-4.7"),
        ("moonshotai.kimi-k4", "moonshotai.kimi-k3.1"),
        ("moonshotai.kimi-k3.2", "moonshotai.kimi-k3.1"),
        ("zai.glm-6", "zai.glm-5.3"),
        ("zai.glm-5.4", "zai.glm-5.3"),
        ("amazon.nova-3-lite-v1:0", "amazon.nova-2-lite-v1:0"),
        ("deepseek.v4", "deepseek.v3.2"),
        ("mistral.mistral-large-4", "mistral.mistral-large-3"),
    ],
)
def test_an_unknown_model_of_a_known_maker_is_spelled_like_the_newest(base: str, like: str) -> None:
    row = row_of(base)
    assert row is not None
    assert not row.known
    for name in ("family", "native", "reasoning_path", "reasoning_beside", "top_k", "tool_id", "native_schema"):
        assert getattr(row.facts, name) == getattr(facts_of(like), name)
    assert row.facts.max_output is None


def test_an_unknown_model_is_refused_only_what_all_models_of_its_maker_are() -> None:
    gpt = facts_of("openai.gpt-7")  # gpt-oss takes a temperature and stop sequences; GPT-6 Sol can stop reasoning
    assert (gpt.temperature, gpt.top_p, gpt.stop_sequences, gpt.thinking_off) == ("any", True, True, "none")
    assert (gpt.video, gpt.leading_assistant, gpt.cache) == (False, False, False)
    grok = facts_of("xai.grok-5")
    assert (grok.temperature, grok.stop_sequences, grok.thinking_off) == ("none", False, "never")
    kimi = facts_of("moonshotai.kimi-k4")
    assert (kimi.temperature, kimi.thinking_off, kimi.min_max_tokens) == ("any", "none", 1)
    nova = facts_of("amazon.nova-3-lite-v1:0")
    assert (nova.excluded_at_high, nova.cache_ttl, nova.cache_tools, nova.video) == ((), False, False, True)
    llama = facts_of("meta.llama5-70b-instruct-v1:0")
    assert (llama.family, llama.tools, llama.tool_choices, llama.images) == ("llama3", True, ("auto",), True)


@pytest.mark.parametrize(
    "base", ["newcomer.model-v1:0", "anthropic.tomorrow-v1", "openai.tomorrow-v1", "stability.sd3", "x", ""]
)
def test_nothing_is_known_of_other_models(base: str) -> None:
    assert facts_of(base) is UNKNOWN


# ---------------------------------------------------------------------------------------------- models out of reach


@pytest.mark.parametrize(
    ("model", "problem", "remedy"),
    [
        ("us.openai.gpt-5.6-cyber", "is served by the endpoint bedrock-mantle only", "such as us.openai.gpt-6-sol"),
        ("us.xai.grok-4.3", "is served by the endpoint bedrock-mantle only", "such as xai.grok-4.7"),
        ("us.google.gemma-4-31b", "is served by the endpoint bedrock-mantle only", "such as google.gemma-3-27b-it"),
        ("us.twelvelabs.pegasus-1-2-v1:0", "takes no conversation", "use invoke or invoke_stream"),
    ],
)
def test_a_model_that_takes_no_conversation_is_refused_at_the_call(model: str, problem: str, remedy: str) -> None:
    with refused("model", f"{model!r} {problem}", remedy) as caught:
        plan(model, "Hello")
    assert isinstance(caught.value, UnsupportedOperation)
    with refused("model", problem, remedy):
        check_reachable(describe(model))


def test_the_service_decides_about_such_a_model_if_told_so() -> None:
    client = Client(api_key="k", region="us-east-1")
    assert client.explain("us.openai.gpt-5.6-cyber", "Hello", unsupported="send").route == "converse"


# ----------------------------------------------------------------------------------------------- the page and the drift


def test_the_page_shows_the_table() -> None:
    """If this fails: `python -m bedrock_stream.request.models.families > docs/guides/families.md`."""
    assert PAGE.read_text(encoding="utf-8") == render()


def test_ids_without_a_row_are_listed_without_their_prefix() -> None:
    ids = [
        "us.anthropic.claude-opus-6",
        "xai.grok-4.7",
        "global.zai.glm-6",
        "amazon.nova-sonic-v1:0",
        "claude-x",
        "a b",
    ]
    assert without_row(ids) == ["anthropic.claude-opus-6", "zai.glm-6"]
    assert without_row(["stability.sd3-5-large-v1:0"]) == ["stability.sd3-5-large-v1:0"]


def test_ids_are_read_from_installed_packages(capsys: pytest.CaptureFixture[str]) -> None:
    botocore, litellm = ids_of_botocore(), ids_of_litellm()
    assert botocore is None or "amazon.nova-sonic-v1:0" in botocore
    assert litellm is None or "anthropic.claude-3-haiku-20240307-v1:0" in litellm
    main()
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "] == [
        "botocore",
        "litellm",
    ]
