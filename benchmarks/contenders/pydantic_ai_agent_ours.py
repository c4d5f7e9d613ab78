"""Agents of pydantic-ai on this library's model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, Read, Target
from .pydantic_ai_agent import reader_of

PACKAGE = "pydantic-ai-slim"
IMPORT = "from bedrock_stream.integrations.pydantic_ai import BedrockStreamModel"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from bedrock_stream import Client, Credentials
    from bedrock_stream.integrations.pydantic_ai import BedrockStreamModel

    credentials = Credentials(KEY_ID, SECRET)
    async with Client(region=REGION, endpoint_url=target.url, credentials=credentials) as client:
        yield reader_of(BedrockStreamModel(MODELS["converse"], client=client))
