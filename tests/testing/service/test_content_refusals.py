"""Content that each generation of models refuses, and the nearest request that it takes."""

from __future__ import annotations

import pytest

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import assistant, post, user
from tests.testing.service.refusal_samples import (
    AFTER_REASONING,
    CITED,
    CLAUDES,
    DEEPSEEK,
    DEEPSEEK_R1,
    GPT_6,
    GPT_NEXT,
    GPT_OSS,
    IMAGE,
    KIMI_3,
    LLAMA,
    LLAMA_3,
    MISTRAL_3,
    MISTRAL_7B,
    MISTRAL_2402,
    MIXED,
    NEMOTRON,
    NEWER_CLAUDE,
    NINE,
    NO_CITATIONS,
    NO_SYSTEM,
    NO_VIDEO,
    NOVA,
    NOVA_2,
    NOVA_MICRO,
    OPEN,
    PIXTRAL,
    PLAIN,
    POINT,
    POINT_5M,
    REDACTED,
    S3_IMAGE,
    SAME_NAMES,
    SIGNED,
    SONNET_3,
    SONNET_4,
    SONNET_45,
    TITAN,
    UNKNOWN,
    UNSIGNED,
    VIDEO,
    WRITER,
    Case,
    body,
    called,
    check,
    document,
    extraneous,
    field,
    fields,
    prefill,
    schema,
    thinking,
    tools,
    turns,
)

CASES = {
    # Reasoning of earlier turns
    "unsigned: Claude": Case(SONNET_45, turns(PLAIN), CLAUDES + UNSIGNED, (SONNET_45, turns(SIGNED))),
    **{
        f"signed: {model}": Case(
            model,
            turns(SIGNED, {"text": "a"}),
            field("reasoningContent.reasoningText.signature"),
            (GPT_OSS, turns(PLAIN, {"text": "a"})),
        )
        for model in (NOVA, NOVA_2, GPT_OSS, DEEPSEEK)
    },
    "redacted: Nova 2": Case(
        NOVA_2, turns(REDACTED), field("reasoningContent.redactedContent"), (GPT_6, turns(REDACTED))
    ),
    "unsigned: Nova 1": Case(NOVA, turns(PLAIN), field("reasoningContent"), (NOVA_2, turns(PLAIN))),
    # Content
    "video: Claude": Case(SONNET_45, body({"text": "a"}, VIDEO), NO_VIDEO, (NOVA, body({"text": "a"}, VIDEO))),
    "video: Llama": Case(LLAMA, body({"text": "a"}, VIDEO), NO_VIDEO, (UNKNOWN, body({"text": "a"}, VIDEO))),
    "image: Nova Micro": Case(
        NOVA_MICRO, body({"text": "a"}, IMAGE), NO_VIDEO.replace("video", "image"), (NOVA, body({"text": "a"}, IMAGE))
    ),
    "document: Pixtral": Case(
        PIXTRAL,
        body({"text": "a"}, document()),
        NO_VIDEO.replace("video", "document"),
        (PIXTRAL, called(call=NINE, content=[document()])),
    ),
    "image from S3": Case(
        SONNET_45, body({"text": "a"}, S3_IMAGE), field("s3Uri"), (NOVA, body({"text": "a"}, S3_IMAGE))
    ),
    "citations": Case(
        NOVA,
        body({"text": "a"}, document(**CITED)),
        NO_CITATIONS,
        (SONNET_45, body({"text": "a"}, document(**CITED))),
    ),
    "blank text": Case(
        NOVA,
        body({"text": " "}),
        "The text field in the ContentBlock object at messages.0.content.0 is blank. "
        "Add text to the text field, and try again.",
        (NOVA, body({"text": "."})),
    ),
    "an empty result": Case(
        SONNET_45,
        called(content=[]),
        "The content field in the ToolResultBlock object at messages.2.content.0.toolResult is empty. "
        "Add a ToolResultContentBlock object to the content field and try again.",
        (SONNET_45, called()),
    ),
    "system: Mistral 7B": Case(
        MISTRAL_7B, body(system=[{"text": "s"}]), NO_SYSTEM, (MISTRAL_2402, body(system=[{"text": "s"}]))
    ),
    **{
        f"tools: {model}": Case(
            model, body(**tools()), "This model doesn't support tool use.", (LLAMA, body(**tools()))
        )
        for model in (MISTRAL_7B, DEEPSEEK_R1, LLAMA_3, TITAN)
    },
    "a schema without type": Case(
        SONNET_45,
        body(**tools(inputSchema={"json": {}})),
        "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.",
        (SONNET_45, body(**tools())),
    ),
    # Tool results
    **{
        f"results beside text: {model}": Case(
            model, called({"text": "b"}, call=NINE), MIXED, (model, called(call=NINE))
        )
        for model in (LLAMA, MISTRAL_3, WRITER)
    },
    "results beside a document": Case(
        SONNET_45, called({"text": "b"}, document()), MIXED, (SONNET_45, called({"text": "b"}, IMAGE))
    ),
    "status": Case(WRITER, called(status="error"), field("status"), (LLAMA, called(status="error"))),
    "ids: Mistral": Case(
        MISTRAL_3,
        called(call="tooluse_1"),
        f"{CLAUDES}Tool call id was tooluse_1 but must be a-z, A-Z, 0-9, with a length of 9.",
        (MISTRAL_3, called(call=NINE)),
    ),
    "ids: Claude": Case(
        SONNET_45,
        called(call="a.b"),
        f"{CLAUDES}messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        (NOVA, called(call="a.b")),
    ),
    # Documents
    "a name twice": Case(
        NOVA,
        {"messages": [user({"text": "a"}, document()), assistant({"text": "b"}), user({"text": "c"}, document())]},
        SAME_NAMES,
        (NOVA, body({"text": "a"}, document("A"), document("B"))),
    ),
    "a name twice, once in a result": Case(
        SONNET_45,
        {
            **called(content=[document()]),
            "messages": [user({"text": "a"}, document()), *called(content=[document()])["messages"][1:]],
        },
        SAME_NAMES,
        (SONNET_45, called(content=[document()])),
    ),
    "an illegal name": Case(
        NOVA,
        body({"text": "a"}, document("a.pdf")),
        "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
        "parentheses, and square brackets. The name can't contain more than one consecutive whitespace character.",
        (NOVA, body({"text": "a"}, document("a_(1) [b]-c"))),
    ),
    # Cache points
    "cache point after reasoning": Case(
        SONNET_45,
        turns({"text": "a"}, SIGNED, POINT),
        AFTER_REASONING,
        (SONNET_45, turns(SIGNED, {"text": "a"}, POINT)),
    ),
    "cache point first": Case(
        SONNET_45,
        body(POINT, {"text": "a"}),
        f"{CLAUDES}messages.0.content.0.type: Field required",
        (SONNET_45, body({"text": "a"}, POINT)),
    ),
    **{
        f"cache point after {kind}": Case(
            SONNET_45,
            body({"text": "a"}, document(kind=kind), POINT),
            f"{CLAUDES}messages.0.content.2.type: Field required",
            (SONNET_45, body({"text": "a"}, document(kind="pdf"), POINT)),
        )
        for kind in ("csv", "txt", "md", "html", "docx", "xlsx")
    },
    "two cache points": Case(
        NOVA,
        body({"text": "a"}, POINT, POINT),
        "The cachePoint at messages.0.content.2 can't directly follow a cachePoint block. "
        "Move the cachePoint and try again.",
        (NOVA, body({"text": "a"}, IMAGE, POINT)),
    ),
    "cache point: Kimi K3": Case(
        KIMI_3, body({"text": "a"}, POINT), field("cachePoint"), (UNKNOWN, body({"text": "a"}, POINT))
    ),
    "cache point: GPT-6": Case(
        GPT_6, body({"text": "a"}, POINT), field("cachePoint"), (NOVA, body({"text": "a"}, POINT))
    ),
    "cache point: Claude 3": Case(
        SONNET_3, body({"text": "a"}, POINT), field("cachePoint"), (SONNET_4, body({"text": "a"}, POINT))
    ),
    "ttl: Nova": Case(
        NOVA,
        body({"text": "a"}, POINT_5M),
        extraneous("ttl", "#/cachePoint"),
        (SONNET_45, body({"text": "a"}, POINT_5M)),
    ),
    "cache point beside a result: Nova": Case(
        NOVA,
        called(POINT),
        extraneous("cachePoint", "#/messages/2/content"),
        (SONNET_45, called(POINT)),
    ),
}

