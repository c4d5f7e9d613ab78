"""OpenAI's SDK, for Chat Completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import MODELS, OnText, Read, Target

PACKAGE = "openai"
IMPORT = "from openai import AsyncOpenAI"
FORMS = ("chat",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="a key", base_url=f"{target.url}/v1") as client:

        async def read(prompt: str, on_text: OnText) -> None:
            chunks = await client.chat.completions.create(
                model=MODELS["chat"],
                messages=[{"role": "user", "content": prompt}],
                stream=True,
                stream_options={"include_usage": True},
            )
            async for chunk in chunks:
                for choice in chunk.choices:
                    if choice.delta.content:
                        on_text(choice.delta.content)

        yield read
