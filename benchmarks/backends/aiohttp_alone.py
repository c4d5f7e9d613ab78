"""A lower bound: aiohttp alone, whose bytes Starlette's `StreamingResponse` passes on without decoding them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.responses import StreamingResponse

from ..contenders import MODELS, Target, messages
from . import Respond


@asynccontextmanager
async def responding(target: Target) -> AsyncIterator[Respond]:
    url = f"{target.url}/model/{MODELS['converse']}/converse-stream"
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:

        async def pieces(prompt: str) -> AsyncIterator[bytes]:
            async with session.post(url, json={"messages": messages(prompt)}) as response:
                async for data in response.content.iter_any():
                    yield data

        def respond(prompt: str) -> StreamingResponse:
            return StreamingResponse(pieces(prompt), media_type="application/vnd.amazon.eventstream")

        yield respond
