"""litellm."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from . import KEY_ID, MODELS, REGION, SECRET, OnText, Read, Target

PACKAGE = "litellm"
IMPORT = "import litellm"
FORMS = ("converse",)


@asynccontextmanager
async def reading(target: Target) -> AsyncIterator[Read]:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it downloads its price table
    import litellm

    async def read(prompt: str, on_text: OnText) -> None:
        chunks = await litellm.acompletion(
            model=f"bedrock/converse/{MODELS['converse']}",
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            aws_region_name=REGION,
            aws_bedrock_runtime_endpoint=target.url,
        )
        async for chunk in chunks:
            if chunk.choices and chunk.choices[0].delta.content:
                on_text(chunk.choices[0].delta.content)

    yield read
