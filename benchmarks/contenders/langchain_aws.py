"""langchain-aws, which calls boto3 in threads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "langchain-aws"
IMPORT = "from langchain_aws import ChatBedrockConverse"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    from langchain_aws import ChatBedrockConverse

    # A dict, since its annotations lack some of the arguments and do not allow plain strings.
    arguments: dict[str, Any] = {
        "model": MODELS["converse"],
        "region_name": REGION,
        "endpoint_url": target.url,
        "aws_access_key_id": KEY_ID,
        "aws_secret_access_key": SECRET,
    }
    chat = ChatBedrockConverse(**arguments)

    async def read(prompt: str, on_text: OnText) -> None:
        async for chunk in chat.astream(prompt):
            for block in chunk.content_blocks:
                if block["type"] == "text" and block["text"]:
                    on_text(block["text"])

    yield read
