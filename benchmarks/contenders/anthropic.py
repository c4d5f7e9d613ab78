"""Anthropic's SDK for Claude on Bedrock, which uses Claude's native format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "anthropic"
IMPORT = "from anthropic import AsyncAnthropicBedrock"
FORMS = ("invoke",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from anthropic import AsyncAnthropicBedrock

    async with AsyncAnthropicBedrock(
        aws_access_key=KEY_ID, aws_secret_key=SECRET, aws_region=REGION, base_url=target.url
    ) as client:

        async def read(prompt: str, on_text: OnText) -> None:
            events = await client.messages.create(
                model=MODELS["invoke"],
                max_tokens=1000,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
            )
            async for event in events:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    on_text(event.delta.text)

        yield read
