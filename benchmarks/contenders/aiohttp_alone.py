"""A lower bound: aiohttp alone, without signing, which reads chunks of bytes and does not decode them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import MODELS, OnText, Read, Target, messages

PACKAGE = "aiohttp"
IMPORT = "import aiohttp"
FORMS = ("converse", "invoke")
_OPERATIONS = {"converse": "converse-stream", "invoke": "invoke-with-response-stream"}


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    import aiohttp

    tls: dict[str, object] = {}
    if target.cafile:
        import ssl

        tls["ssl"] = ssl.create_default_context(cafile=target.cafile)
    url = f"{target.url}/model/{MODELS[target.form]}/{_OPERATIONS[target.form]}"

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, **tls),  # type: ignore[arg-type]
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:

        async def read(prompt: str, on_text: OnText) -> None:
            async with session.post(url, json={"messages": messages(prompt)}) as response:
                async for data in response.content.iter_any():
                    on_text(data)

        yield read
