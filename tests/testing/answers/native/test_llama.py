"""Llama's generations through InvokeModel and its stream."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream.testing import Step, delay, event, metadata, stop, text
from tests.support.emulator_client import LLAMA
from tests.support.native_client import COUNTED, FIXED, METRICS, document, documents


def piece(said: str, tokens: int, prompt: int | None = None, reason: str | None = None) -> dict[str, Any]:
    return {
        "generation": said,
        "prompt_token_count": prompt,
        "generation_token_count": tokens,
        "stop_reason": reason,
    }


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            [text(["a", "b"]), text("c"), stop(), FIXED],
            [piece("a", 1, 5), piece("b", 2), {**piece("c", 7, None, "stop"), METRICS: COUNTED}],
        ),
        ([text("a"), FIXED], [{**piece("a", 7, 5, "stop"), METRICS: COUNTED}]),
        (
            [text("a"), delay(0), stop("max_tokens"), FIXED],
            [piece("a", 1, 5), {**piece("", 7, None, "length"), METRICS: COUNTED}],
        ),
        ([stop("odd"), FIXED], [{**piece("", 7, 5, "odd"), METRICS: COUNTED}]),
        ([text("a"), metadata(None)], [piece("a", 1, 2, "stop")]),
        (
            [text("a"), event("messageStop", {"generation": "end"}), FIXED],
            [piece("a", 1, 5), {"generation": "end"}],
        ),
    ],
)
async def test_llama_streams_generations(steps: list[Step], expected: list[Any]) -> None:
    assert await documents(LLAMA, *steps) == expected


async def test_llama_says_the_same_as_one_document() -> None:
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
    said = await document(LLAMA, body={"prompt": prompt})
    assert said["generation"].startswith('You said: "Why?".')
    assert said["stop_reason"] == "stop"
    # Roles and words are counted, the marks of the template are not.
    assert said["prompt_token_count"] == (3 if prompt == "Why?" else 10)


async def test_llama_stops_at_its_limit() -> None:
    said = await document(LLAMA, body={"prompt": "Hi", "max_gen_len": 3})
    assert (said["generation_token_count"], said["stop_reason"]) == (3, "length")
