"""This library, with its response for Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bedrock_stream import Client, Credentials
from bedrock_stream.integrations.starlette import EventResponse, event_response

from ..contenders import KEY_ID, MODELS, REGION, SECRET, Target
from . import Respond


@asynccontextmanager
async def responding(target: Target) -> AsyncIterator[Respond]:
    async with Client(
        region=REGION,
        endpoint_url=target.url,
        credentials=Credentials(KEY_ID, SECRET),
        max_connections=max(256, target.streams),
    ) as client:

        def respond(prompt: str) -> EventResponse:
            return event_response(client.stream(MODELS["converse"], prompt))

        yield respond
