"""`parsed_stream`: snapshots of a structured answer as it grows, on each form of the schema, in linear time."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from typing import Any, assert_type

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedrock_stream import Client, Response, Snapshot, Stream, Target, TextDelta, errors
from bedrock_stream.client.snapshots import SnapshotMaker
from bedrock_stream.request.models import describe
from bedrock_stream.request.output_schema import TOOL_NAME, OutputSchema
from bedrock_stream.testing import Emulator, cut, http_error, start, stop, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.types.messages import Message
from tests.support.clients import client_of

NATIVE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
BY_TOOL = "amazon.nova-lite-v1:0"
OSLO = {"name": "Oslo", "people": 717710, "rivers": ["Akerselva", "Lysakerelva"]}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class Struct(msgspec.Struct):
    name: str
    people: int
    rivers: list[str]


class Model(pydantic.BaseModel):
    name: str
    people: int = pydantic.Field(gt=1000)
    rivers: list[str]


@dataclasses.dataclass
class Data:
    name: str
    people: int
    rivers: list[str] = dataclasses.field(default_factory=list)


def fragments(value: Any, size: int = 3) -> list[str]:
    document = value if isinstance(value, str) else json.dumps(value)
    return [document[start : start + size] for start in range(0, len(document), size)]


def answer(model: str, value: Any, size: int = 3) -> list[Any]:
    parts = fragments(value, size)
    return [say(parts)] if model == NATIVE else [tool_call(TOOL_NAME, fragments=parts), stop("tool_use")]


async def snapshots_of(stream: Stream) -> list[Snapshot[Any]]:
    return [snapshot async for snapshot in stream.parsed_stream]


def grows(before: Any, after: Any) -> bool:
    """Return whether a value is the same one, or one that has grown at its end."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(name in after and grows(value, after[name]) for name, value in before.items())
    if isinstance(before, list) and isinstance(after, list):
        return len(before) <= len(after) and all(map(grows, before, after))
    if isinstance(before, str) and isinstance(after, str):
        return after.startswith(before)
    return bool(before == after)


@pytest.mark.parametrize("model", [NATIVE, BY_TOOL], ids=["native", "tool"])
@pytest.mark.parametrize("schema", [SCHEMA, Struct, Model, Data], ids=["dict", "msgspec", "pydantic", "dataclass"])
async def test_snapshots_grow_up_to_the_parsed_response(
    emulator: Emulator, client: Client, schema: Any, model: str
) -> None:
    emulator.script(*answer(model, OSLO))
    stream = client.stream(model, "Norway's capital?", output_schema=schema)
    *growing, last = await snapshots_of(stream)
    response = await stream.response()
    assert last == Snapshot(value=OSLO, parsed=response.parsed, complete=True)
    assert response.parsed is not None
    assert not any(snapshot.complete for snapshot in growing)
    values = [snapshot.value for snapshot in growing] + [OSLO]
    assert len(values) > 8
    assert {"name": "Os"} in values
    assert all(itertools.starmap(grows, itertools.pairwise(values)))
    assert all(before != after for before, after in itertools.pairwise(values[:-1]))
    for snapshot in growing:
        if schema is SCHEMA:
            assert snapshot.parsed == snapshot.value
        elif snapshot.parsed is not None:
            assert isinstance(snapshot.parsed, schema)
    first = next(snapshot for snapshot in growing if snapshot.parsed is not None)
    assert set(first.value) >= (set() if schema is SCHEMA else {"name", "people"})


async def test_text_before_and_other_tool_calls_are_no_part_of_the_answer(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["12", " is what"]), tool_call(TOOL_NAME, OSLO), tool_call("other", {"a": 1}))
    values = [s.value for s in await snapshots_of(client.stream(BY_TOOL, "Hi", output_schema=Struct))]
    assert values[-1] == OSLO
    assert all(itertools.starmap(grows, itertools.pairwise(values)))


