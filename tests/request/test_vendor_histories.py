"""A history that was made on one API is valid on every other one; reasoning goes back only where it may."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedrock_stream import Message, Reasoning, Text, ToolCall, ToolResult
from bedrock_stream.dialects.anthropic.messages import Messages
from bedrock_stream.dialects.chat import Chat
from bedrock_stream.dialects.responses import Responses
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.request.call import Call, plan_call
from bedrock_stream.types.messages import Raw
from bedrock_stream.types.options import read_options
from tests.support.planning import DESTINATION
from tests.support.reading import assemble
from tests.support.vendor_streams import APIS, Wire, encode, read_bytes

LONG = "resp_" + "a" * 52
READERS: dict[str, Any] = {"messages": Messages("/x"), "chat": Chat("/x"), "responses": Responses("/x")}
FAMILIES = {"messages": "claude", "chat": "gpt-oss", "responses": "gpt"}
TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "messages": ("anthropic.claude-opus-5-5", {"api": "messages", "endpoint": "mantle"}),
    "chat": ("openai.gpt-oss-120b", {"api": "chat", "endpoint": "mantle"}),
    "responses": ("openai.gpt-6-sol", {"api": "responses", "endpoint": "mantle"}),
    "converse": ("us.anthropic.claude-opus-5-5", {"use_converse": True}),
    "converse with GPT": ("us.openai.gpt-6-sol", {}),
    "converse with gpt-oss": ("openai.gpt-oss-120b-1:0", {"use_converse": True}),
    "converse with another": ("amazon.nova-pro-v1:0", {}),
}
# The targets that take the reasoning of an API back.
TAKEN = {
    "messages": {"messages", "converse"},
    "chat": {"converse with gpt-oss"},
    "responses": {"responses"},
}


def planned(model: str, prompt: Any, **options: Any) -> tuple[Wire, Call]:
    call = plan_call(model, prompt, read_options(options), DESTINATION, streaming=True)
    body: Wire = msgspec.json.decode(call.request.body.data)
    return body, call


def answer(api: str, *, id: str = LONG) -> Message:
    """Return an answer with reasoning, text and two calls, as its stream adds up to."""
    more: Wire = {"messages": {"stop": "tool_use"}, "chat": {"stop": "tool_calls"}, "responses": {"id": id}}[api]
    item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "rsn_secret"}
    reasoning = ("item", item) if api == "responses" else ("reasoning", ["rsn_", "secret"])
    calls = [("call", f"call_{number}", "look", ['{"city":"Oslo"}']) for number in range(2)]
    documents = APIS[api](reasoning, ("text", ["I'll look."]), *calls, **more)
    return assemble(read_bytes(READERS[api].reader(), encode(api, documents)), family=FAMILIES[api]).message


def history(api: str) -> list[Message]:
    said = answer(api)
    return [Message.user("Weather?"), said, Message("user", [ToolResult(call.id, "Rain") for call in said.tool_calls])]


def ids_in(value: Any) -> list[str]:
    """Return the ids of calls and of results in a body."""
    if isinstance(value, list):
        return [found for item in value for found in ids_in(item)]
    if not isinstance(value, dict):
        return []
    names = ("toolUseId", "tool_use_id", "tool_call_id", "call_id")
    found = [value[name] for name in names if name in value]
    if value.get("type") in ("tool_use", "function") and "id" in value:
        found.append(value["id"])
    return found + [found_id for item in value.values() for found_id in ids_in(item)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", APIS)
def test_a_history_of_any_api_is_valid_on_any_other(source: str, target: str) -> None:
    model, options = TARGETS[target]
    body, call = planned(model, history(source), **options)
    text = msgspec.json.encode(body).decode()
    ids = ids_in(body)
    assert sorted(ids) == sorted(2 * sorted(set(ids)))  # each call has its result
    assert len(set(ids)) == 2
    assert all(len(one) <= 64 for one in ids)
    assert ("I'll look." in text, "Rain" in text) == (True, True)
    assert ("rsn_secret" in text) == (target in TAKEN[source])
    assert (target in TAKEN[source]) != any("reasoning was left out" in change for change in call.changes)


@pytest.mark.parametrize("source", APIS)
def test_a_message_survives_its_own_json(source: str) -> None:
    message = answer(source)
    assert Message.from_json(message.to_json()) == message


def test_answers_whose_calls_are_counted_anew_have_different_ids() -> None:
    first, second = answer("responses"), answer("responses", id="resp_" + "b" * 52)
    ids = [call.id for message in (first, second) for call in message.tool_calls]
    assert len(set(ids)) == 4
    results = [
        Message("user", [ToolResult(call.id, "x") for call in message.tool_calls]) for message in (first, second)
    ]
    body, _ = planned("openai.gpt-6-sol", [Message.user("hi"), first, results[0], second, results[1]], api="responses")
    calls = [item["call_id"] for item in body["input"] if item.get("type") == "function_call"]
    assert calls == ids


def test_readable_reasoning_of_an_item_goes_to_a_model_that_takes_text() -> None:
    item = msgspec.json.encode({"type": "reasoning", "id": "rs", "summary": []})
    said = Message("assistant", [Reasoning("Hm", redacted=item, family="gpt-oss"), Text("Yes")])
    turns = [Message.user("hi"), said, Message.user("go on")]
    body, _ = planned("openai.gpt-oss-120b-1:0", turns, use_converse=True)
    assert body["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "Hm"}}}


def test_items_of_the_responses_api_go_to_no_other_one() -> None:
    said = Message("assistant", [Raw({"type": "web_search_call", "id": "ws"}), Text("Yes")])
    turns = [Message.user("hi"), said, Message.user("go on")]
    for target, (model, options) in TARGETS.items():
        body, call = planned(model, turns, **options)
        kept = target == "responses"
        assert ("web_search_call" in msgspec.json.encode(body).decode()) is kept
        assert any("an item of the Responses API was left out" in change for change in call.changes) is not kept


def test_results_for_a_stored_answer_need_no_call_in_the_history() -> None:
    said = answer("responses")
    results = Message("user", [ToolResult(call.id, "Rain") for call in said.tool_calls])
    body, _ = planned("openai.gpt-6-sol", [results], api="responses", store=True, previous_response_id=LONG)
    assert [item["call_id"] for item in body["input"]] == ["call_0", "call_1"]
    assert "tools" not in body
    with pytest.raises(ConfigurationError, match="has no preceding tool call"):
        planned("openai.gpt-6-sol", [results], api="responses")


def test_calls_without_an_id_of_an_answer_stay_as_they_are() -> None:
    call = ToolCall("toolu_1", "look")
    turns = [Message.user("hi"), Message("assistant", [call]), Message("user", [ToolResult("toolu_1", "x")])]
    body, _ = planned("openai.gpt-6-sol", turns, api="responses")
    assert set(ids_in(body["input"])) == {"toolu_1"}
