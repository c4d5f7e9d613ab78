"""What one family refuses on Converse and another takes."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import CLAUDE, GPT_OSS, LLAMA, post

NOVA = "us.amazon.nova-pro-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
WRITER = "writer.palmyra-x5-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
UNTOLD = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"

TOOLS: dict[str, Any] = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
HOUR: dict[str, Any] = {"cachePoint": {"type": "default", "ttl": "1h"}}
IMAGE: dict[str, Any] = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
VIDEO: dict[str, Any] = {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}
TEXT: dict[str, Any] = {"text": "Hi"}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}


def document(name: str = "A") -> dict[str, Any]:
    return {"document": {"name": name, "format": "txt", "source": {"text": "x"}}}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def body(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [user(*content)], **more}


def results(*beside: Any, content: Any = ({"text": "ok"},), **more: Any) -> dict[str, Any]:
    result = {"toolResult": {"toolUseId": "t1", "content": list(content), **more}}
    turns = [user(TEXT), {"role": "assistant", "content": [USE]}, user(result, *beside)]
    return {"messages": turns, "toolConfig": TOOLS}


def choice(name: str) -> dict[str, Any]:
    return body(TEXT, toolConfig={**TOOLS, "toolChoice": {name: {"name": "f"} if name == "tool" else {}}})


def thinking(**more: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}, **more}


ALONE = "messages.2.content: Conversation blocks and tool result blocks cannot be provided in the same turn."
UNSEEN = "content block that you provided. Update the content block and try again."
MODEL_SAYS = "The model returned the following errors: "

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    **{f"result and text: {model}": (model, results(TEXT), ALONE) for model in (LLAMA, MISTRAL, WRITER)},
    "result and document: claude": (CLAUDE, results(document(), TEXT), ALONE),
    "status: writer": (WRITER, results(status="error"), "doesn't support the status field. Remove status"),
    **{
        f"choice any: {model}": (model, choice("any"), "doesn't support the toolConfig.toolChoice.any field.")
        for model in (LLAMA, GPT_OSS, QWEN, WRITER)
    },
    **{
        f"choice tool: {model}": (model, choice("tool"), "Remove toolConfig.toolChoice.tool and try again.")
        for model in (LLAMA, GPT_OSS, MISTRAL)
    },
    "image: gpt-oss": (GPT_OSS, body(TEXT, IMAGE), f"the image {UNSEEN}"),
    "video: claude": (CLAUDE, body(TEXT, VIDEO), f"the video {UNSEEN}"),
    "video in a result: claude": (CLAUDE, results(content=[VIDEO]), f"the video {UNSEEN}"),
    "image in a result: mistral": (MISTRAL, results(content=[IMAGE]), f"the image {UNSEEN}"),
    "document in a result: qwen": (QWEN, results(content=[document()]), f"the document {UNSEEN}"),
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
        for name in ("", "a.pdf", "a  b", "a_b", "ä", "x" * 201)
    },
    "points behind tools: nova": (
        NOVA,
        body(TEXT, toolConfig={"tools": [*TOOLS["tools"], POINT]}),
        "#/toolConfig/tools: extraneous key [cachePoint]",
    ),
    "5 points": (
        CLAUDE,
        body(*[TEXT, POINT] * 5),
        f"{MODEL_SAYS}A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "two points": (CLAUDE, body(TEXT, POINT, POINT), "at messages.0.content.2 can't directly follow a cachePoint"),
    "point behind a document": (CLAUDE, body(TEXT, document(), POINT), "can't directly follow a document block"),
    "point behind a video": (NOVA, body(TEXT, VIDEO, POINT), "can't directly follow a video block"),
    "longer point later": (
        CLAUDE,
        body(TEXT, HOUR, system=[{"text": "s"}, POINT]),
        f"{MODEL_SAYS}messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after",
    ),
    "blank text: claude": (CLAUDE, body({"text": " "}), "messages.0.content.0 is blank"),
    "empty text: nova": (NOVA, body({"text": ""}), "messages.0.content.0 is blank"),
    "empty system: llama": (LLAMA, body(TEXT, system=[{"text": ""}]), "system.0 is blank"),
    "space at the end: claude": (
        CLAUDE,
        {"messages": [user(TEXT), {"role": "assistant", "content": [{"text": "So "}]}]},
        f"{MODEL_SAYS}messages: final assistant content cannot end with trailing whitespace",
    ),
    "thinking cold": (
        CLAUDE,
        body(TEXT, **thinking(inferenceConfig={"temperature": 0.2})),
        f"{MODEL_SAYS}`temperature` may only be set to 1",
    ),
    "thinking is left out": (
        CLAUDE,
        {**results(), **thinking()},
        f"{MODEL_SAYS}messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ),
}

TAKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "result and text: claude": (CLAUDE, results(TEXT, IMAGE)),
    "result and text: untold": (UNTOLD, results(TEXT)),
    "result alone: llama": (LLAMA, results(status="error")),
    "choice any: mistral": (MISTRAL, choice("any")),
    "choice tool: nova": (NOVA, choice("tool")),
    "choice tool: untold": (UNTOLD, choice("tool")),
    "choice auto: gpt-oss": (GPT_OSS, choice("auto")),
    "20 images": (CLAUDE, body(TEXT, *[IMAGE] * 20)),
    "5 documents": (CLAUDE, body(TEXT, *(document(name) for name in ("A", "b 2", "c-(3)", "[d]", "E")))),
    "image in a result: claude": (CLAUDE, results(content=[IMAGE, document()])),
    "blank text: nova": (NOVA, body({"text": " "}, system=[{"text": "\n"}])),
    "4 points": (
        CLAUDE,
        body(TEXT, HOUR, IMAGE, POINT, system=[TEXT, HOUR], toolConfig={"tools": [*TOOLS["tools"], HOUR]}),
    ),
    "points: nova": (NOVA, body(TEXT, POINT, system=[TEXT, POINT])),
    "points: untold": (UNTOLD, body(TEXT, POINT)),
    "an open answer": (CLAUDE, {"messages": [user(TEXT), {"role": "assistant", "content": [{"text": "So"}]}]}),
    "thinking is there": (
        CLAUDE,
        {
            "messages": [
                user(TEXT),
                {"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "Hm"}}}, USE]},
                results()["messages"][2],
            ],
            "toolConfig": TOOLS,
            **thinking(),
        },
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_family_would_refuse(case: str) -> None:
    model, request, words = REFUSED[case]
    async with Emulator() as emulator:
        for operation in ("converse", "converse-stream"):
            status, code, document = (await post(emulator, request, operation, model)).error
            assert (status, code) == (400, "ValidationException")
            assert words in document["message"]


@pytest.mark.parametrize("case", TAKEN)
async def test_a_family_would_take(case: str) -> None:
    model, request = TAKEN[case]
    async with Emulator() as emulator:
        answer = await post(emulator, request, "converse", model)
        assert answer.status == 200, answer.body


@pytest.mark.parametrize("model", [LLAMA, "amazon.titan-text-express-v1"])
async def test_cache_points_are_denied_to_models_without_a_cache(model: str) -> None:
    async with Emulator() as emulator:
        status, code, document = (await post(emulator, body(TEXT, POINT), model=model)).error
        assert (status, code) == (403, "AccessDeniedException")
        assert "did not allow prompt caching" in document["message"]
