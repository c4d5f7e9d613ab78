"""Test an application against scripted answers and faults: `pytest test_backend.py`, with `asyncio_mode = "auto"`.

The fixture `bedrock_emulator` points every AWS client of the process to an emulator. Needs the extra `testing`.
"""

import pytest

from bedrock_stream import RetryPolicy, StreamInterrupted, stream
from bedrock_stream.testing import ThreadedEmulator, cut, http_error, stall, text

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


async def greet(name: str) -> str:
    """Return a greeting. It stands for the application."""
    async with stream(MODEL, f"Greet {name}.", retry=RetryPolicy(base=0)) as answer:
        return (await answer.response()).text


async def test_an_answer_is_returned(bedrock_emulator: ThreadedEmulator) -> None:
    bedrock_emulator.script(text("Hello, Ada!"))
    assert await greet("Ada") == "Hello, Ada!"
    assert "Greet Ada." in str(bedrock_emulator.requests[0].json)


async def test_throttling_is_retried(bedrock_emulator: ThreadedEmulator) -> None:
    bedrock_emulator.script(http_error(429, "ThrottlingException", "Slow down"))
    bedrock_emulator.script(text("Hello!"))
    assert await greet("Ada") == "Hello!"


async def test_a_cut_answer_does_not_look_complete(bedrock_emulator: ThreadedEmulator) -> None:
    bedrock_emulator.script(text("Hello, "), cut())
    with pytest.raises(StreamInterrupted) as caught:
        await greet("Ada")
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hello, "


async def test_leaving_closes_the_stream(bedrock_emulator: ThreadedEmulator) -> None:
    bedrock_emulator.script(text("Hello"), stall())
    async with stream(MODEL, "Hello") as answer:
        async for _ in answer.text_stream:
            break
    await bedrock_emulator.wait_until_idle()
