"""The HTTP request: exact bytes, one path segment for the model, and a body that is JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bedrock_stream
from bedrock_stream.dialects.converse import Converse
from bedrock_stream.request.http import build_request, headers_for
from tests.support.refusals import refused

HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"


def url(model: str, endpoint: str = HOST) -> str:
    return build_request(endpoint + Converse().path(model, "converse"), {}, headers=(("Accept", "x"),)).url


def test_a_request_is_exact_bytes() -> None:
    request = build_request(
        HOST + Converse().path("anthropic.claude-3-sonnet-20240229-v1:0", "converse-stream"),
        {"a": ["ü", 1]},
        headers=headers_for(Converse(), streaming=True),
    )
    assert (request.method, request.url, request.headers, request.body.data) == (
        "POST",
        f"{HOST}/model/anthropic.claude-3-sonnet-20240229-v1%3A0/converse-stream",
        (
            ("Accept", "application/vnd.amazon.eventstream"),
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", f"bedrock-stream/{bedrock_stream.__version__}"),
        ),
        '{"a":["ü",1]}'.encode(),
    )


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x-v1:0",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0",
        ),
        ("a%3Ab", "a%253Ab"),
        ("'()*!@+,=&$;", "%27%28%29%2A%21%40%2B%2C%3D%26%24%3B"),
        ("a-_.~Z9", "a-_.~Z9"),
        ("ü", "%C3%BC"),
    ],
)
def test_the_model_is_one_segment_that_is_escaped_once(model: str, segment: str) -> None:
    assert url(model) == f"{HOST}/model/{segment}/converse"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_model_can_be_read_from_its_segment(model: str) -> None:
    host, segment, operation = url(model).removeprefix("https://").split("/model/")[0], *url(model).split("/")[-2:]
    assert (host, unquote(segment), operation) == (HOST.removeprefix("https://"), model, "converse")
    assert segment == quote(model, safe="-_.~")


def test_the_path_of_the_endpoint_is_kept() -> None:
    assert url("m", "http://127.0.0.1:8080/base") == "http://127.0.0.1:8080/base/model/m/converse"


def test_bytes_become_base64() -> None:
    request = build_request(f"{HOST}/p", {"bytes": b"\x00\xff"}, headers=(("Accept", "x"),))
    assert request.body.data == b'{"bytes":"AP8="}'


def circle() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (object(), "an object of type object is not JSON serializable"),
        ({(1, 2): 3}, "an object of type tuple is not JSON serializable"),
        ("\ud800", "surrogates not allowed"),
        (circle(), "maximum recursion depth exceeded"),
    ],
    ids=["object", "key", "surrogate", "circle"],
)
def test_a_body_that_is_not_json_is_refused(value: Any, problem: str) -> None:
    with refused("request", problem, "use JSON values"):
        build_request(f"{HOST}/p", {"extra": value}, headers=(("Accept", "x"),))