@pytest.mark.parametrize("model", [NATIVE, BY_TOOL], ids=["native", "tool"])
async def test_an_answer_in_words_has_one_snapshot_without_a_value(
    emulator: Emulator, client: Client, model: str
) -> None:
    emulator.script(say(["12", " reasons against it."]))
    stream = client.stream(model, "Hi", output_schema=Struct)
    assert await snapshots_of(stream) == [Snapshot(value=None, parsed=None, complete=False)]
    assert (await stream.response()).parse_error


async def test_an_answer_that_reached_max_tokens_is_not_complete(emulator: Emulator, client: Client) -> None:
    emulator.script(say(fragments(json.dumps(OSLO)[:40])), stop("max_tokens"))
    last = (await snapshots_of(client.stream(NATIVE, "Hi", output_schema=Struct)))[-1]
    assert (last.parsed, last.complete) == (None, False)
    assert grows(last.value, OSLO)
    assert last.value["people"] == OSLO["people"]


async def test_an_answer_that_does_not_fit_is_not_complete(emulator: Emulator, client: Client) -> None:
    wrong = OSLO | {"people": "many"}
    emulator.script(*answer(NATIVE, wrong))
    stream = client.stream(NATIVE, "Hi", output_schema=Struct)
    assert (await snapshots_of(stream))[-1] == Snapshot(value=wrong, parsed=None, complete=False)


async def test_a_call_without_input_is_an_empty_object(emulator: Emulator, client: Client) -> None:
    emulator.script(tool_call(TOOL_NAME), stop("tool_use"))
    assert await snapshots_of(client.stream(BY_TOOL, "Hi", output_schema=SCHEMA)) == [
        Snapshot(value={}, parsed={}, complete=True)
    ]


async def test_a_torn_answer_raises_as_the_stream_does(emulator: Emulator, client: Client) -> None:
    emulator.script(say(fragments(OSLO)[:5]), cut())
    seen = []
    with pytest.raises(errors.StreamInterrupted):
        async for snapshot in client.stream(NATIVE, "Hi", output_schema=Struct).parsed_stream:
            seen.append(snapshot)  # noqa: PERF401 - the comprehension would lose it
    assert seen
    assert not any(snapshot.complete for snapshot in seen)


async def test_it_follows_the_form_of_the_attempt_that_succeeded(emulator: Emulator) -> None:
    async with client_of(emulator.url) as client:
        emulator.script(http_error(429, "ThrottlingException", "No."))
        emulator.script(start(), *answer(BY_TOOL, OSLO))
        stream = client.stream(NATIVE, "Hi", output_schema=Struct, failover=[Target(model=BY_TOOL)], show_retries=True)
        assert (await snapshots_of(stream))[-1].complete


async def test_a_validator_that_fails_in_its_own_way_does_not_end_the_stream(
    emulator: Emulator, client: Client
) -> None:
    class Fussy(pydantic.BaseModel):
        rivers: list[str] = []

        @pydantic.field_validator("rivers")
        @classmethod
        def two(cls, value: list[str]) -> list[str]:
            return [value[0], value[1]]  # IndexError while there is one

    emulator.script(*answer(NATIVE, {"rivers": OSLO["rivers"]}))
    snapshots = await snapshots_of(client.stream(NATIVE, "Hi", output_schema=Fussy))
    assert snapshots[-1].parsed == Fussy(rivers=["Akerselva", "Lysakerelva"])


# ------------------------------------------------------------------------------------------------------ invalid uses


async def test_it_needs_a_schema_and_a_response(client: Client) -> None:
    with pytest.raises(errors.ConfigurationError, match="parsed_stream: the call has no output_schema; pass output_"):
        _ = client.stream(NATIVE, "Hi").parsed_stream
    with pytest.raises(errors.ConfigurationError, match="keep: is False"):
        _ = client.stream(NATIVE, "Hi", output_schema=Struct, keep=False).parsed_stream


