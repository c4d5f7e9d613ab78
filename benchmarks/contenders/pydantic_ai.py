"""pydantic-ai through its lowest-level interface: a direct model request without an agent. It uses boto3 in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "pydantic-ai-slim"
IMPORT = "from pydantic_ai.models.bedrock import BedrockConverseModel"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    provider = BedrockProvider(
        base_url=target.url, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )
    model = BedrockConverseModel(MODELS["converse"], provider=provider)

    async def read(prompt: str, on_text: OnText) -> None:
        async with model_request_stream(model, [ModelRequest.user_text_prompt(prompt)]) as stream:
            async for event in stream:
                match event:
                    case PartStartEvent(part=TextPart(content=text)) if text:
                        on_text(text)
                    case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                        on_text(text)

    yield read
