"""AWS's own asynchronous SDK, which is made of Smithy's generated code. Experimental, as its authors say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, Read, Take, Target

PACKAGE = "aws_sdk_bedrock_runtime"
IMPORT = "import aws_sdk_bedrock_runtime.client"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from aws_sdk_bedrock_runtime import models
    from aws_sdk_bedrock_runtime.client import AsyncBedrockRuntimeClient
    from aws_sdk_bedrock_runtime.config import AsyncBedrockRuntimeConfig

    config = await AsyncBedrockRuntimeConfig.resolve(
        endpoint_uri=target.url, region=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )
    async with AsyncBedrockRuntimeClient(config) as client:

        async def read(prompt: str, take: Take) -> None:
            said = models.Message(role="user", content=[models.ContentBlockText(prompt)])
            asked = models.ConverseStreamInput(model_id=MODELS["converse"], messages=[said])
            async with await client.converse_stream(asked) as stream:
                async for event in stream.output_stream:
                    match event:
                        case models.ConverseStreamOutputContentBlockDelta(
                            value=models.ContentBlockDeltaEvent(delta=models.ContentBlockDeltaText(value=text))
                        ):
                            take(text)

        yield read
