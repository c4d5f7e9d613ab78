"""The tokens of a request are estimated from its body, in the format of any API."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream.dialects.encoding import blob, encode_body
from bedrock_stream.request.token_estimate import estimate_tokens

DATA = b64encode(bytes(3000)).decode()
LARGE = bytes(1_000_000)


def converse(*content: Any, **members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}], **members}


def tokens(body: Any) -> float:
    """Return the estimate without the role, which is four letters."""
    return estimate_tokens(encode_body(body)).input_tokens - 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"text": "a" * 400}, 100),
        ({"text": "é" * 200}, 100),
        ({"image": {"format": "png", "source": {"bytes": DATA}}}, 1600),
        ({"image": {"format": "png", "source": {"bytes": blob(LARGE)}}}, 1600),
        ({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://x/y"}}}}, 20_000),
        ({"document": {"format": "txt", "name": "n", "source": {"bytes": DATA}}}, 750),
        ({"document": {"format": "md", "name": "n", "source": {"text": "a" * 3000}}}, 562.5),
        ({"document": {"format": "pdf", "name": "n", "source": {"bytes": DATA}}}, 1500),
        ({"document": {"format": "pdf", "name": "n", "source": {"bytes": blob(LARGE)}}}, 50_000),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}, 1601.25),
        ({"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": DATA}}, 752),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}, 1602.25),
        ({"document": {"source": "x"}}, 1500),
        ({"image": "x", "type": 5}, 0.25),
    ],
)
def test_content(content: dict[str, Any], expected: float) -> None:
    assert tokens(converse(content)) == expected


def test_text_is_counted_everywhere_and_tools_with_their_names() -> None:
    tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}]}
    expected = 100 + 25 + len(json.dumps(tools, separators=(",", ":"))) / 4
    body = converse({"text": "a" * 400}, system=[{"text": "a" * 100}], toolConfig=tools, additional={"top_k": 5})
    assert tokens(body) == expected


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"inferenceConfig": {"maxTokens": 7}}, 7),
        ({"inferenceConfig": {"max_new_tokens": 7}}, 7),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_gen_len": 7}, 7),
        ({"textGenerationConfig": {"maxTokenCount": 7}}, 7),
        ({"inferenceConfig": {}}, None),
        ({"inferenceConfig": 7, "max_tokens": "7"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_the_output(body: dict[str, Any], limit: int | None) -> None:
    assert estimate_tokens(encode_body(body)).max_tokens == limit


def test_no_body_is_estimated_at_more_than_a_window() -> None:
    assert estimate_tokens(encode_body({"text": "a" * 4_100_000})).input_tokens == 1_000_000
    assert estimate_tokens(encode_body({"text": "a" * 5_000_000})) == (1_000_000, None)


def test_a_body_that_is_nested_deeply_is_measured_by_its_length() -> None:
    deep: Any = "a"
    for _ in range(900):
        deep = [deep]
    assert estimate_tokens(encode_body({"text": deep})).input_tokens > 0


NAMES = st.sampled_from(["image", "document", "source", "bytes", "data", "text", "format", "type", "tools"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=30,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON))
def test_any_body_has_an_estimate(body: dict[str, Any]) -> None:
    assert estimate_tokens(encode_body(body)).input_tokens >= 0
