"""Abandoned, truncated and throttled streams with aiobotocore and with this library.

Three common cases, run with both clients against the same emulator, with code in its usual form:
- the eleventh request after ten streams were left by `break` (both clients have ten connections),
- a response whose body ends before `messageStop`, although the HTTP framing is complete,
- a throttling error inside a stream, and the same error as an HTTP status.

An aiobotocore user can avoid the first case with an explicit `response["stream"].close()` on every exit, which a row
shows. The results of aiobotocore are reported and never asserted.

    python -m benchmarks.side_by_side [--wait 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib.metadata
import json
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from bedrock_stream import Client, Credentials, RetryPolicy, __version__, errors
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    cut,
    http_error,
    stall,
    stream_error,
    text,
)

MODEL = "amazon.nova-lite-v1:0"
CONNECTIONS = 10
MESSAGES = [{"role": "user", "content": [{"text": "Hi"}]}]
HALF = text(["It is ", "not"])
ENDLESS = (HALF, stall())
CUT = (HALF, cut())
THROTTLE = "Too many tokens, please wait."
THROTTLED_INSIDE = (HALF, stream_error("throttlingException", THROTTLE))
THROTTLED = (http_error(429, "ThrottlingException", THROTTLE),)

# ---------------------------------------------------------------------------------------------------------- aiobotocore


@contextlib.asynccontextmanager
async def theirs(url: str) -> AsyncIterator[Any]:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(max_pool_connections=CONNECTIONS, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
    created = get_session().create_client(
        "bedrock-runtime", region_name=REGION, endpoint_url=url, config=config, **keys
    )
    async with created as client:
        yield client


async def their_break(client: Any) -> None:
    response = await client.converse_stream(modelId=MODEL, messages=MESSAGES)
    async for _ in response["stream"]:
        break


async def their_break_and_close(client: Any) -> None:
    response = await client.converse_stream(modelId=MODEL, messages=MESSAGES)
    async for _ in response["stream"]:
        break
    response["stream"].close()


async def their_answer(client: Any) -> str:
    from botocore.exceptions import ClientError

    received = ""
    try:
        response = await client.converse_stream(modelId=MODEL, messages=MESSAGES)
        async for event in response["stream"]:
            received += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return f"{type(error).__name__}, {f'status {status}' if status else 'no status'}"
    return f"ends normally with {received!r}"


# ----------------------------------------------------------------------------------------------------------------- ours


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Client]:
    keys, once = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), RetryPolicy(max_attempts=1)
    async with Client(
        region=REGION, endpoint_url=url, credentials=keys, retry=once, max_connections=CONNECTIONS
    ) as client:
        yield client


async def our_break(client: Client) -> None:
    async for _ in client.stream(MODEL, "Hi"):
        break


async def our_break_and_close(client: Client) -> None:
    async with client.stream(MODEL, "Hi") as stream:
        async for _ in stream:
            break


async def our_answer(client: Client) -> str:
    received = ""
    try:
        async with client.stream(MODEL, "Hi") as stream:
            async for piece in stream.text_stream:
                received += piece
    except errors.ServiceError as error:
        return f"{type(error).__name__}, status {error.status}"
    except errors.StreamInterrupted as error:
        return f"{type(error).__name__} after {error.partial.text if error.partial else None!r}"
    return f"ends normally with {received!r}"


# ---------------------------------------------------------------------------------------------------------------- cases

Make = Callable[[str], contextlib.AbstractAsyncContextManager[Any]]


async def eleventh(make: Make, leave: Callable[[Any], Awaitable[None]], wait: float) -> str:
    """Return the outcome of one more request than there are connections, after all earlier streams were left."""
    async with Emulator(script=lambda _: ENDLESS) as emulator, make(emulator.url) as client:
        for _ in range(CONNECTIONS):
            await leave(client)
        gc.collect()
        with contextlib.suppress(TimeoutError):  # streams that are open after this time stay open
            await emulator.wait_until_idle(0.5)
        running = f"{emulator.open_streams} of {CONNECTIONS} still open"
        try:
            await asyncio.wait_for(leave(client), wait)
        except TimeoutError:
            return f"hangs ({wait:g} s waited), {running}"
        return f"answered at once, {running}"


async def answer(make: Make, read: Callable[[Any], Awaitable[str]], *steps: Step) -> str:
    """Return the outcome of reading one scripted response."""
    async with Emulator(script=lambda _: steps) as emulator, make(emulator.url) as client:
        return await read(client)


async def compare(wait: float) -> dict[str, tuple[str, str]]:
    """Return each case with its outcomes: aiobotocore's, ours."""
    return {
        "11th request after 10 x break": (
            await eleventh(theirs, their_break, wait),
            await eleventh(ours, our_break, wait),
        ),
        "the same, with close / async with": (
            await eleventh(theirs, their_break_and_close, wait),
            await eleventh(ours, our_break_and_close, wait),
        ),
        "truncated before messageStop": (
            await answer(theirs, their_answer, *CUT),
            await answer(ours, our_answer, *CUT),
        ),
        "throttling error in the stream": (
            await answer(theirs, their_answer, *THROTTLED_INSIDE),
            await answer(ours, our_answer, *THROTTLED_INSIDE),
        ),
        "throttling error as an HTTP status": (
            await answer(theirs, their_answer, *THROTTLED),
            await answer(ours, our_answer, *THROTTLED),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", type=float, default=5.0, help="time limit of the eleventh request in seconds")
    parser.add_argument("--json", help="file for the results")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)  # this library warns about each bare break by design
    versions = {name: importlib.metadata.version(name) for name in ("aiobotocore", "botocore", "aiohttp")}
    versions["bedrock_stream"] = __version__
    outcomes = asyncio.run(compare(arguments.wait))
    print(f"Python {sys.version.split()[0]}, {', '.join(f'{name} {version}' for name, version in versions.items())}\n")
    print(f"{'':35}{'aiobotocore':42}bedrock_stream")
    for case, (their, our) in outcomes.items():
        print(f"{case:35}{their:42}{our}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"python": sys.version, "versions": versions, "found": outcomes}, file, indent=2)


if __name__ == "__main__":
    main()
