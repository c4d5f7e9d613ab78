"""Anthropic's SDK for Claude on Bedrock: InvokeModel, and the Messages API at a path of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "anthropic"
IMPORT = "from anthropic import AsyncAnthropicBedrock"
FORMS = ("invoke", "messages")


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    import anthropic

    make: Any = anthropic.AsyncAnthropicBedrock
    url = target.url
    if target.form == "messages":
        make, url = anthropic.AsyncAnthropicBedrockMantle, f"{url}/anthropic"
    async with make(aws_access_key=KEY_ID, aws_secret_key=SECRET, aws_region=REGION, base_url=url) as client:

        async def read(prompt: str, on_text: OnText) -> None:
            events = await client.messages.create(
                model=MODELS[target.form],
                max_tokens=1000,
                messages=[{"role": "user", "content": prompt}],
                stream=True,
            )
            async for event in events:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    on_text(event.delta.text)

        yield read
