"""Settings that each generation of models refuses, and the nearest request that it takes."""

from __future__ import annotations

import pytest

from tests.testing.service.refusal_samples import (
    BLANK_STOP,
    BOTH,
    CLAUDES,
    CLOSED,
    DEEPSEEK,
    DEEPSEEK_R1,
    DEPRECATED,
    FABLE_5,
    FABLE_51,
    FORCED,
    GLM_5,
    GLM_53,
    GPT_6,
    GPT_6_ASTRA,
    GPT_OSS,
    GROK,
    HAIKU_55,
    JAMBA,
    KIMI_3,
    LLAMA,
    LLAMA_4,
    LOW_TO_HIGH,
    MISTRAL_3,
    MISTRAL_2402,
    NEVER_FORCED,
    NEVER_OFF,
    NO_BUDGET,
    NO_FORMAT,
    NO_PREFILL,
    NO_STRICT,
    NONE_FIELD,
    NOVA,
    NOVA_2,
    NUMBER,
    ONLY_1,
    OPEN,
    OPUS_5,
    OPUS_41,
    OPUS_45,
    OPUS_46,
    OPUS_48,
    OPUS_55,
    PIXTRAL,
    QWEN,
    SIGNED,
    SONNET_3,
    SONNET_4,
    SONNET_5,
    SONNET_45,
    SONNET_46,
    SONNET_55,
    UNKNOWN,
    WHITE_SPACE,
    WRITER,
    Case,
    body,
    check,
    config,
    effort,
    extraneous,
    field,
    fields,
    prefill,
    schema,
    thinking,
    tools,
)

