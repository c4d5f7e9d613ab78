"""This library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = None
IMPORT = "from bedrock_stream import stream, TextDelta"
FORMS = ("converse", "invoke", "messages", "chat")


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from bedrock_stream import Client, Credentials, TextDelta

    context = None
    if target.cafile:
        import ssl

        context = ssl.create_default_context(cafile=target.cafile)
    model = MODELS[target.form]
    options: Any = {"api": target.form, "endpoint": "mantle"} if target.form in ("messages", "chat") else {}
    credentials = Credentials(KEY_ID, SECRET)

    async with Client(
        region=REGION,
        endpoint_url=target.url,
        credentials=credentials,
        ssl=context,
        max_connections=max(256, target.streams),
    ) as client:

        async def read(prompt: str, on_text: OnText) -> None:
            async with client.stream(model, prompt, keep=target.keep, **options) as stream:
                async for event in stream:
                    if type(event) is TextDelta:
                        on_text(event.text)

        yield read
