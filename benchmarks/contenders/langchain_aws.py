"""langchain-aws, which asks boto3 in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import KEY_ID, MODELS, REGION, SECRET, Read, Take, Target

PACKAGE = "langchain-aws"
IMPORT = "from langchain_aws import ChatBedrockConverse"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from langchain_aws import ChatBedrockConverse

    # A dict, since its annotations know neither all of its arguments nor that they may be plain strings.
    given: dict[str, Any] = {
        "model": MODELS["converse"],
        "region_name": REGION,
        "endpoint_url": target.url,
        "aws_access_key_id": KEY_ID,
        "aws_secret_access_key": SECRET,
    }
    chat = ChatBedrockConverse(**given)

    async def read(prompt: str, take: Take) -> None:
        async for chunk in chat.astream(prompt):
            for block in chunk.content_blocks:
                if block["type"] == "text" and block["text"]:
                    take(block["text"])

    yield read
