"""What a conversation loses, gains and moves for the model's rules, and that each change is reported."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import (
    CachePoint,
    Citation,
    CitedText,
    Document,
    Image,
    Json,
    Message,
    Raw,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.request.conversation import finish_for_converse, normalize_conversation
from bedrock_stream.request.models import describe
from bedrock_stream.request.models.table import ROWS
from bedrock_stream.request.unsupported import Refusals
from bedrock_stream.types.messages import Role, Status, read_prompt
from bedrock_stream.types.model_facts import ModelFacts
from bedrock_stream.types.options import Options, read_options
from tests.support.planning import plan
from tests.support.refusals import refused

PNG = Image(b"\x89PNG\r\n\x1a\n")
PDF = Document(b"%PDF-1.7")
CSV = Document(b"a,b", "csv")
VIDEO = Video(b"v", "mp4")
POINT = CachePoint()
SIGNED = Reasoning("t", "sig")
NOTHING = (Text("(no content)"),)
CALLS = (Message.user("q"), Message.assistant(ToolCall("1", "f"), ToolCall("2", "f")))


def prepared(
    *messages: Any, facts: ModelFacts | None = None, converse: bool = False, **options: Any
) -> tuple[list[Message], Options, list[str]]:
    """Return the conversation, the options and the changes."""
    model = describe("some.model", facts)
    refusals = Refusals(model.id)
    turns, read = normalize_conversation(model, read_prompt(list(messages)), read_options(options), refusals)
    if converse:
        turns, read = finish_for_converse(model, turns, read, refusals)
    return list(turns), read, list(refusals.changes)


def after_calls(*messages: Message, facts: ModelFacts | None = None, converse: bool = False) -> list[Message]:
    """Return the turns after two calls."""
    return prepared(*CALLS, *messages, facts=facts, converse=converse)[0][2:]


def result(id: str, *content: Any, status: Status | None = None) -> ToolResult:
    return ToolResult(id, content or ("a",), status)


# ----------------------------------------------------------------------------------------------------------- blank text


@pytest.mark.parametrize(
    "blank",
    [
        Text(" \n"),
        CitedText(("", " ")),
        {"text": "\t"},
        {"guardContent": {"text": {"text": " "}}},
        {"citationsContent": {"content": [{"text": " "}], "citations": []}},
        Raw({"type": "text", "text": " "}),
    ],
)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_blank_text_is_left_out(role: Role, blank: Any) -> None:
    turns, _, changes = prepared(Message("user", "q"), Message(role, ("a", blank, PNG)))
    assert turns[1] == Message(role, ("a", PNG))
    assert changes == ["blank text was left out: messages[1].content[1]"]


def test_a_blank_turn_of_the_assistant_is_left_out() -> None:
    assert prepared(Message.user("q"), Message.assistant(" "), Message.user("r"))[0] == [
        Message.user("q"),
        Message.user("r"),
    ]


@pytest.mark.parametrize("content", [(" ",), ("\n", POINT)])
def test_a_blank_user_message_is_refused(content: Any) -> None:
    with refused("messages[1].content", "has only blank text", "omit the message"):
        prepared(Message.user("q"), Message("user", content))


def test_blank_parts_of_a_cited_text_join_their_neighbor() -> None:
    citation = Citation("t", source_content=("x", "\n", "y"))
    turns, _, changes = prepared(Message.user("q"), Message.assistant(CitedText((" ", "a", "\n", "b"), (citation,))))
    assert turns[1].content == (CitedText((" a\n", "b"), (Citation("t", source_content=("x\n", "y")),)),)
    assert turns[1].text == " a\nb"
    assert len(changes) == 1


def test_blank_text_of_the_system_prompt_is_left_out() -> None:
    _, options, changes = prepared(Message.user("q"), system=["a", " ", {"text": "\n"}, POINT])
    assert options.system == (Text("a"), POINT)
    assert changes == ["blank text was left out: system"]
    assert prepared(Message.user("q"), system=[" ", POINT])[1].system == ()


@pytest.mark.parametrize("content", [(), "", " \n", [" ", ""], [{"text": " "}]])
@pytest.mark.parametrize("status", [None, "error"])
def test_an_empty_result_says_so_and_keeps_its_id_and_status(content: Any, status: Status | None) -> None:
    (turn,) = after_calls(Message.user(ToolResult("1", content, status)))
    assert turn.content == (ToolResult("1", NOTHING, status),)


def test_a_result_keeps_what_is_not_blank() -> None:
    (turn,) = after_calls(Message.user(ToolResult("1", [" ", PNG, "a"]), ToolResult("2", Json(""))))
    assert turn.content == (ToolResult("1", [PNG, "a"]), ToolResult("2", Json("")))


@pytest.mark.parametrize("items", [[], [{"text": ""}]])
def test_an_empty_result_in_converses_format_says_so_too(items: Any) -> None:
    raw = {"toolResult": {"toolUseId": "1", "content": items, "status": "error"}}
    (turn,) = after_calls(Message.user(raw))
    expected = {"toolResult": {"toolUseId": "1", "content": [{"text": "(no content)"}], "status": "error"}}
    assert turn.content == (Raw(expected),)


def test_the_results_of_the_services_own_tools_stay() -> None:
    own = Message.assistant(ToolCall("s", "search", server=True), ToolResult("s", (), "success", "web_search_result"))
    assert prepared(Message.user("q"), own)[0][1] == own


@pytest.mark.parametrize(
    ("last", "sent"),
    [
        (("a \n",), ("a",)),
        (("a ", POINT), ("a", POINT)),
        ((CitedText(("a ", "b ")),), (CitedText(("a ", "b")),)),
        (({"text": "a "},), ({"text": "a"},)),
        ((SIGNED,), (SIGNED,)),
    ],
)
def test_white_space_at_the_end_of_a_prefill_is_stripped(last: Any, sent: Any) -> None:
    strict = ModelFacts(final_white_space=False)
    turns = (Message.user("q"), Message.assistant("b "), Message.user("r "))
    assert prepared(*turns, Message("assistant", last), facts=strict)[0] == [*turns, Message("assistant", sent)]
    assert prepared(*turns, facts=strict)[0] == list(turns)
    assert prepared(*turns, Message("assistant", last))[0] == [*turns, Message("assistant", last)]


# -------------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("turns", "sent"),
    [
        ([[result("1")], [result("2")]], [[result("1"), result("2")]]),
        ([[result("1"), POINT], [result("2"), POINT]], [[result("1"), POINT, result("2"), POINT]]),
        ([[result("1")], [result("2"), "x"]], [[result("1"), result("2"), "x"]]),
        ([["x", result("1")], [PNG, result("2"), "y"]], [[result("1"), result("2"), "x", PNG, "y"]]),
        ([["x"], [result("1"), result("2")]], [[result("1"), result("2"), "x"]]),
        # A turn without results stays, and so does the order of what is not a result.
        ([[result("1")], ["x"], [result("2"), "y"]], [[result("1"), result("2")], ["x"], ["y"]]),
        ([[result("1"), result("2")], ["x"], ["y"]], [[result("1"), result("2")], ["x"], ["y"]]),
        # Claude takes no document beside results.
        ([[result("1")], [result("2"), PDF, "x"]], [[result("1"), result("2")], [PDF, "x"]]),
        ([[result("1")], [POINT], [result("2")]], [[result("1"), result("2"), POINT]]),
    ],
)  # fmt: skip
def test_results_come_first_in_the_turn_after_their_calls(turns: Any, sent: Any) -> None:
    got = after_calls(*(Message("user", content) for content in turns))
    assert got == [Message("user", content) for content in sent]


def test_results_of_other_rounds_stay_apart() -> None:
    second = (Message.assistant(ToolCall("3", "f")), Message.user(result("3")))
    turns = (*CALLS, Message.user(result("1"), result("2")), *second, Message.user("x"))
    assert prepared(*turns)[0] == list(turns)


@pytest.mark.parametrize("converse", [True, False])
def test_results_are_alone_where_the_model_wants_it(converse: bool) -> None:
    both = Message.user(result("1"), result("2"), "x", PNG)
    alone = [Message.user(result("1"), result("2")), Message.user("x", PNG)]
    assert after_calls(both, facts=ModelFacts(results_alone=True), converse=converse) == alone
    assert after_calls(both, converse=converse) == [both]


def test_claude_gets_documents_right_behind_the_results_in_the_turn_after_on_converse() -> None:
    claude = ModelFacts(family="claude")
    both = Message.user(result("1"), result("2"), PDF, "x")
    assert after_calls(both, facts=claude) == [both]
    assert after_calls(both, facts=claude, converse=True) == [
        Message.user(result("1"), result("2")),
        Message.user(PDF, "x"),
    ]
    behind_text = Message.user(result("1"), result("2"), "x", PDF)
    assert after_calls(behind_text, facts=claude, converse=True) == [behind_text]


def test_the_status_is_sent_only_for_errors_and_in_the_callers_own_blocks() -> None:
    raw = {"toolResult": {"toolUseId": "2", "content": [{"text": "a"}], "status": "success"}}
    turn = Message.user(result("1", "a", status="success"), raw)
    bare = {"toolResult": {"toolUseId": "2", "content": [{"text": "a"}]}}
    assert after_calls(turn) == [Message.user(result("1", "a"), raw)]
    assert after_calls(turn, facts=ModelFacts(tool_status=False)) == [Message.user(result("1", "a"), bare)]


def test_an_error_is_a_text_where_the_model_takes_no_status() -> None:
    raw = {"toolResult": {"toolUseId": "2", "content": [{"text": "bad"}], "status": "error"}}
    turn = Message.user(result("1", "bad", status="error"), raw)
    failed = "The tool call failed."
    assert after_calls(turn) == [turn]
    assert after_calls(turn, facts=ModelFacts(tool_status=False)) == [
        Message.user(
            result("1", "bad", failed),
            {"toolResult": {"toolUseId": "2", "content": [{"text": "bad"}, {"text": failed}]}},
        )
    ]


FORMS = {"any": r"[a-zA-Z0-9_.:-]{1,64}", "claude": r"[a-zA-Z0-9_-]{1,64}", "nine": r"[a-zA-Z0-9]{9}"}


@given(st.sampled_from(sorted(FORMS)), st.lists(st.text(max_size=70), min_size=2, max_size=2, unique=True))
def test_ids_have_the_form_of_the_model_one_to_one(form: Any, pair: list[str]) -> None:
    calls, results = Message.assistant(*(ToolCall(name, "f") for name in pair)), Message.user(*map(result, pair))
    (_, calls, results), _, changes = prepared(Message.user("q"), calls, results, facts=ModelFacts(tool_id=form))
    sent = [block.id for block in calls.content if isinstance(block, ToolCall)]
    assert sent == [block.id for block in results.content if isinstance(block, ToolResult)]
    assert len(set(sent)) == 2
    assert all(re.fullmatch(FORMS[form], name) for name in sent)
    reported = [change for change in changes if change.startswith("the tool id")]
    assert len(reported) == sum(before != after for before, after in zip(pair, sent, strict=True))


# ------------------------------------------------------------------------------------------------------------ documents

LEGAL = re.compile(r"(?!.*\s\s)[A-Za-z0-9\s()\[\]_-]{1,200}")


def names(*messages: Message) -> list[str]:
    turns, _, _ = prepared(*messages, converse=True)
    blocks: list[Any] = [block for turn in turns for block in turn.content]
    inside = [item for block in blocks for item in (block, *(block.content if isinstance(block, ToolResult) else ()))]
    return [item.name if isinstance(item, Document) else item.value["document"]["name"] for item in inside
            if isinstance(item, Document) or (isinstance(item, Raw) and "document" in item.value)]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("my_report.v1.pdf", "my_report v1 pdf"),
        ("R\u00e9sum\u00e9 (2)  [a-b]", "Resume (2) [a-b]"),
        ("\u6587\u66f8", "document"),
        ("", "document"),
        ("x" * 300, "x" * 200),
        ("a b", "a b"),
    ],
)
def test_a_document_gets_a_legal_name_on_converse(given: str, sent: str) -> None:
    document = Document(b"%PDF-1.7", name=given)
    assert names(Message.user("q", document)) == [sent]
    raw = {"document": {"format": "pdf", "name": given, "source": {"bytes": b"x"}}}
    assert names(Message.user("q", raw)) == [sent]
    assert prepared(Message.user("q", document))[0] == [Message.user("q", document)]  # Claude's own format takes all


def test_names_are_unique_in_the_whole_request() -> None:
    raw = {"document": {"format": "pdf", "name": "document", "source": {"bytes": b"x"}}}
    turns = (Message.user("q", PDF, PDF), CALLS[1], Message.user(ToolResult("1", [PDF, raw])), Message.user("r", PDF))
    assert names(*turns) == ["document", *(f"document ({number})" for number in range(2, 6))]


@given(st.lists(st.lists(st.text(st.sampled_from("ab .\u00e9()2"), max_size=6), max_size=3), min_size=1, max_size=4))
def test_names_stay_while_the_conversation_grows(turns: list[list[str]]) -> None:
    messages = [Message.user("q", *(Document(b"%PDF-1.7", name=name) for name in turn)) for turn in turns]
    sent = names(*messages)
    assert len(set(sent)) == len(sent) == sum(map(len, turns))
    assert all(map(LEGAL.fullmatch, sent))
    before = names(*messages[:-1]) if messages[1:] else []
    assert sent[: len(before)] == before


# ------------------------------------------------------------------------------------------------------------ reasoning

UNSIGNED, REDACTED = Reasoning("u"), Reasoning(redacted=b"r")
OWN, FOREIGN = Reasoning("o", family="deepseek"), Reasoning("f", family="qwen")
RAW_SIGNED = Raw({"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}})
RAW_UNSIGNED = Raw({"reasoningContent": {"reasoningText": {"text": "t"}}})
RAW_REDACTED = Raw({"type": "redacted_thinking", "data": "r", "more": 1})


@pytest.mark.parametrize(
    ("replay", "kept"),
    [
        ("any", (SIGNED, UNSIGNED, OWN, REDACTED, RAW_SIGNED, RAW_UNSIGNED, RAW_REDACTED)),
        ("signed", (SIGNED, REDACTED, RAW_SIGNED, RAW_REDACTED)),
        ("unsigned", (UNSIGNED, OWN, RAW_UNSIGNED)),
        ("own", (OWN,)),
        ("redacted", (REDACTED, RAW_REDACTED)),
        ("none", ()),
    ],
)
def test_reasoning_goes_back_where_the_model_takes_it(replay: Any, kept: Any) -> None:
    all_forms = (SIGNED, UNSIGNED, OWN, FOREIGN, REDACTED, RAW_SIGNED, RAW_UNSIGNED, RAW_REDACTED)
    turns, _, changes = prepared(
        Message.user("q"),
        Message.assistant(*all_forms, "a"),
        Message.user("r"),
        facts=ModelFacts(family="deepseek", replay=replay),
    )
    assert turns[1] == Message.assistant(*kept, "a")
    assert len(changes) == len(all_forms) - len(kept)


@pytest.mark.parametrize("block", [SIGNED, UNSIGNED, REDACTED])
def test_no_family_is_sent_the_reasoning_of_another_one(block: Reasoning) -> None:
    written = msgspec.structs.replace(block, family="claude")
    history = (Message.user("q"), Message.assistant(written, "a"), Message.user("r"))
    others, _, changes = prepared(*history, facts=ModelFacts(family="kimi", replay="any"))
    assert others[1] == Message.assistant("a")
    assert [change.partition(",")[0] for change in changes] == ["another family's reasoning was left out"]
    opaque, _, _ = prepared(*history, facts=ModelFacts())  # it may well be a Claude
    assert opaque == list(history)


def test_a_turn_of_reasoning_alone_is_left_out_with_it() -> None:
    turns, _, _ = prepared(
        Message.user("q"), Message.assistant(SIGNED), Message.user("r"), facts=ModelFacts(replay="none")
    )
    assert turns == [Message.user("q"), Message.user("r")]


# --------------------------------------------------------------------------------------------------------- cache points

LONG = CachePoint("1h")


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ((POINT, "a"), ("a",)),
        (("a", POINT, POINT, "b"), ("a", POINT, "b")),
        (("a", LONG, {"cachePoint": {"type": "default"}}), ("a", LONG)),
        (("a", POINT), ("a", POINT)),
        (("a", PDF, POINT, "b", PNG, POINT), ("a", PDF, POINT, "b", PNG, POINT)),
        (("a", CSV, POINT, "b"), ("a", CSV, "b", POINT)),
        (("a", CSV, POINT), ("a", POINT, CSV)),
        (("a", CSV, VIDEO, POINT, VIDEO), ("a", POINT, CSV, VIDEO, VIDEO)),
        (("a", POINT, CSV, LONG), ("a", LONG, CSV)),
        ((CSV, LONG, "a", POINT), (CSV, "a", LONG)),
    ],
)
def test_points_of_a_message_stand_where_converse_takes_them(content: Any, sent: Any) -> None:
    turns, _, changes = prepared(Message("user", content), converse=True)
    assert turns == [Message("user", sent)]
    assert bool(changes) == (content != sent)


def test_a_point_behind_a_text_document_stays_in_claudes_own_format() -> None:
    turn = Message.user("a", CSV, POINT)
    assert prepared(turn)[0] == [turn]


@pytest.mark.parametrize(
    ("assistant", "sent"),
    [
        (("x", SIGNED, POINT, "y"), ("x", POINT, SIGNED, "y")),
        (("x", RAW_SIGNED, REDACTED, POINT), ("x", POINT, RAW_SIGNED, REDACTED)),
    ],
)
def test_a_point_moves_in_front_of_reasoning(assistant: Any, sent: Any) -> None:
    assert prepared(Message.user("q"), Message("assistant", assistant))[0][1] == Message("assistant", sent)


def test_a_first_point_moves_to_the_end_of_what_precedes_it() -> None:
    turns, _, _ = prepared(Message.user("q"), Message.assistant(SIGNED, POINT, "a"), Message.user(LONG, "r"))
    assert turns == [Message.user("q", POINT), Message.assistant(SIGNED, "a", LONG), Message.user("r")]
    turns, options, _ = prepared(Message.user(POINT, "q"), system="a")
    assert (turns, options.system) == ([Message.user("q")], (Text("a"), POINT))


def test_points_of_system_and_tools_are_not_first_and_not_doubled() -> None:
    wire = {"cachePoint": {"type": "default"}}
    tool = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    _, options, _ = prepared(Message.user("q"), system=[POINT, "a", POINT, LONG], tools=[wire, tool, wire, wire])
    assert (options.system, options.tools) == ((Text("a"), LONG), (tool, wire))


def test_a_turn_of_cache_points_alone_is_refused() -> None:
    with refused("messages[1].content", "has only cache points", "add a text"):
        prepared(Message.assistant("a"), Message.user(POINT))


# ---------------------------------------------------------------------------------------------------------- tool choice


@pytest.mark.parametrize("known", [True, False])
def test_choice_none_is_the_models_own_field_on_converse(known: bool) -> None:
    facts = ModelFacts(tool_choice_field=known)
    tool = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    own = {"top_k": 5}
    options: dict[str, Any] = {"tools": [tool], "tool_choice": "none", "additional_model_request_fields": own}

    def fields(*messages: Message, converse: bool) -> Any:
        return prepared(*messages, facts=facts, converse=converse, **options)[1].additional_model_request_fields

    history = (*CALLS, Message.user(result("1"), result("2")))
    assert fields(*history, converse=True) == (own | {"tool_choice": {"type": "none"}} if known else own)
    # Without calls in the history, the tools are left out; Claude's own format has a choice "none".
    assert fields(Message.user("q"), converse=True) == own
    assert fields(*history, converse=False) == own


def test_nothing_is_left() -> None:
    with refused("prompt", "has only blank text or reasoning", "add a user message"):
        prepared(Message.assistant(" "))


def test_a_call_lists_its_changes() -> None:
    turns = [Message.user("q", " "), Message.assistant(ToolCall("1", "f")), Message.user(ToolResult("1", ""))]
    changes = plan("amazon.nova-lite-v1:0", turns).call.changes
    assert changes[0] == "blank text was left out: messages[0].content[1]"
    assert "an empty tool result says '(no content)': messages[2].content[0]" in changes
    assert plan("amazon.nova-lite-v1:0").call.changes == ()


TEXTS = st.sampled_from(["q", " a ", " ", "two\nlines \n"])
TURNS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.lists(TEXTS, min_size=1, max_size=3)), max_size=5)


@given(
    model=st.sampled_from([row.ids[0] for row in ROWS if row.facts.refused is None]),
    turns=TURNS.filter(bool),
    options=st.sampled_from(
        [{}, {"system": ["a", " "]}, {"system": ["a", POINT]}, {"tools": [{"name": "f"}], "prompt_cache": "auto"}]
    ),
)
def test_text_is_sent_as_if_the_rules_for_other_blocks_were_applied_to_it(
    model: str, turns: list[tuple[Role, list[str]]], options: dict[str, Any]
) -> None:
    """A block in Converse's format may be of any kind, so it passes all rules; most of them are skipped for `Text`."""

    def planned(block: Callable[[str], Any]) -> Any:
        messages = [Message(role, list(map(block, texts))) for role, texts in turns]
        try:
            call = plan(model, messages, **options).call
        except ConfigurationError as error:
            return str(error)
        return call.operation, call.request.body.data, call.changes

    assert planned(Text) == planned(lambda text: Raw({"text": text}))
