"""Reasoning of earlier responses, sent back over the socket: to the family that wrote it, and to no other."""

from __future__ import annotations

from typing import Any

import pytest

from bedrock_stream import Client, Message, Reasoning
from bedrock_stream.testing import Emulator, reasoning
from bedrock_stream.testing import text as say

R1 = "us.deepseek.r1-v1:0"
QWEN = "qwen.qwen3-32b-v1:0"
ANSWER = (reasoning("Hm.", signature=None), say("Yes."))
ON_THE_WIRE = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}


async def ask(client: Client, model: str, *, streaming: bool) -> Message:
    """Ask a model and return its message."""
    if streaming:
        return (await client.stream(model, "q").response()).message
    return (await client.generate(model, "q")).message


async def sent_back(emulator: Emulator, client: Client, model: str, message: Message) -> list[dict[str, Any]]:
    """Send a message as history and return its content as it was received."""
    await client.generate(model, [Message.user("q"), message, Message.user("r")])
    content: list[dict[str, Any]] = emulator.requests[-1].json["messages"][1]["content"]
    return content


@pytest.mark.parametrize("streaming", [True, False])
async def test_only_the_family_that_wrote_reasoning_is_sent_it(
    emulator: Emulator, client: Client, streaming: bool
) -> None:
    emulator.script(*ANSWER)
    message = await ask(client, R1, streaming=streaming)
    restored = Message.from_json(message.to_json())
    assert restored.content[0] == Reasoning("Hm.", family="deepseek")
    assert await sent_back(emulator, client, R1, restored) == [ON_THE_WIRE, {"text": "Yes."}]
    assert await sent_back(emulator, client, QWEN, restored) == [{"text": "Yes."}]


async def test_reasoning_of_unknown_origin_is_sent_where_unsigned_reasoning_is_taken(
    emulator: Emulator, client: Client
) -> None:
    by_hand = Message.assistant(Reasoning("Hm."), "Yes.")
    assert await sent_back(emulator, client, QWEN, by_hand) == [ON_THE_WIRE, {"text": "Yes."}]
    assert await sent_back(emulator, client, R1, by_hand) == [{"text": "Yes."}]
