"""boto3, which is synchronous: it has the loop for itself here, and would hold it up anywhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, Read, Take, Target, messages

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

    async def read(prompt: str, take: Take) -> None:
        for event in client.converse_stream(modelId=MODELS["converse"], messages=messages(prompt))["stream"]:
            if "contentBlockDelta" in event:
                take(event["contentBlockDelta"]["delta"]["text"])

    yield read
    client.close()