CASES = {
    # Sampling
    "temperature: Opus 4.8": Case(
        OPUS_48, config(temperature=0.2), CLAUDES + DEPRECATED.format("temperature"), (OPUS_48, config(temperature=1))
    ),
    "top_p: Opus 5.5": Case(
        OPUS_55, config(topP=0.5), CLAUDES + DEPRECATED.format("top_p"), (OPUS_46, config(topP=0.5))
    ),
    "top_k: Sonnet 5": Case(
        SONNET_5, fields(top_k=5), CLAUDES + DEPRECATED.format("top_k"), (SONNET_45, fields(top_k=5))
    ),
    "temperature with top_p: Opus 4.1": Case(
        OPUS_41, config(temperature=0.2, topP=0.9), CLAUDES + BOTH, (SONNET_4, config(temperature=0.2, topP=0.9))
    ),
    "temperature with top_p: Sonnet 4.6": Case(
        SONNET_46, config(temperature=1, topP=0.99), CLAUDES + BOTH, (SONNET_46, config(temperature=0.2))
    ),
    "temperature and thinking": Case(
        SONNET_46,
        {**fields(**thinking("adaptive")), "inferenceConfig": {"temperature": 0.2}},
        CLAUDES + ONLY_1,
        (SONNET_46, {**fields(**thinking("adaptive")), "inferenceConfig": {"temperature": 1}}),
    ),
    "temperature: GPT-6": Case(GPT_6, config(temperature=1), field("temperature"), (GPT_OSS, config(temperature=1))),
    "top_p: Grok": Case(GROK, config(topP=0.5), field("topP"), (GLM_5, config(topP=0.5))),
    "temperature: Kimi K3": Case(
        KIMI_3, config(temperature=0.5), field("temperature"), ("moonshotai.kimi-k2.5", config(temperature=0.5))
    ),
    "top_k: Llama": Case(LLAMA, fields(top_k=3), extraneous("top_k"), (QWEN, fields(top_k=3))),
    "top_k: Nova": Case(NOVA, fields(top_k=3), extraneous("top_k"), (NOVA, fields(inferenceConfig={"topK": 3}))),
    # Stop sequences
    **{
        f"stop sequences: {model}": Case(
            model, config(stopSequences=["END"]), field("stopSequences"), (model, config(stopSequences=[]))
        )
        for model in (GPT_6, GPT_OSS, GROK, GLM_5, DEEPSEEK, QWEN)
    },
    "blank stop sequence": Case(
        SONNET_45, config(stopSequences=["a", " \n"]), CLAUDES + BLANK_STOP, (NOVA, config(stopSequences=[" \n"]))
    ),
    # Limits
    "max_tokens: Sonnet 4.5": Case(
        SONNET_45,
        config(maxTokens=64_001),
        "The maximum tokens you requested exceeds the model limit of 64000. "
        "Try again with a maximum tokens value that is lower than 64000.",
        (SONNET_45, config(maxTokens=64_000)),
    ),
    "max_tokens: Nova": Case(
        NOVA,
        config(maxTokens=10_001),
        "The maximum tokens you requested exceeds the model limit of 10000. "
        "Try again with a maximum tokens value that is lower than 10000.",
        (UNKNOWN, config(maxTokens=10_000_000)),
    ),
    "max_tokens: GPT-6": Case(
        GPT_6,
        config(maxTokens=15),
        f"{CLAUDES}Invalid 'max_output_tokens': integer below minimum value. "
        "Expected a value >= 16, but got 15 instead.",
        (GPT_6, config(maxTokens=16)),
    ),
    # Thinking
    "enabled: Opus 4.8": Case(
        OPUS_48, fields(**thinking("enabled")), CLAUDES + NO_BUDGET, (OPUS_46, fields(**thinking("enabled")))
    ),
    "enabled: Claude 3": Case(
        SONNET_3,
        fields(**thinking("enabled")),
        f"{CLAUDES}thinking: Extra inputs are not permitted",
        (SONNET_4, fields(**thinking("enabled"))),
    ),
    "adaptive: Sonnet 4.5": Case(
        SONNET_45,
        fields(**thinking("adaptive")),
        f"{CLAUDES}adaptive thinking is not supported on this model",
        (OPUS_48, fields(**thinking("adaptive"))),
    ),
    **{
        f"disabled: {model}": Case(
            model, fields(**thinking("disabled")), CLAUDES + NEVER_OFF, (other, fields(**thinking("disabled")))
        )
        for model, other in ((OPUS_55, OPUS_5), (FABLE_5, HAIKU_55), (SONNET_55, SONNET_5))
    },
    "between_tools: Opus 5.5": Case(
        OPUS_55,
        fields(**thinking("between_tools")),
        f'{CLAUDES}"thinking.type.between_tools" is not supported for this model.',
        (SONNET_55, fields(**thinking("between_tools"))),
    ),
    "between_tools with display": Case(
        SONNET_55,
        fields(**thinking("between_tools", display="summarized")),
        f"{CLAUDES}thinking.between_tools.display: Extra inputs are not permitted",
        (SONNET_55, fields(**thinking("adaptive", display="summarized"))),
    ),
    "effort: Opus 4.5": Case(OPUS_45, effort("max"), CLAUDES + LOW_TO_HIGH, (OPUS_45, effort("high"))),
    "effort: Sonnet 4.5": Case(
        SONNET_45,
        effort("low"),
        f"{CLAUDES}This model does not support the effort parameter.",
        (SONNET_46, effort("max")),
    ),
    "effort: unknown word": Case(
        OPUS_48,
        effort("minimal"),
        f"{CLAUDES}output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        (OPUS_48, effort("xhigh")),
    ),
    "effort: Opus 5 without thinking": Case(
        OPUS_5,
        effort("max", **thinking("disabled")),
        CLAUDES + LOW_TO_HIGH,
        (OPUS_5, effort("high", **thinking("disabled"))),
    ),
    "effort: gpt-oss": Case(
        GPT_OSS,
        fields(reasoning_effort="none"),
        f"{CLAUDES}reasoning_effort: Input should be 'low', 'medium' or 'high'",
        (GPT_OSS, fields(reasoning_effort="low")),
    ),
    "effort: flat on GPT-6": Case(
        GPT_6,
        fields(reasoning_effort="low"),
        f"{CLAUDES}Unknown parameter: 'reasoning_effort'.",
        (GPT_6, fields(reasoning={"effort": "none"})),
    ),
    "effort: GPT-6 Astra": Case(
        GPT_6_ASTRA,
        fields(reasoning={"effort": "none"}),
        f"{CLAUDES}reasoning.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        (GPT_6_ASTRA, fields(reasoning={"effort": "max"})),
    ),
    "effort: GLM 5.3": Case(
        GLM_53,
        fields(reasoning_effort="none"),
        f"{CLAUDES}reasoning_effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        (GLM_5, fields(reasoning_effort="none")),
    ),
    "reasoning: Nova 1": Case(
        NOVA,
        fields(reasoningConfig={"type": "disabled"}),
        "Malformed input request: the provided reasoning config value is invalid",
        (NOVA_2, fields(reasoningConfig={"type": "disabled"})),
    ),
    "reasoning: Nova 2 at high": Case(
        NOVA_2,
        {
            **fields(reasoningConfig={"type": "enabled", "maxReasoningEffort": "high"}),
            "inferenceConfig": {"maxTokens": 9},
        },
        f"{CLAUDES}maxTokens must be unset when maxReasoningEffort is high.",
        (NOVA_2, fields(reasoningConfig={"type": "enabled", "maxReasoningEffort": "high"})),
    ),
    "reasoning: DeepSeek R1": Case(
        DEEPSEEK_R1,
        fields(reasoning_effort="high"),
        extraneous("reasoning_effort"),
        (DEEPSEEK, fields(reasoning_effort="high")),
    ),
    # Tool choices
    **{
        f"forced: {model}": Case(model, body(**tools("any")), CLAUDES + NEVER_FORCED, (model, body(**tools("auto"))))
        for model in (FABLE_51, OPUS_55, SONNET_55)
    },
    "forced: a tool on Opus 5.5": Case(
        OPUS_55, body(**tools("tool")), CLAUDES + NEVER_FORCED, (HAIKU_55, body(**tools("tool")))
    ),
    "forced beside a budget": Case(
        OPUS_46,
        {**fields(**thinking("enabled")), **tools("any")},
        CLAUDES + FORCED,
        (OPUS_48, {**fields(**thinking("adaptive")), **tools("any")}),
    ),
    **{
        f"choice {choice}: {model}": Case(
            model, body(**tools(choice)), field(f"toolConfig.toolChoice.{choice}"), (other, body(**tools(choice)))
        )
        for choice, model, other in (
            ("any", LLAMA, GPT_6),
            ("tool", LLAMA_4, GPT_OSS),
            ("any", "cohere.command-r-plus-v1:0", WRITER),
            ("tool", MISTRAL_2402, MISTRAL_3),
            ("tool", JAMBA, QWEN),
            ("tool", GLM_5, GLM_53),
            ("tool", PIXTRAL, GROK),
        )
    },
    "choice in two places": Case(
        SONNET_45,
        {**fields(**NONE_FIELD), **tools("auto")},
        extraneous("tool_choice", "#/additionalModelRequestFields"),
        (SONNET_45, {**fields(**NONE_FIELD), **tools()}),
    ),
    # The last turn
    **{
        f"prefill: {model}": Case(model, prefill(), CLAUDES + NO_PREFILL, (SONNET_45, prefill()))
        for model in (OPUS_46, OPUS_48, SONNET_5, OPUS_55)
    },
    "prefill of reasoning": Case(SONNET_5, prefill(SIGNED), CLAUDES + NO_PREFILL, (SONNET_46, prefill(SIGNED))),
    "prefill: Nova 2 while it reasons": Case(
        NOVA_2,
        prefill(additionalModelRequestFields={"reasoningConfig": {"type": "enabled"}}),
        NO_PREFILL,
        (NOVA_2, prefill()),
    ),
    "trailing white space": Case(
        SONNET_45, prefill({"text": "So "}), CLAUDES + WHITE_SPACE, (NOVA, prefill({"text": "So "}))
    ),
    # Structured output
    **{
        f"schema: {model}": Case(model, schema(), CLAUDES + NO_FORMAT, (SONNET_46, schema()))
        for model in (SONNET_4, OPUS_41, FABLE_5)
    },
    "schema: Nova": Case(NOVA, schema(), field("outputConfig"), (KIMI_3, schema())),
    "schema: Llama": Case(LLAMA, schema(), field("outputConfig"), (UNKNOWN, schema(OPEN))),
    "an open object": Case(
        SONNET_45,
        schema(OPEN),
        f"{CLAUDES}output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to "
        "false",
        (SONNET_45, schema()),
    ),
    "a minimum": Case(
        SONNET_45,
        schema(NUMBER),
        f"{CLAUDES}output_config.format.schema: For 'integer' type, property 'minimum' is not supported",
        (SONNET_45, schema({**CLOSED, "properties": {"a": {"type": "string", "minLength": 2}}})),
    ),
    "strict: Claude": Case(
        OPUS_41, body(**tools(strict=True)), CLAUDES + NO_STRICT, (SONNET_45, body(**tools(strict=True)))
    ),
    "strict: Nova": Case(NOVA, body(**tools(strict=False)), field("strict"), (QWEN, body(**tools(strict=True)))),
}


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
@pytest.mark.parametrize("case", CASES)
async def test_converse_refuses_and_takes(case: str, operation: str) -> None:
    await check(CASES[case], operation)
