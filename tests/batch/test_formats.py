"""`LineReader`: documented lines become rows, and any other bytes an error with the number of their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedrock_stream import Ask
from bedrock_stream.batch.formats import Entry, LineReader
from bedrock_stream.batch.lines import Lines
from bedrock_stream.batch.results import result_line
from bedrock_stream.batch.rows import Row
from bedrock_stream.errors import ConfigurationError, RowInvalid

FIXTURES = Path(__file__).parents[2] / "fixtures" / "batch"


def chat(body: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Stand for the reader of chat requests, which has tests of its own."""
    if "messages" not in body:
        raise ConfigurationError("messages", "is missing")
    return [{"role": "user", "content": "Hello"}], {"max_tokens": 5}


def read(data: bytes, name: str | None = None, **options: Any) -> list[Entry]:
    lines, reader = Lines(), LineReader(name, chat=chat, **options)
    return [reader.read(line) for line in [*lines.feed(data), *lines.finish()]]


def ask_of(entry: Entry) -> Ask:
    assert isinstance(entry.item, Ask)
    return entry.item


@pytest.mark.parametrize(("name", "converse"), [("invoke_model", False), ("converse", True)])
def test_lines_as_aws_documents_them_are_read_and_written_back_unchanged(name: str, converse: bool) -> None:
    entries = read((FIXTURES / f"{name}.in.jsonl").read_bytes())
    assert {ask_of(entry).converse for entry in entries} == {converse}
    written = b""
    for index, (entry, line) in enumerate(
        zip(entries, (FIXTURES / f"{name}.out.jsonl").read_bytes().splitlines(), strict=True)
    ):
        output = msgspec.json.decode(line)["modelOutput"]
        written += result_line(entry, Row(index=index, key=entry.record_id, response=output))
    assert written == (FIXTURES / f"{name}.out.jsonl").read_bytes()


CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {"maxTokens": 5}}


@pytest.mark.parametrize(
    ("body", "converse"),
    [
        (CONVERSE, True),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, True),
        ({**CONVERSE, "system": [{"text": "Be brief."}], "toolConfig": {"tools": []}}, True),
        ({**CONVERSE, "schemaVersion": "messages-v1"}, False),
        ({**CONVERSE, "inferenceConfig": {"max_new_tokens": 5}}, False),
        ({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}, False),
        ({"messages": [{"role": "user", "content": "Hi"}]}, False),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}, False),
        ({"messages": 5}, False),
        ({"inputText": "Hi"}, False),
        ({"prompt": "Hi", "max_gen_len": 5}, False),
    ],
)
def test_which_api_a_body_is_for(body: dict[str, Any], converse: bool) -> None:
    line = msgspec.json.encode({"recordId": "a", "modelInput": body})
    (entry,) = read(line)
    assert (ask_of(entry).converse, ask_of(entry).body, ask_of(entry).key) == (converse, body, "a")
    for invocation in ("InvokeModel", "Converse"):
        (entry,) = read(line, invocation=invocation)
        assert ask_of(entry).converse is (invocation == "Converse")


def test_the_first_line_that_has_a_format_decides() -> None:
    bad, first, other = read(b'null\n{"prompt": "Hi"}\n{"recordId": "a", "modelInput": {"inputText": "Hi"}}\n')
    assert isinstance(bad.item, RowInvalid)
    assert ask_of(first).prompt == "Hi"
    assert "line 3, prompt: is missing" in str(other.item)


def test_lines_of_openai() -> None:
    good, bad, path, unnamed = read(
        b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [], "model": "m"}}\n'
        b'{"custom_id": "b", "body": {"model": "m"}}\n'
        b'{"custom_id": "c", "url": "/v1/embeddings", "body": {"input": "x"}}\n'
        b'{"body": {"messages": []}}\n',
        own_models=True,
    )
    assert (ask_of(good).key, ask_of(good).model, ask_of(good).options) == ("a", "m", {"max_tokens": 5})
    assert good.model_input == b'{"messages": [], "model": "m"}'
    assert str(bad.item) == "line 2, messages: is missing"
    assert "expected '/v1/chat/completions', got '/v1/embeddings'" in str(path.item)
    assert str(unnamed.item) == "line 4, custom_id: is missing; name each line"


def test_options_of_a_prompt() -> None:
    (entry,) = read(
        b'{"id": 7, "prompt": [{"role": "user", "content": "Hi"}], "system": "Brief.", "top_p": null, "model": "m"}'
    )
    ask = ask_of(entry)
    assert (ask.key, ask.prompt, ask.options, ask.model) == (
        "7",
        [{"role": "user", "content": "Hi"}],
        {"system": "Brief."},
        None,
    )
    assert msgspec.json.decode(entry.model_input).keys() == {"prompt", "system", "top_p", "model"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.just("m"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt", "id", "messages", "content", "text", "inferenceConfig"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_MEMBERS = ("recordId", "modelInput", "custom_id", "body", "url", "prompt", "id", "model", "system", "other")
_LINES = (
    st.dictionaries(st.sampled_from(_MEMBERS), _JSON).map(msgspec.json.encode)
    | _JSON.map(msgspec.json.encode)
    | st.binary()
)


@given(st.lists(_LINES), st.booleans())
def test_any_lines_are_rows_and_their_results_are_json(lines: list[bytes], own_models: bool) -> None:
    data = b"\n".join(lines)
    for index, entry in enumerate(read(data, own_models=own_models)):
        error = entry.item if isinstance(entry.item, RowInvalid) else RowInvalid(f"prompts[{index}].x", "is wrong")
        line = result_line(entry, Row(index=index, key="", error=error))
        written = msgspec.json.decode(line)
        assert line.count(b"\n") == 1
        assert written.keys() == {"recordId", "modelInput", "error"}
        assert written["error"]["errorMessage"].startswith(f"line {entry.line.number}")
