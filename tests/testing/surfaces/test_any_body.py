"""Any JSON body, on every path of the newer surfaces, gets an answer or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream.testing.answers.answering import answer
from bedrock_stream.testing.answers.facts import Facts
from bedrock_stream.testing.answers.frames import independent_crc
from bedrock_stream.testing.service.asked import Asked
from bedrock_stream.testing.service.operations import find_operation
from bedrock_stream.testing.service.refusal import Refusal
from bedrock_stream.testing.service.stored import StoredResponses
from tests.support.surface_client import CHAT, CLAUDE, GPT, GPT_OSS, MESSAGES, RESPONSES

# What the server turns into a refusal: a member that no check covers has an unexpected type.
UNEXPECTED = (Refusal, AttributeError, KeyError, TypeError, ValueError)
CHECKSUM = independent_crc()

NAMES = st.sampled_from(
    [
        "messages",
        "input",
        "role",
        "content",
        "type",
        "text",
        "tools",
        "function",
        "name",
        "parameters",
        "tool_calls",
        "id",
        "arguments",
        "call_id",
        "output",
        "summary",
        "tool_call_id",
        "tool_choice",
        "stream",
        "max_tokens",
        "system",
        "thinking",
        "reasoning",
        "effort",
        "stop",
        "input_schema",
        "tool_use_id",
        "source",
        "format",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "system",
        "tool",
        "text",
        "input_text",
        "function",
        "function_call",
        "function_call_output",
        "message",
        "reasoning",
        "tool_use",
        "tool_result",
        "image",
        "image_url",
        "auto",
        "low",
        "{}",
        "f",
        "c",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def turns(path: str) -> st.SearchStrategy[Any]:
    turn = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": VALUES})
    return st.lists(turn | VALUES, max_size=3) if path != RESPONSES else st.lists(turn | VALUES, max_size=3) | WORDS


@st.composite
def bodies(draw: st.DrawFn, path: str) -> dict[str, Any]:
    body = draw(st.dictionaries(NAMES, VALUES, max_size=3))
    if draw(st.booleans()):
        body["input" if path == RESPONSES else "messages"] = draw(turns(path))
    if path == MESSAGES:
        body["max_tokens"] = 100
    return body


def check(path: str, model: str) -> Callable[[], Any]:
    """Return the property of a path."""

    @given(bodies(path))
    def any_body(body: dict[str, Any]) -> None:
        found = find_operation("POST", path)
        assert found is not None
        headers = {"anthropic-version": "2023-06-01"}
        try:
            converse, form = found[0].read(Asked(body, model, path, headers, None, StoredResponses()))
            steps = form.prepare(answer(converse, model))
        except UNEXPECTED:
            return
        facts = Facts.of(converse, model)
        composer, writer = form.composer(steps, facts), form.writer(CHECKSUM)
        events = [event for step in steps for event in composer.compose(step)]
        stream = b"".join(writer.event(event.name, event.payload) for event in [*events, *composer.finish()])
        assert stream.endswith(b"\n\n")
        assert form.document(steps, facts)

    return any_body


@pytest.mark.parametrize(
    ("path", "model"), [(MESSAGES, CLAUDE), (CHAT, GPT_OSS), ("/openai" + CHAT, GPT), (RESPONSES, GPT_OSS)]
)
def test_any_body_gets_an_answer_or_a_refusal(path: str, model: str) -> None:
    check(path, model)()
