"""Requests of ordinary OpenAI clients: what the gateway changes so that a model takes them, and how it says so."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import msgspec
import openai
import pytest
from openai import AsyncOpenAI

from bedrock_stream import Client, ModelFacts
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.gateway import create_gateway
from bedrock_stream.gateway.errors import RequestError
from bedrock_stream.gateway.fitting import Caching
from bedrock_stream.gateway.requests import ChatCall, build_call, parse_request
from bedrock_stream.gateway.responses import changes_headers
from bedrock_stream.testing import REGION, Emulator, stop, text, tool_call
from bedrock_stream.types.media import Document, Image
from bedrock_stream.types.messages import CachePoint, Message, Text, ToolCall, ToolResult
from bedrock_stream.types.tools import Tool
from tests.conftest import KEYS
from tests.support.web_app import serving

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
BUDGET = ModelFacts(
    family="claude", native="anthropic", thinking="budget", takes_budget=True, efforts=("low", "medium", "high"),
    forced_with_thinking=False, tool_choice_field=True, blank_stop_sequences=False, cache=True, cache_one_hour=True,
)  # fmt: skip
ADAPTIVE = ModelFacts(family="claude", native="anthropic", thinking="adaptive", efforts=("low", "high"))
HELLO: Any = {"role": "user", "content": "Hello"}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
EPHEMERAL = {"type": "ephemeral"}
CHANGES = "x-bedrock-stream-changes"

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30
PDF = b"%PDF-1.7\n" + b"0" * 30


def build(facts: ModelFacts = BUDGET, caching: Caching | None = None, **members: Any) -> ChatCall:
    body = msgspec.json.encode({"model": CLAUDE, "messages": [HELLO], **members})
    return build_call(parse_request(body), CLAUDE, facts, caching or Caching())


def tool_turn(result: Any = "rain", **assistant: Any) -> list[Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call], **assistant},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@asynccontextmanager
async def gateway(emulator: Emulator, facts: ModelFacts = BUDGET, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    async with (
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, models={CLAUDE: facts}) as client,
        serving(create_gateway(client, **options)) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0) as ai,
    ):
        yield ai


async def test_an_image_is_an_error_and_not_left_out_where_the_model_takes_none(emulator: Emulator) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}
    asked: Any = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}
    async with gateway(emulator, ModelFacts(name="Blind", images=False)) as ai:
        with pytest.raises(openai.BadRequestError, match="Blind takes no images") as caught:
            await ai.chat.completions.create(model=CLAUDE, messages=[asked])
    assert caught.value.param == "messages"
    assert not emulator.requests


# ------------------------------------------------------------------------------------------------------------ reasoning

THOUGHT = [{"type": "reasoning.text", "text": "Hm.", "signature": "sig"}]
ANSWER = {"role": "assistant", "content": "Rain."}
AFTER_RESULTS = {"role": "user", "content": "Go on."}


@pytest.mark.parametrize(
    ("messages", "kept"),
    [
        pytest.param([HELLO], True, id="no tools yet"),
        pytest.param([HELLO, *tool_turn()], False, id="dropped"),
        pytest.param([HELLO, *tool_turn(reasoning_details=THOUGHT)], True, id="returned"),
        pytest.param([HELLO, *tool_turn(), *tool_turn()], False, id="dropped in both rounds"),
        # Without interleaved thinking, Claude thinks at the start of its turn alone.
        pytest.param([HELLO, *tool_turn(reasoning_details=THOUGHT), *tool_turn()], True, id="thought before the first"),
        pytest.param([HELLO, *tool_turn(), AFTER_RESULTS], False, id="text beside the results"),
        pytest.param([HELLO, *tool_turn(), ANSWER, HELLO], True, id="turn is over"),
        pytest.param(
            [HELLO, *tool_turn(), ANSWER, HELLO, *tool_turn(reasoning_details=THOUGHT)],
            True,
            id="dropped in an earlier turn",
        ),
    ],
)
def test_a_budget_is_left_out_if_the_turn_lost_its_thinking(messages: list[Any], kept: bool) -> None:
    call = build(messages=messages, tools=[WEATHER], reasoning_effort="low")
    assert call.options.get("reasoning") == ("low" if kept else None)
    assert [note.partition(" ")[0] for note in call.notes] == ([] if kept else ["reasoning_effort"])


@pytest.mark.parametrize("facts", [ADAPTIVE, ModelFacts(), ModelFacts(family="gpt-oss", thinking="effort")])
def test_other_models_reason_without_earlier_thinking(facts: ModelFacts) -> None:
    call = build(facts, messages=[HELLO, *tool_turn()], tools=[WEATHER], reasoning_effort="low")
    assert (call.options["reasoning"], call.notes) == ("low", ())


def test_switching_reasoning_off_is_passed_on() -> None:
    call = build(messages=[HELLO, *tool_turn()], tools=[WEATHER], reasoning_effort="none")
    assert (call.options["reasoning"], call.notes) == ("none", ())


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_drops_reasoning_gets_its_answer(emulator: Emulator, stream: bool) -> None:
    request: dict[str, Any] = {"messages": [HELLO, *tool_turn()], "tools": [WEATHER], "reasoning_effort": "low"}
    async with gateway(emulator) as ai:
        response = await ai.chat.completions.with_raw_response.create(model=CLAUDE, stream=stream, **request)
        if stream:
            chunks: Any = response.parse()
            assert [chunk async for chunk in chunks]
    assert "thinking" not in str(emulator.requests[-1].json)
    assert response.headers[CHANGES].startswith("reasoning_effort was left out")


# ---------------------------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (None, {"type": "auto"}),
        ("auto", {"type": "auto"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
async def test_one_call_at_a_time(emulator: Emulator, choice: Any, wire: dict[str, Any]) -> None:
    more = {} if choice is None else {"tool_choice": choice}
    async with gateway(emulator) as ai:
        response = await ai.chat.completions.with_raw_response.create(
            model=CLAUDE, messages=[HELLO], tools=[WEATHER], parallel_tool_calls=False, **more
        )
    sent = emulator.requests[-1].json
    assert sent["additionalModelRequestFields"] == {"tool_choice": {**wire, "disable_parallel_tool_use": True}}
    assert "toolChoice" not in sent["toolConfig"]
    assert CHANGES not in response.headers


def test_parallel_calls_without_tools_or_with_the_choice_none_need_nothing() -> None:
    assert set(build(parallel_tool_calls=False).options) == {"unsupported"}
    call = build(parallel_tool_calls=False, tools=[WEATHER], tool_choice="none")
    assert (call.options["tool_choice"], call.notes) == ("none", ())
    assert "additional_model_request_fields" not in call.options


def test_a_model_without_the_option_keeps_its_tool_choice() -> None:
    call = build(ModelFacts(), parallel_tool_calls=False, tools=[WEATHER], tool_choice="required")
    assert call.options["tool_choice"] == "any"
    assert call.notes == ("parallel_tool_calls was left out: the model has no such option",)


@pytest.mark.parametrize("limit", ["never", "with reasoning"])
def test_a_forced_call_that_the_model_refuses_is_not_forced(limit: str) -> None:
    facts = msgspec.structs.replace(BUDGET, tool_choices=("auto",)) if limit == "never" else BUDGET
    more: Any = {} if limit == "never" else {"reasoning_effort": "low"}
    call = build(facts, parallel_tool_calls=False, tools=[WEATHER], tool_choice="required", **more)
    wire = {"type": "auto", "disable_parallel_tool_use": True}
    assert call.options["additional_model_request_fields"] == {"tool_choice": wire}
    assert [note.partition(" ")[0] for note in call.notes] == ["tool_choice"]


@pytest.mark.parametrize("content", ["", "\n", [{"type": "text", "text": " "}], []])
async def test_a_tool_that_returns_nothing(emulator: Emulator, content: Any) -> None:
    async with gateway(emulator) as ai:
        await ai.chat.completions.create(model=CLAUDE, messages=[HELLO, *tool_turn(content)], tools=[WEATHER])
    (result,) = emulator.requests[-1].json["messages"][2]["content"]
    assert result["toolResult"]["content"] == [{"text": "(no output)"}]


def test_blank_texts_are_dropped() -> None:
    content = [{"type": "text", "text": " "}, {"type": "text", "text": "Hi"}]
    turn = tool_turn()
    turn[0]["content"] = "\n\n"
    call = build(messages=[{"role": "system", "content": " "}, {"role": "user", "content": content}, *turn])
    assert call.messages[0] == Message.user("Hi")
    assert call.messages[1] == Message.assistant(ToolCall("c1", "weather"))
    assert "system" not in call.options


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("reason", ["malformed_tool_use", "malformed_model_output"])
async def test_a_malformed_message_is_an_error(emulator: Emulator, stream: bool, reason: str) -> None:
    emulator.script(text("Let me"), tool_call("weather", '{"ci'), stop(reason))
    request: dict[str, Any] = {"model": CLAUDE, "messages": [HELLO], "tools": [WEATHER]}
    async with gateway(emulator) as ai:
        with pytest.raises(openai.APIError, match="malformed") as caught:
            if stream:
                [chunk async for chunk in await ai.chat.completions.create(**request, stream=True)]
            else:
                await ai.chat.completions.create(**request)
    assert caught.value.code == reason
    assert isinstance(caught.value, openai.InternalServerError) is not stream


# ----------------------------------------------------------------------------------------------------------- generation


@pytest.mark.parametrize(
    ("facts", "stops", "kept"),
    [
        (BUDGET, ["\n\n"], None),
        (BUDGET, "\n", None),
        (BUDGET, ["\n", "END"], ["END"]),
        (ModelFacts(), ["\n\n", "END"], ["\n\n", "END"]),
    ],
)
def test_blank_stop_sequences_are_dropped_where_they_are_refused(facts: ModelFacts, stops: Any, kept: Any) -> None:
    call = build(facts, stop=stops)
    assert call.options.get("stop_sequences") == kept
    assert [note.partition(":")[0] for note in call.notes] == ([] if facts.blank_stop_sequences else ["stop"])


def test_options_that_the_model_refuses_are_dropped() -> None:
    assert build(temperature=0.7).options == {"temperature": 0.7, "unsupported": "drop"}


def test_the_header_lists_all_changes_in_printable_ascii() -> None:
    class Changed:
        model = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a"
        changes: tuple[str, ...] = (f"top_p was left out: not supported by '{model}' é\n", "x" * 5000)

    header = changes_headers(("first",), Changed(), "fast")[CHANGES]
    assert header.startswith("first; top_p was left out: not supported by 'fast' ? ; xxx")
    assert len(header) == 2000
    Changed.changes = ()
    assert changes_headers((), Changed(), "fast") == {}


# -------------------------------------------------------------------------------------------------------------- caching


def test_cache_control_becomes_cache_points() -> None:
    hour = {"type": "ephemeral", "ttl": "1h"}
    part = {"type": "text", "text": "Long", "cache_control": EPHEMERAL}
    call = build(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Rules", "cache_control": hour}]},
            {"role": "user", "content": [part, {"type": "text", "text": "short"}]},
            *tool_turn([part]),
        ],
        tools=[{**WEATHER, "cache_control": hour}],
    )
    tool, point = call.options["tools"]
    assert (type(tool), point) == (Tool, {"cachePoint": {"type": "default", "ttl": "1h"}})
    assert call.options["system"] == [Text("Rules"), CachePoint("1h")]
    assert call.messages[0].content == (Text("Long"), CachePoint(), Text("short"))
    assert call.messages[2].content == (ToolResult("c1", "Long"), CachePoint())
    assert call.notes == ()


def test_cache_control_beside_a_str_and_on_nothing() -> None:
    blank = {"type": "text", "text": "", "cache_control": EPHEMERAL}
    answer = {"role": "assistant", "content": "Hi", "cache_control": EPHEMERAL}
    marked = {"role": "user", "content": [blank, {"type": "text", "text": "a", "cache_control": EPHEMERAL}, blank]}
    call = build(messages=[{**HELLO, "cache_control": EPHEMERAL}, answer, marked])
    assert [message.content for message in call.messages] == [
        (Text("Hello"), CachePoint()), (Text("Hi"), CachePoint()), (Text("a"), CachePoint()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "kept"),
    [(ModelFacts(cache=False), (0, 0, 0, 0)), (ModelFacts(cache=True, cache_tools=False), (1, 1, 0, 0))],
)
def test_cache_points_that_the_model_refuses_are_left_out(facts: ModelFacts, kept: tuple[int, ...]) -> None:
    marked = {**HELLO, "cache_control": EPHEMERAL}
    asked, result = tool_turn()
    messages = [{**marked, "role": "system"}, marked, asked, {**result, "cache_control": EPHEMERAL}]
    call = build(facts, messages=messages, tools=[{**WEATHER, "cache_control": EPHEMERAL}])
    user, _, results = (message.content for message in call.messages)
    lists: list[Any] = [call.options["system"], user, call.options["tools"], results]
    assert tuple(len(items) - 1 for items in lists) == kept
    assert [note.partition(" ")[0] for note in call.notes] == ["cache_control"]


async def test_an_unknown_lifetime_is_rejected(emulator: Emulator) -> None:
    async with gateway(emulator) as ai:
        with pytest.raises(openai.BadRequestError) as caught:
            part: Any = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "2h"}}
            await ai.chat.completions.create(model=CLAUDE, messages=[{"role": "user", "content": [part]}])
    assert caught.value.param == "messages[0].content[0].cache_control.ttl"


async def test_the_gateway_caches_for_clients_that_know_nothing_of_it(emulator: Emulator) -> None:
    system: Any = {"role": "system", "content": "Rules"}
    async with gateway(emulator, prompt_cache=True, prompt_cache_ttl="1h") as ai:
        await ai.chat.completions.create(model=CLAUDE, messages=[system, HELLO], tools=[WEATHER])
    sent = emulator.requests[-1].json
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert (sent["toolConfig"]["tools"][-1], sent["system"][-1]) == (point, point)


@pytest.mark.parametrize(
    ("facts", "caching", "options"),
    [
        (BUDGET, Caching(), {}),
        (BUDGET, Caching("auto"), {"prompt_cache": "auto"}),
        (BUDGET, Caching(True, "5m"), {"prompt_cache": True, "prompt_cache_ttl": "5m"}),
        (ModelFacts(cache=True), Caching(True, "1h"), {"prompt_cache": True}),
        (ModelFacts(cache=True, cache_ttl=False), Caching(True, "5m"), {"prompt_cache": True}),
        (ModelFacts(), Caching(True), {}),
        (ModelFacts(cache=False), Caching(True), {}),
    ],
)
def test_the_gateway_caches_only_as_the_model_can(facts: ModelFacts, caching: Caching, options: Any) -> None:
    call = build(facts, caching)
    assert call.options == {"unsupported": "drop", **options}
    assert call.notes == ()


def test_the_clients_own_cache_points_are_the_only_ones() -> None:
    call = build(BUDGET, Caching(True), messages=[{**HELLO, "cache_control": EPHEMERAL}])
    assert call.options == {"unsupported": "drop"}


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"prompt_cache": "always"}, "anthropic_prompt_cache"),
        ({"prompt_cache": True, "prompt_cache_ttl": "2h"}, "anthropic_prompt_cache_ttl"),
        ({"prompt_cache_ttl": "1h"}, "prompt_cache_ttl"),
    ],
)
def test_invalid_caching_is_an_error_at_once(options: Any, argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_gateway(**options)
    assert caught.value.argument == argument


# ---------------------------------------------------------------------------------------------------------------- files


def archive(name: str) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr(name, "<x/>")
    return file.getvalue()


@pytest.mark.parametrize(
    ("part", "kind", "format"),
    [
        ({"type": "image_url", "image_url": {"url": data_url("image/jpeg", PNG)}}, Image, "png"),
        ({"type": "image_url", "image_url": {"url": data_url("application/pdf", PDF)}}, Document, "pdf"),
        ({"type": "image_url", "image_url": {"url": data_url("image/jpeg", b"?")}}, Image, "jpeg"),
        ({"type": "file", "file": {"file_data": data_url("image/webp", PNG)}}, Image, "png"),
        ({"type": "file", "file": {"file_data": data_url("text/plain", PDF), "filename": "a.txt"}}, Document, "pdf"),
        (
            {"type": "file", "file": {"file_data": data_url("application/pdf", archive("word/document.xml"))}},
            Document,
            "docx",
        ),
        (
            {"type": "file", "file": {"file_data": data_url("application/zip", archive("xl/workbook.xml"))}},
            Document,
            "xlsx",
        ),
        ({"type": "file", "file": {"file_data": data_url("application/msword", b"\xd0\xcf\x11\xe0")}}, Document, "doc"),
        ({"type": "file", "file": {"file_data": data_url("text/csv", b"PK\x03\x04")}}, Document, "csv"),
    ],
)
def test_the_bytes_decide_over_the_label(part: dict[str, Any], kind: type, format: str) -> None:
    call = build(messages=[{"role": "user", "content": [{"type": "text", "text": "?"}, part]}])
    _, block = call.messages[0].content
    assert isinstance(block, kind)
    assert getattr(block, "format", None) == format


def test_a_file_of_an_unknown_kind_is_refused_with_its_path() -> None:
    part = {"type": "file", "file": {"file_data": data_url("application/zip", archive("other"))}}
    with pytest.raises(RequestError, match="cannot be detected") as caught:
        build(messages=[{"role": "user", "content": [{"type": "text", "text": "?"}, part]}])
    assert caught.value.param == "messages[0].content[1].file.file_data"
