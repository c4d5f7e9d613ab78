"""aiobotocore, with sse-starlette's response."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from sse_starlette.sse import EventSourceResponse

from ..contenders import KEY_ID, MODELS, REGION, SECRET, Target, messages
from . import Respond


@asynccontextmanager
async def responding(target: Target) -> AsyncIterator[Respond]:
    async with get_session().create_client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=target.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=AioConfig(max_pool_connections=max(10, target.streams)),
    ) as client:

        async def events(prompt: str) -> AsyncIterator[dict[str, str]]:
            response = await client.converse_stream(modelId=MODELS["converse"], messages=messages(prompt))
            async for event in response["stream"]:
                if "contentBlockDelta" in event:
                    text = event["contentBlockDelta"]["delta"]["text"]
                    yield {"event": "text_delta", "data": json.dumps({"text": text})}

        def respond(prompt: str) -> EventSourceResponse:
            return EventSourceResponse(events(prompt))

        yield respond
