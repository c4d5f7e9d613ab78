"""aiobotocore: an asyncio port of botocore, based on aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target, messages

PACKAGE = "aiobotocore"
IMPORT = "from aiobotocore.session import get_session"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    async with get_session().create_client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=target.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        verify=target.cafile,
        config=AioConfig(max_pool_connections=max(10, target.streams)),
    ) as client:

        async def read(prompt: str, on_text: OnText) -> None:
            response = await client.converse_stream(modelId=MODELS["converse"], messages=messages(prompt))
            async for event in response["stream"]:
                if "contentBlockDelta" in event:
                    on_text(event["contentBlockDelta"]["delta"]["text"])

        yield read
