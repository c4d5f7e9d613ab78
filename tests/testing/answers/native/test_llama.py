"""Llama's format with InvokeModel and InvokeModelWithResponseStream."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Step, delay, event, metadata, stop, text
from tests.support.emulator_client import LLAMA
from tests.support.native_client import COUNTED, FIXED, METRICS, document, documents


def chunk(text: str, tokens: int, prompt: int | None = None, reason: str | None = None) -> dict[str, Any]:
    return {
        "generation": text,
        "prompt_token_count": prompt,
        "generation_token_count": tokens,
        "stop_reason": reason,
    }


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [text(["a", "b"]), text("c"), stop(), FIXED],
            [chunk("a", 1, 5), chunk("b", 2), {**chunk("c", 7, None, "stop"), METRICS: COUNTED}],
        ),
        ([text("a"), FIXED], [{**chunk("a", 7, 5, "stop"), METRICS: COUNTED}]),
        (
            [text("a"), delay(0), stop("max_tokens"), FIXED],
            [chunk("a", 1, 5), {**chunk("", 7, None, "length"), METRICS: COUNTED}],
        ),
        ([stop("odd"), FIXED], [{**chunk("", 7, 5, "odd"), METRICS: COUNTED}]),
        ([text("a"), metadata(None)], [chunk("a", 1, 2, "stop")]),
        (
            [text("a"), event("messageStop", {"generation": "end"}), FIXED],
            [chunk("a", 1, 5), {"generation": "end"}],
        ),
    ],
)
async def test_llama_streams_generations(steps: list[Step], expected: list[Any]) -> None:
    assert await documents(LLAMA, *steps) == expected


async def test_llama_returns_the_same_message_as_one_document() -> None:
    assert await document(LLAMA, text("a"), text("b"), stop("max_tokens"), FIXED) == {
        "generation": "ab",
        "prompt_token_count": 5,
        "generation_token_count": 7,
        "stop_reason": "length",
    }


# ----------------------------------------------------------------------------------------------------------- unscripted


LLAMA_2 = "<s>[INST] <<SYS>>\nBe brief\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Why? [/INST]"
LLAMA_3 = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    "Hello<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
LLAMA_4 = (
    LLAMA_3.replace("start_header_id", "header_start").replace("end_header_id", "header_end").replace("eot_id", "eot")
)


@pytest.mark.parametrize("prompt", [LLAMA_2, LLAMA_3, LLAMA_4, "Why?"])
async def test_llama_answers_the_last_turn_of_its_template(prompt: str) -> None:
    generated = await document(LLAMA, body={"prompt": prompt})
    assert generated["generation"].startswith('You said: "Why?".')
    assert generated["stop_reason"] == "stop"
    # Roles and words are counted, the markers of the template are not.
    assert generated["prompt_token_count"] == (3 if prompt == "Why?" else 10)


async def test_llama_stops_at_its_limit() -> None:
    generated = await document(LLAMA, body={"prompt": "Hi", "max_gen_len": 3})
    assert (generated["generation_token_count"], generated["stop_reason"]) == (3, "length")
