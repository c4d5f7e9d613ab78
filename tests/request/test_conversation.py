"""Whole conversations: what is mended, the same way everywhere, and what is refused with its place."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import CitedText, Document, Image, Message, Raw, Text, Tool, ToolCall, ToolResult
from bedrock_stream.request.conversation import normalize_conversation, uses_tools
from bedrock_stream.types.messages import read_prompt
from bedrock_stream.types.options import read_options
from tests.support.planning import plan
from tests.support.refusals import refused

PNG = Image(b"\x89PNG\r\n\x1a\n")
PDF = Document(b"%PDF-1.7")
RAW_IMAGE = {"image": {"format": "png", "source": {"bytes": b"x"}}}
RAW_DOCUMENT = {"document": {"format": "pdf", "name": "d", "source": {"bytes": b"x"}}}


def mended(*messages: Any, **options: Any) -> Any:
    return normalize_conversation(read_prompt(list(messages)), read_options(options))


def raw_call(id: str, name: str | None = "f") -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {"toolUse": {"toolUseId": id, **named, "input": {}}}


def raw_result(id: str) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": id, "content": [{"text": "a"}]}}


def test_a_sound_conversation_stays_as_it_is() -> None:
    messages = (
        Message.user("a", PNG, PDF),
        Message.assistant(ToolCall("c-1", "f")),
        Message.user(ToolResult("c-1", "b")),
    )
    options = read_options({"tools": [Tool(name="f")]})
    assert normalize_conversation(messages, options) == (messages, options)


# ---------------------------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize("call", [ToolCall("c-1", "weather"), raw_call("c-1", "weather")])
def test_tools_that_are_not_offered_any_more_are_stood_in_for(call: Any) -> None:
    _, options = mended(
        Message.user("a"),
        Message.assistant(call, ToolCall("c-2", "time"), ToolCall("c-3", "time")),
        Message.user(*(ToolResult(f"c-{n}", "b") for n in (1, 2, 3))),
    )
    assert [tool.name for tool in options.tools] == ["weather", "time"]
    assert all("not available any more" in tool.description for tool in options.tools)


def test_a_call_without_a_name_is_stood_in_for_too() -> None:
    _, options = mended(Message.assistant(raw_call("", None)), Message.user("b"))
    assert [tool.name for tool in options.tools] == ["unknown_tool"]


def test_no_stand_in_is_needed_beside_tools() -> None:
    turns = (Message.assistant(ToolCall("c", "f")), Message.user(ToolResult("c")))
    assert mended(*turns, tools=[Tool(name="g")])[1].tools == (Tool(name="g"),)
    assert mended(*turns, extra={"toolConfig": {"tools": []}})[1].tools == ()
    assert mended(Message.user("a"))[1].tools == ()


@pytest.mark.parametrize("block", [ToolCall("c", "f"), ToolCall("", "f"), raw_call("c"), raw_result("c")])
def test_calls_and_results_show_that_tools_are_used(block: Any) -> None:
    assert uses_tools([Message.user("a"), Message.assistant(block)])


@pytest.mark.parametrize("block", ["a", PNG, {"toolUse": "x"}, {"toolUse": {}}, {"toolResult": {"toolUseId": 5}}])
def test_nothing_else_does(block: Any) -> None:
    assert not uses_tools([Message.user(block)])


# ------------------------------------------------------------------------------------------------------------------ ids

PATTERN = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


def ids(id: str, call: Any, result: Any) -> list[str]:
    messages, _ = mended(Message.assistant(call(id)), Message.user(result(id)))
    found = []
    for message in messages:
        (block,) = message.content
        inner = next(iter(block.value.values())) if isinstance(block, Raw) else {"toolUseId": block.id}
        found.append(inner["toolUseId"])
    return found


def call(id: str) -> ToolCall:
    return ToolCall(id, "f")


def result(id: str) -> ToolResult:
    return ToolResult(id, "a")


FORMS: list[tuple[Any, Any]] = [(call, result), (raw_call, result), (call, raw_result), (raw_call, raw_result)]


@pytest.mark.parametrize(("call", "result"), FORMS)
@pytest.mark.parametrize("id", ["call|1", "x" * 65, "f\u00fc", "a b", "", "\ud800"], ids=ascii)
def test_an_id_that_breaks_the_pattern_is_changed_the_same_way_in_call_and_result(
    id: str, call: Any, result: Any
) -> None:
    first, second = ids(id, call, result)
    assert first == second != id
    assert PATTERN.fullmatch(first)


@pytest.mark.parametrize(("call", "result"), FORMS)
@pytest.mark.parametrize("id", ["a", "toolu_01", "tooluse_x-1.2:3", "x" * 64])
def test_an_id_that_keeps_the_pattern_is_never_changed(id: str, call: Any, result: Any) -> None:
    assert ids(id, call, result) == [id, id]


@given(st.lists(st.text(max_size=70), min_size=2, max_size=2, unique=True))
def test_different_ids_stay_different(pair: list[str]) -> None:
    first, second = (ids(name, call, result) for name in pair)
    assert first != second


def test_a_raw_blocks_other_members_stay() -> None:
    (message,), _ = mended(Message.assistant(raw_call("a b")))
    (block,) = message.content
    changed = block.value["toolUse"].pop("toolUseId")
    assert changed != "a b"
    assert block.value == {"toolUse": {"name": "f", "input": {}}}


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("result", [ToolResult("c-9", "a"), raw_result("c-9")])
def test_a_result_that_no_call_asked_for_is_named(result: Any) -> None:
    with refused("messages[2].content[1]", "a tool result for 'c-9'", "put the assistant's message before it"):
        mended(Message.user("a"), Message.assistant(ToolCall("c-1", "f")), Message.user(ToolResult("c-1", "a"), result))
    with refused("messages[0].content[0]", "a tool result for 'c-9'", "put the assistant's message before it"):
        mended(Message.user(result), Message.assistant(ToolCall("c-9", "f")))


@pytest.mark.parametrize("document", [PDF, RAW_DOCUMENT])
def test_a_document_needs_a_text_beside_it(document: Any) -> None:
    with refused("messages[1].content[0]", "a document without a text beside it", "add a Text to the message"):
        mended(Message.user("a"), Message.user(document))
    for text in (Text("a"), CitedText(("a",)), {"text": "a"}):
        mended(Message.user(document, text))


@pytest.mark.parametrize(
    ("blocks", "what", "most"),
    [((PNG, RAW_IMAGE), "image", 20), ((PDF, RAW_DOCUMENT), "document", 5)],
)
def test_a_message_takes_so_many_attachments_and_no_more(blocks: Any, what: str, most: int) -> None:
    full = [blocks[place % 2] for place in range(most)]
    mended(Message.user("a", *full), Message.user("b", *full))
    with refused(f"messages[0].content[{most + 1}]", f"it is {what} number {most + 1} of the message", f"{most} are"):
        mended(Message.user("a", *full, blocks[0]))


@pytest.mark.parametrize(
    ("block", "most"),
    [(Image(b"GIF89a" + bytes(4 * 1024 * 1024)), "3.75 MB"), (Document(bytes(5 * 1024 * 1024), "pdf"), "4.5 MB")],
    ids=["image", "document"],
)
def test_an_attachment_too_large_for_converse_is_refused_there_and_only_there(block: Any, most: str) -> None:
    prompt = [Message.user("Look", block)]
    with refused("messages[0].content[1]", f"{most} are the most", "make it smaller"):
        plan("amazon.nova-lite-v1:0", prompt)
    assert plan("anthropic.claude-sonnet-4-20250514-v1:0", prompt).call.dialect.route == "invoke"
