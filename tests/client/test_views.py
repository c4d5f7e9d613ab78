"""The views of a stream: each event is delivered once, and a view that would miss some in silence is refused."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Client, MessageStart, TextDelta, ToolCallEnd, ToolCallStart, errors
from bedrock_stream.testing import Emulator, tool_call
from bedrock_stream.testing import text as say

MODEL = "amazon.nova-lite-v1:0"
CALL = tool_call("look", {"at": 1}, id="call-0")


async def texts(view: Any) -> list[str]:
    return [piece async for piece in view]


# ------------------------------------------------------------------------------------------------------ reading goes on


async def test_a_view_continues_where_reading_is(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a", "b", "c", "d", "e"]))
    async with client.stream(MODEL, "Hi") as stream:
        assert isinstance(await anext(stream), MessageStart)
        assert await anext(stream) == TextDelta(0, "a")
        assert await anext(stream.text_stream) == "b"
        async for piece in stream.text_stream:
            assert piece == "c"
            break
        assert await anext(stream) == TextDelta(0, "d")
        assert await texts(stream.text_stream) == ["e"]
        assert (await stream.response()).text == "abcde"


async def test_a_view_that_read_to_the_end_stays_at_the_end(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a"]), CALL)
    for name in "text_stream", "tool_stream":
        emulator.script(say(["a"]))
        async with client.stream(MODEL, "Hi") as stream:
            view = getattr(stream, name)
            await texts(view)
            assert await texts(view) == []
            assert [event async for event in stream] == []


async def test_views_may_alternate_while_neither_misses_anything(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a", "b"]), CALL)
    async with client.stream(MODEL, "Hi") as stream:
        text, tools = stream.text_stream, stream.tool_stream
        assert [await anext(text), await anext(text)] == ["a", "b"]
        kinds = [type(event) async for event in tools]
        assert (kinds[0], kinds[-1]) == (ToolCallStart, ToolCallEnd)
        assert await texts(text) == []  # there was no other text


# -------------------------------------------------------------------------------------------------------------- refused


async def test_calls_that_the_text_stream_left_out_are_not_missed_in_silence(
    emulator: Emulator, client: Client
) -> None:
    emulator.script(say(["a"]), CALL, say(["b", "c"]))
    async with client.stream(MODEL, "Hi") as stream:
        text, tools = stream.text_stream, stream.tool_stream
        assert [await anext(text), await anext(text)] == ["a", "b"]
        for view in tools, stream.tool_stream:
            with pytest.raises(errors.ConfigurationError) as caught:
                await anext(view)
            assert str(caught.value) == (
                "tool_stream: text_stream has left out events that belong to it; use response().tool_calls, or read "
                "every event with `async for event in stream`"
            )
        assert await texts(text) == ["c"]  # a refusal ends nothing
        assert [call.name for call in (await stream.response()).tool_calls] == ["look"]


async def test_text_that_the_tool_stream_left_out_is_not_missed_in_silence(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a", "b"]), CALL, say(["c"]))
    async with client.stream(MODEL, "Hi") as stream:
        text = stream.text_stream
        assert await anext(text) == "a"
        await anext(stream.tool_stream)
        for view in text, stream.text_stream:
            with pytest.raises(errors.ConfigurationError, match=r"text_stream: tool_stream has left out .*\(\).text"):
                await anext(view)


@pytest.mark.parametrize("second", ["text_stream", "tool_stream"])
@pytest.mark.parametrize("first", ["text_stream", "tool_stream", "response", "events"])
@pytest.mark.parametrize("keep", [True, False])
async def test_a_view_after_the_end_is_refused(
    emulator: Emulator, client: Client, first: str, second: str, keep: bool
) -> None:
    emulator.script(say([""]))
    async with client.stream(MODEL, "Hi", keep=keep or first == "response") as stream:
        if first == "response":
            await stream.response()
        else:
            await texts(stream if first == "events" else getattr(stream, first))
        with pytest.raises(errors.ConfigurationError, match=f"{second}: .*; use response"):
            await anext(getattr(stream, second))


async def test_a_view_of_a_closed_stream_raises_why_it_was_closed(emulator: Emulator, client: Client) -> None:
    emulator.script(say(["a"]))
    stream = client.stream(MODEL, "Hi")
    assert stream.failure is None
    await stream.aclose()
    with pytest.raises(errors.StreamInterrupted, match="closed before its end"):
        await anext(stream.text_stream)
    assert isinstance(stream.failure, errors.StreamInterrupted)
