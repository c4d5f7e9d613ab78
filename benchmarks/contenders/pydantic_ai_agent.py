"""Agents of pydantic-ai on its own model, which calls boto3 in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "pydantic-ai-slim"
IMPORT = "from pydantic_ai.models.bedrock import BedrockConverseModel"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    provider = BedrockProvider(
        base_url=target.url, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )
    yield reader_of(BedrockConverseModel(MODELS["converse"], provider=provider))


def reader_of(model: Any) -> Read:
    """Return the function that streams an answer with an agent on this model."""
    from pydantic_ai import Agent

    async def read(prompt: str, on_text: OnText) -> None:
        async with Agent(model).run_stream(prompt) as run:
            async for text in run.stream_text(delta=True, debounce_by=None):
                on_text(text)

    return read