SHAPES = {
    "settings": {
        **fields(output_config={"effort": "colossal"}, reasoning_effort="none", **thinking("between_tools")),
        "inferenceConfig": {"temperature": 0.3, "topP": 0.4, "stopSequences": ["END"], "maxTokens": 1},
    },
    "choice": body(**tools("tool", strict=True), system=[{"text": "s"}, POINT_5M]),
    "prefill": prefill(),
    "schema": schema(OPEN),
}
"""Requests that one row or another refuses; a model without a row takes them all."""


@pytest.mark.parametrize("operation", ["converse", "converse-stream"])
@pytest.mark.parametrize("case", CASES)
async def test_converse_refuses_and_takes(case: str, operation: str) -> None:
    await check(CASES[case], operation)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "model", [UNKNOWN, NEWER_CLAUDE, GPT_NEXT, "moonshotai.kimi-k9", "us.openai.gpt-8", "acme.one-v1"]
)
async def test_models_without_a_row_take_everything(model: str, shape: str) -> None:
    async with Emulator() as emulator:
        response = await post(emulator, SHAPES[shape], "converse", model)
        assert response.status == 200, response.body


async def test_models_without_a_cache_have_no_access_to_it() -> None:
    async with Emulator() as emulator:
        response = await post(emulator, body({"text": "a"}, POINT), "converse", NEMOTRON)
        message = (
            "You invoked an unsupported model or your request did not allow prompt caching. "
            "See the documentation for more information."
        )
        assert response.error == (403, "AccessDeniedException", {"message": message})


async def test_a_project_is_taken() -> None:
    async with Emulator() as emulator:
        assert (await post(emulator, body(projectIdentifier="prj_1"), "converse", NOVA)).status == 200


@pytest.mark.parametrize(
    ("model", "status"), [("anthropic.claude-sonnet-5", 400), ("anthropic.claude-sonnet-4-6", 200)]
)
async def test_newer_claudes_count_no_tokens(model: str, status: int) -> None:
    async with Emulator() as emulator:
        response = await post(emulator, {"input": {"converse": body()}}, "count-tokens", model)
        assert response.status == status
        if status == 400:
            message = "The provided model doesn't support counting tokens."
            assert response.error == (400, "ValidationException", {"message": message})
