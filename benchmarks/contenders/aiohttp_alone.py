"""A floor: aiohttp alone, which signs nothing, and reads chunks of bytes without looking into them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import MODELS, Read, Take, Target, messages

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

        async def read(prompt: str, take: Take) -> None:
            async with session.post(url, json={"messages": messages(prompt)}) as response:
                async for data in response.content.iter_any():
                    take(data)

        yield read
