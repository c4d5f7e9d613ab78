"""Rules of Converse that differ by model family."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import CLAUDE, GPT_OSS, LLAMA, assistant, post, user

NOVA = "us.amazon.nova-pro-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
WRITER = "writer.palmyra-x5-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
COHERE = "cohere.command-r-v1:0"
SONNET_46 = "us.anthropic.claude-sonnet-4-6"
UNKNOWN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"

TOOLS: dict[str, Any] = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
CACHE_POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
CACHE_POINT_1H: dict[str, Any] = {"cachePoint": {"type": "default", "ttl": "1h"}}
IMAGE: dict[str, Any] = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
VIDEO: dict[str, Any] = {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}
TEXT: dict[str, Any] = {"text": "Hi"}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}


def document(name: str = "A") -> dict[str, Any]:
    return {"document": {"name": name, "format": "txt", "source": {"text": "x"}}}


def body(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [user(*content)], **more}


def results(*others: Any, content: Any = ({"text": "ok"},), **more: Any) -> dict[str, Any]:
    result = {"toolResult": {"toolUseId": "t1", "content": list(content), **more}}
    turns = [user(TEXT), assistant(USE), user(result, *others)]
    return {"messages": turns, "toolConfig": TOOLS}


def choice(name: str) -> dict[str, Any]:
    return body(TEXT, toolConfig={**TOOLS, "toolChoice": {name: {"name": "f"} if name == "tool" else {}}})


def thinking(**more: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}, **more}


RESULTS_ONLY = "messages.2.content: Conversation blocks and tool result blocks cannot be provided in the same turn."
UNSUPPORTED = "content block that you provided. Update the content block and try again."
PREFIX = "The model returned the following errors: "

INVALID: dict[str, tuple[str, dict[str, Any], str]] = {
    **{f"result and text: {model}": (model, results(TEXT), RESULTS_ONLY) for model in (LLAMA, MISTRAL, WRITER)},
    "result and document: claude": (CLAUDE, results(document(), TEXT), RESULTS_ONLY),
    "status: writer": (WRITER, results(status="error"), "doesn't support the status field. Remove status"),
    **{
        f"choice any: {model}": (model, choice("any"), "doesn't support the toolConfig.toolChoice.any field.")
        for model in (LLAMA, COHERE)
    },
    **{
        f"choice tool: {model}": (model, choice("tool"), "Remove toolConfig.toolChoice.tool and try again.")
        for model in (LLAMA, MISTRAL, COHERE)
    },
    "image: gpt-oss": (GPT_OSS, body(TEXT, IMAGE), f"the image {UNSUPPORTED}"),
    "video: claude": (CLAUDE, body(TEXT, VIDEO), f"the video {UNSUPPORTED}"),
    "video in a result: claude": (CLAUDE, results(content=[VIDEO]), f"the video {UNSUPPORTED}"),
    "image in a result: mistral": (MISTRAL, results(content=[IMAGE]), f"the image {UNSUPPORTED}"),
    "document in a result: qwen": (QWEN, results(content=[document()]), f"the document {UNSUPPORTED}"),
    "document alone": (NOVA, body(document()), "A text block is required beside the document blocks at messages.0"),
    "21 images": (NOVA, body(TEXT, *[IMAGE] * 21), "too many images: image_count > 20"),
    "6 documents": (
        NOVA,
        body(TEXT, *(document(name) for name in "ABCDEF")),
        "You can't include more than 5 documents in a request.",
    ),
    "same document twice": (NOVA, body(TEXT, document(), document()), "can't contain duplicate document names"),
    **{
        f"document name {name!r}": (NOVA, body(TEXT, document(name)), "The document file name can only contain")
        for name in ("", "a.pdf", "a  b", "ä", "x" * 201)
    },
    "cache points after tools: nova": (
        NOVA,
        body(TEXT, toolConfig={"tools": [*TOOLS["tools"], CACHE_POINT]}),
        "#/toolConfig/tools: extraneous key [cachePoint]",
    ),
    "5 cache points": (
        SONNET_46,
        body(*[TEXT, CACHE_POINT] * 5),
        f"{PREFIX}A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "two cache points in a row": (
        SONNET_46,
        body(TEXT, CACHE_POINT, CACHE_POINT),
        "at messages.0.content.2 can't directly follow a cachePoint",
    ),
    "cache point after a document": (
        SONNET_46,
        body(TEXT, document(), CACHE_POINT),
        f"{PREFIX}messages.0.content.2.type: Field required",
    ),
    "cache point after a video": (NOVA, body(TEXT, VIDEO, CACHE_POINT), "can't directly follow a video block"),
    "longer ttl later": (
        SONNET_46,
        body(TEXT, CACHE_POINT_1H, system=[{"text": "s"}, CACHE_POINT]),
        f"{PREFIX}messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after",
    ),
    "blank text: claude": (CLAUDE, body({"text": " "}), "messages.0.content.0 is blank"),
    "blank text: nova": (NOVA, body({"text": " "}), "messages.0.content.0 is blank"),
    "blank system: nova": (NOVA, body(TEXT, system=[{"text": "\n"}]), "system.0 is blank"),
    "empty text: nova": (NOVA, body({"text": ""}), "messages.0.content.0 is blank"),
    "empty system: llama": (LLAMA, body(TEXT, system=[{"text": ""}]), "system.0 is blank"),
    "trailing white space: claude": (
        CLAUDE,
        {"messages": [user(TEXT), assistant({"text": "So "})]},
        f"{PREFIX}messages: final assistant content cannot end with trailing whitespace",
    ),
    "thinking and temperature": (
        SONNET_46,
        body(TEXT, **thinking(inferenceConfig={"temperature": 0.2})),
        f"{PREFIX}`temperature` may only be set to 1",
    ),
    "missing thinking block": (
        SONNET_46,
        {
            **results(),
            "inferenceConfig": {"maxTokens": 4000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        },
        f"{PREFIX}messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ),
}

VALID: dict[str, tuple[str, dict[str, Any]]] = {
    "result and text: claude": (CLAUDE, results(TEXT, IMAGE)),
    "result and text: unknown family": (UNKNOWN, results(TEXT)),
    "result alone: llama": (LLAMA, results(status="error")),
    "choice any: mistral": (MISTRAL, choice("any")),
    "choice tool: nova": (NOVA, choice("tool")),
    "choice tool: unknown family": (UNKNOWN, choice("tool")),
    **{
        f"choice {name}: {model}": (model, choice(name))
        for name in ("any", "tool")
        for model in (GPT_OSS, QWEN, WRITER)
    },
    "choice auto: gpt-oss": (GPT_OSS, choice("auto")),
    "20 images": (CLAUDE, body(TEXT, *[IMAGE] * 20)),
    "5 documents": (CLAUDE, body(TEXT, *(document(name) for name in ("A", "b 2", "c-(3)", "[d]", "E")))),
    "image in a result: claude": (CLAUDE, results(content=[IMAGE, document()])),
    "underscore in a name": (NOVA, body(TEXT, document("a_b"))),
    "4 cache points": (
        SONNET_46,
        body(
            TEXT,
            CACHE_POINT_1H,
            IMAGE,
            CACHE_POINT,
            system=[TEXT, CACHE_POINT_1H],
            toolConfig={"tools": [*TOOLS["tools"], CACHE_POINT_1H]},
        ),
    ),
    "cache points: nova": (NOVA, body(TEXT, CACHE_POINT, system=[TEXT, CACHE_POINT])),
    "cache points: unknown family": (UNKNOWN, body(TEXT, CACHE_POINT)),
    "a prefill": (CLAUDE, {"messages": [user(TEXT), assistant({"text": "So"})]}),
    "thinking block": (
        SONNET_46,
        {
            "messages": [
                user(TEXT),
                assistant({"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}, USE),
                results()["messages"][2],
            ],
            "toolConfig": TOOLS,
            **thinking(),
        },
    ),
}


@pytest.mark.parametrize("case", INVALID)
async def test_invalid_bodies_are_refused(case: str) -> None:
    model, request, message = INVALID[case]
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, request, operation, model)).error
            assert (status, code) == (400, "ValidationException")
            assert message in document["message"]


@pytest.mark.parametrize("case", VALID)
async def test_valid_bodies_are_accepted(case: str) -> None:
    model, request = VALID[case]
    async with Emulator() as emulator:
        response = await post(emulator, request, "converse", model)
        assert response.status == 200, response.body


@pytest.mark.parametrize("model", [LLAMA, "amazon.titan-text-express-v1"])
async def test_cache_points_are_refused_for_models_without_a_cache(model: str) -> None:
    async with Emulator() as emulator:
        status, code, document = (await post(emulator, body(TEXT, CACHE_POINT), model=model)).error
        assert (status, code) == (403, "AccessDeniedException")
        assert "did not allow prompt caching" in document["message"]
