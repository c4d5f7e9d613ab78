"""boto3, which is synchronous: it blocks the event loop, which nothing else uses here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target, messages

PACKAGE = "boto3"
IMPORT = "import boto3"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    import boto3

    client = boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=target.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        verify=target.cafile,
    )

    async def read(prompt: str, on_text: OnText) -> None:
        for event in client.converse_stream(modelId=MODELS["converse"], messages=messages(prompt))["stream"]:
            if "contentBlockDelta" in event:
                on_text(event["contentBlockDelta"]["delta"]["text"])

    yield read
    client.close()