async def test_without_jiter_the_error_names_the_extra(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiter", None)
    remedy = r'parsed_stream: jiter is not installed; pip install "bedrock-stream\[structured\]"'
    with pytest.raises(errors.ConfigurationError, match=remedy):
        _ = client.stream(NATIVE, "Hi", output_schema=Struct).parsed_stream


async def test_snapshots_are_refused_where_they_would_miss_events(emulator: Emulator, client: Client) -> None:
    missing = "parsed_stream: events of the stream have been read elsewhere.*; use response"
    emulator.script(*answer(NATIVE, OSLO))
    async with client.stream(NATIVE, "Hi", output_schema=Struct) as stream:
        await anext(stream)
        with pytest.raises(errors.ConfigurationError, match=missing):
            await anext(stream.parsed_stream)
    emulator.script(*answer(NATIVE, OSLO))
    stream = client.stream(NATIVE, "Hi", output_schema=Struct)
    view = stream.parsed_stream
    await anext(view)
    await anext(view)
    with pytest.raises(errors.ConfigurationError, match="text_stream: parsed_stream has left out events"):
        await anext(stream.text_stream)
    assert (await stream.response()).parsed
    with pytest.raises(errors.ConfigurationError, match=missing):
        await anext(view)


async def test_snapshots_have_the_type_and_are_json(emulator: Emulator, client: Client) -> None:
    emulator.script(*answer(NATIVE, OSLO))
    async for snapshot in client.stream(NATIVE, "Hi", output_schema=Struct).parsed_stream:
        assert_type(snapshot, Snapshot[Struct])
        assert_type(snapshot.parsed, Struct | None)
    expected = {"value": OSLO, "parsed": OSLO, "complete": True}
    assert msgspec.json.decode(msgspec.json.encode(snapshot)) == expected


async def test_a_view_that_has_ended_stays_so(emulator: Emulator, client: Client) -> None:
    emulator.script(*answer(NATIVE, OSLO))
    view = client.stream(NATIVE, "Hi", output_schema=Struct).parsed_stream
    assert [snapshot async for snapshot in view][-1].complete
    assert [snapshot async for snapshot in view] == []


# ------------------------------------------------------------------------------------------------------------- the cost


def made_of(document: str, size: int) -> tuple[list[Snapshot[Any]], int]:
    """Return the snapshots of a document that comes in fragments, and the number of bytes that were parsed for them."""
    output = OutputSchema(SCHEMA, describe(NATIVE))
    maker: SnapshotMaker[Any] = SnapshotMaker()
    parse, parsed = maker._parse, 0

    def count(data: bytes, **options: Any) -> Any:
        nonlocal parsed
        parsed += len(data)
        return parse(data, **options)

    maker._parse = count
    taken = [maker.take(TextDelta(0, part), output) for part in fragments(document, size)]
    response = output.read(Response(message=Message("assistant", ()), text=document))
    return [*(snapshot for snapshot in taken if snapshot is not None), maker.last(response)], parsed


@pytest.mark.parametrize("size", [1, 4, 50])
def test_the_bytes_parsed_grow_in_proportion_to_the_answer(size: int) -> None:
    for length in (100, 1_000, 10_000, 50_000):
        for document in (
            json.dumps({"essay": "x" * length}),
            json.dumps({"numbers": list(range(length // 6))}),
        ):
            snapshots, parsed = made_of(document, size)
            assert parsed <= 66 * len(document)
            assert snapshots[-1].complete
            assert len(snapshots) >= min(len(document) // size // 6, 50)


TEXTS = st.text(max_size=6)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.integers(1, 9), st.booleans())
def test_any_object_in_any_fragments_ends_whole(value: dict[str, Any], size: int, ascii_only: bool) -> None:
    snapshots, _ = made_of(json.dumps(value, ensure_ascii=ascii_only), size)
    assert snapshots[-1] == Snapshot(value=value, parsed=value, complete=True)
    assert all(isinstance(snapshot.value, dict) for snapshot in snapshots)


@settings(max_examples=40)
@given(st.text(), st.integers(1, 9))
def test_words_never_raise(text: str, size: int) -> None:
    snapshots, _ = made_of(text, size)
    assert all(isinstance(snapshot.value, dict | list) for snapshot in snapshots[:-1])
