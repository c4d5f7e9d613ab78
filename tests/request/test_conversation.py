"""The rules for a whole conversation: what is fixed, and what is rejected with its path."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import CitedText, Document, Image, Message, Raw, Text, Tool, ToolCall, ToolResult
from bedrock_stream.request.conversation import normalize_conversation, uses_tools
from bedrock_stream.request.models import describe
from bedrock_stream.request.unsupported import Refusals
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import read_options
from tests.support.planning import plan
from tests.support.refusals import refused

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PNG = Image(b"\x89PNG\r\n\x1a\n")
PDF = Document(b"%PDF-1.7")
RAW_IMAGE = {"image": {"format": "png", "source": {"bytes": b"x"}}}
RAW_DOCUMENT = {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"x"}}}


def normalized(*messages: Any, facts: ModelFacts | None = None, **options: Any) -> Any:
    model = describe(MODEL, facts)
    return normalize_conversation(model, read_prompt(list(messages)), read_options(options), Refusals(model.id))


def raw_call(id: str, name: str | None = "f") -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"toolUse": {"toolUseId": id, **named, "input": {}}}


def raw_result(id: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": id, "content": [{"text": "a"}]}}


def test_a_valid_conversation_is_unchanged() -> None:
    messages = (
        Message.user("a", PNG, PDF),
        Message.assistant(ToolCall("c-1", "f")),
        Message.user(ToolResult("c-1", "b")),
    )
    options = read_options({"tools": [Tool(name="f")]})
    refusals = Refusals(MODEL)
    assert normalize_conversation(describe(MODEL), messages, options, refusals) == (messages, options)
    assert not refusals.changes


# ---------------------------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize("call", [ToolCall("c-1", "weather"), raw_call("c-1", "weather")])
def test_tools_that_are_no_longer_offered_get_stubs(call: Any) -> None:
    _, options = normalized(
        Message.user("a"),
        Message.assistant(call, ToolCall("c-2", "time"), ToolCall("c-3", "time")),
        Message.user(*(ToolResult(f"c-{n}", "b") for n in (1, 2, 3))),
    )
    assert [tool.name for tool in options.tools] == ["weather", "time"]
    assert all("not available any more" in tool.description for tool in options.tools)


def test_a_call_without_a_name_gets_a_stub_too() -> None:
    _, options = normalized(Message.assistant(raw_call("", None)), Message.user("b"))
    assert [tool.name for tool in options.tools] == ["unknown_tool"]


def test_no_stubs_are_added_when_tools_are_offered() -> None:
    turns = (Message.assistant(ToolCall("c", "f")), Message.user(ToolResult("c")))
    assert normalized(*turns, tools=[Tool(name="g")])[1].tools == (Tool(name="g"),)
    assert normalized(*turns, extra={"toolConfig": {"tools": []}})[1].tools == ()
    assert normalized(Message.user("a"))[1].tools == ()


@pytest.mark.parametrize("block", [ToolCall("c", "f"), ToolCall("", "f"), raw_call("c"), raw_result("c")])
def test_calls_and_results_count_as_using_tools(block: Any) -> None:
    assert uses_tools([Message.user("a"), Message.assistant(block)])


@pytest.mark.parametrize("block", ["a", PNG, {"toolUse": "x"}, {"toolUse": {}}, {"toolResult": {"toolUseId": 5}}])
def test_other_blocks_do_not_count_as_using_tools(block: Any) -> None:
    assert not uses_tools([Message.user(block)])


# ------------------------------------------------------------------------------------------------------------------ ids

PATTERN = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


def ids(id: str, call: Any, result: Any) -> list[str]:
    messages, _ = normalized(Message.assistant(call(id)), Message.user(result(id)))
    sent = []
    for message in messages:
        (block,) = message.content
        inner = next(iter(block.value.values())) if isinstance(block, Raw) else {"toolUseId": block.id}
        sent.append(inner["toolUseId"])
    return sent


def call(id: str) -> ToolCall:
    return ToolCall(id, "f")


def result(id: str) -> ToolResult:
    return ToolResult(id, "a")


FORMS: list[tuple[Any, Any]] = [(call, result), (raw_call, result), (call, raw_result), (raw_call, raw_result)]


@pytest.mark.parametrize(("call", "result"), FORMS)
@pytest.mark.parametrize("id", ["call|1", "x" * 65, "f\u00fc", "a b", "", "\ud800"], ids=ascii)
def test_an_invalid_id_is_changed_the_same_way_in_call_and_result(id: str, call: Any, result: Any) -> None:
    first, second = ids(id, call, result)
    assert first == second != id
    assert PATTERN.fullmatch(first)


@pytest.mark.parametrize(("call", "result"), FORMS)
@pytest.mark.parametrize("id", ["a", "toolu_01", "tooluse_x-1_2_3", "x" * 64])  # Claude takes no `.` and `:`
def test_a_valid_id_is_never_changed(id: str, call: Any, result: Any) -> None:
    assert ids(id, call, result) == [id, id]


@given(st.lists(st.text(max_size=70), min_size=2, max_size=2, unique=True))
def test_different_ids_stay_different(pair: list[str]) -> None:
    first, second = (ids(name, call, result) for name in pair)
    assert first != second


def test_the_other_members_of_a_raw_block_are_kept() -> None:
    (message,), _ = normalized(Message.assistant(raw_call("a b")))
    (block,) = message.content
    changed = block.value["toolUse"].pop("toolUseId")
    assert changed != "a b"
    assert block.value == {"toolUse": {"name": "f", "input": {}}}


# ------------------------------------------------------------------------------------------------------------- rejected


@pytest.mark.parametrize("result", [ToolResult("c-9", "a"), raw_result("c-9")])
def test_a_result_without_a_call_is_refused(result: Any) -> None:
    with refused("messages[2].content[1]", "the tool result for 'c-9' has no preceding", "put the assistant message"):
        normalized(
            Message.user("a"), Message.assistant(ToolCall("c-1", "f")), Message.user(ToolResult("c-1", "a"), result)
        )
    with refused("messages[0].content[0]", "the tool result for 'c-9' has no preceding", "put the assistant message"):
        normalized(Message.user(result), Message.assistant(ToolCall("c-9", "f")))


@pytest.mark.parametrize("document", [PDF, RAW_DOCUMENT])
def test_a_document_requires_a_text_in_the_same_message(document: Any) -> None:
    with refused(
        "messages[1].content[0]", "a document requires a text block in the same message", "add a Text to the message"
    ):
        normalized(Message.user("a"), Message.user(document))
    for text in (Text("a"), CitedText(("a",)), {"text": "a"}):
        normalized(Message.user(document, text))


@pytest.mark.parametrize(
    ("blocks", "kind", "limit"),
    [((PNG, RAW_IMAGE), "image", 20), ((PDF, RAW_DOCUMENT), "document", 5)],
)
def test_the_number_of_attachments_in_a_message_is_limited(blocks: Any, kind: str, limit: int) -> None:
    full = [blocks[index % 2] for index in range(limit)]
    normalized(Message.user("a", *full), Message.user("b", *full))
    problem = f"expected at most {limit} {kind}s in a message, this is number {limit + 1}"
    with refused(f"messages[0].content[{limit + 1}]", problem, "send fewer"):
        normalized(Message.user("a", *full, blocks[0]))


@pytest.mark.parametrize(
    ("block", "limit"),
    [(Image(b"GIF89a" + bytes(4 * 1024 * 1024)), "3.75 MB"), (Document(bytes(5 * 1024 * 1024), "pdf"), "4.5 MB")],
    ids=["image", "document"],
)
def test_an_attachment_too_large_for_converse_is_refused_on_converse_only(block: Any, limit: str) -> None:
    prompt = [Message.user("Look", block)]
    with refused("messages[0].content[1]", f"Converse accepts at most {limit}", "make it smaller"):
        plan("amazon.nova-lite-v1:0", prompt)
    assert plan("anthropic.claude-sonnet-4-20250514-v1:0", prompt).call.dialect.route == "invoke"
