"""Ways to ask many prompts with bounded concurrency, each as the documentation of its package shows.

A way is `await ask(target, prompts)`, which returns the texts of the answers. None but ours has a journal.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .contenders import KEY_ID, MODELS, REGION, SECRET, Target, messages

__all__ = ("NO_JOURNAL", "WAYS", "client_of")

NO_JOURNAL = "without a journal"
"""The case in which ours has no journal either."""
_MODEL = MODELS["converse"]
_MAX_TOKENS = 100
_KEYS = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}


def client_of(url: str, **options: Any) -> Any:
    """Return a client of ours."""
    from bedrock_stream import Client, Credentials

    return Client(region=REGION, endpoint_url=url, credentials=Credentials(KEY_ID, SECRET), **options)


async def _ours(target: Target, prompts: Sequence[str], *, journal: bool = True) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl") if journal else None
        options: dict[str, Any] = {"concurrency": target.streams, "journal": path, "max_tokens": _MAX_TOKENS}
        connections = max(target.streams, 100)
        async with (
            client_of(target.url, max_connections=connections) as client,
            client.map(_MODEL, prompts, **options) as rows,
        ):
            return [row.response.text async for row in rows]


async def _ours_without_journal(target: Target, prompts: Sequence[str]) -> list[str]:
    return await _ours(target, prompts, journal=False)


async def _workers(count: int, prompts: Sequence[str], ask: Callable[[str], Awaitable[str]]) -> list[str]:
    """Ask with a number of workers, as programs do that use a client without batches."""
    waiting = iter(prompts)

    async def work() -> list[str]:
        return [await ask(prompt) for prompt in waiting]

    return [text for texts in await asyncio.gather(*(work() for _ in range(count))) for text in texts]


async def _aiobotocore(target: Target, prompts: Sequence[str]) -> list[str]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(max_pool_connections=target.streams)
    arguments = {"region_name": REGION, "endpoint_url": target.url, "config": config, **_KEYS}
    async with get_session().create_client("bedrock-runtime", **arguments) as client:

        async def answer_of(prompt: str) -> str:
            answer = await client.converse(
                modelId=_MODEL, messages=messages(prompt), inferenceConfig={"maxTokens": _MAX_TOKENS}
            )
            return str(answer["output"]["message"]["content"][0]["text"])

        return await _workers(target.streams, prompts, answer_of)


async def _boto3(target: Target, prompts: Sequence[str]) -> list[str]:
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=target.streams)
    client = boto3.client("bedrock-runtime", region_name=REGION, endpoint_url=target.url, config=config, **_KEYS)

    def answer_of(prompt: str) -> str:
        answer = client.converse(modelId=_MODEL, messages=messages(prompt), inferenceConfig={"maxTokens": _MAX_TOKENS})
        return str(answer["output"]["message"]["content"][0]["text"])

    with ThreadPoolExecutor(target.streams) as threads:
        return list(threads.map(answer_of, prompts))


async def _litellm(target: Target, prompts: Sequence[str]) -> list[str]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it downloads its price table
    import litellm

    async def answer_of(prompt: str) -> str:
        answer = await litellm.acompletion(
            model=f"bedrock/converse/{_MODEL}",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=_MAX_TOKENS,
            aws_region_name=REGION,
            aws_bedrock_runtime_endpoint=target.url,
            **_KEYS,
        )
        return str(answer.choices[0].message.content)

    return await _workers(target.streams, prompts, answer_of)


async def _langchain_aws(target: Target, prompts: Sequence[str]) -> list[str]:
    from langchain_aws import ChatBedrockConverse

    arguments: dict[str, Any] = {"model": _MODEL, "region_name": REGION, "endpoint_url": target.url, **_KEYS}
    chat = ChatBedrockConverse(**arguments, max_tokens=_MAX_TOKENS)
    found = await chat.abatch(list(prompts), {"max_concurrency": target.streams})
    return [str(message.text) for message in found]


WAYS: dict[str, Callable[[Target, Sequence[str]], Awaitable[list[str]]]] = {
    "bedrock_stream": _ours,
    NO_JOURNAL: _ours_without_journal,
    "aiobotocore": _aiobotocore,
    "boto3": _boto3,
    "litellm": _litellm,
    "langchain_aws": _langchain_aws,
}
