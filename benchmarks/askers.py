"""Workers that ask a service with a quota as fast as it allows: in this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import Any

import msgspec

from bedrock_stream import Client, Quota, RetryPolicy, errors
from bedrock_stream.testing import API_KEY, REGION, AccountQuota, Emulator, delay, metadata, text

__all__ = ("Asking", "Limits", "Window", "ask_until", "serving", "watched")

MODEL = "amazon.nova-lite-v1:0"
_OUTPUT, _LIMIT = 20, 200  # tokens that are used, and `max_tokens`
_USED = {"inputTokens": 10, "outputTokens": _OUTPUT, "totalTokens": 10 + _OUTPUT}


class Limits(msgspec.Struct, frozen=True):
    """A quota."""

    rpm: float | None = None
    tpm: float | None = None


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What a process of workers does. `way` is `quota`, `redis` or `learned`."""

    url: str
    way: str
    limits: Limits
    seconds: float
    workers: int = 50
    redis: str = ""


class Window(msgspec.Struct, frozen=True):
    """What the service counted in the steady part of a run."""

    share: float
    """Percent of the quota that was used."""
    throttled: float
    """Percent of all requests of the whole run."""
    answered: int
    """Answers of the whole run."""


def serving(limits: Limits) -> Emulator:
    """Return a service with a quota, which answers after 50 ms and holds a fifth of a minute's quota."""
    quota = AccountQuota(limits.rpm, limits.tpm, burst=0.2)
    return Emulator(quota=quota, keep_requests=0, script=lambda _: [delay(0.05), text("fine"), metadata(_USED)])


async def ask_until(asking: Asking) -> int:
    """Ask with all workers for so long. Return the number of calls that failed."""
    policy = RetryPolicy(patience=60.0, max_attempts=4)
    quota = _quota(asking)
    failed, end = 0, time.monotonic() + asking.seconds
    async with Client(
        region=REGION,
        endpoint_url=asking.url,
        api_key=API_KEY,
        retry=policy,
        quotas={} if quota is None else {"": quota},
    ) as client:

        async def work() -> None:
            nonlocal failed
            while True:
                try:
                    await client.generate(MODEL, "Tell me something.", max_tokens=_LIMIT)
                except errors.BedrockStreamError:
                    failed += 1

        workers = [asyncio.create_task(work()) for _ in range(asking.workers)]
        await asyncio.sleep(end - time.monotonic())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    if asking.way == "redis":
        await quota.aclose()
    return failed


async def watched(emulator: Emulator, limits: Limits, warm: float, seconds: float) -> Window:
    """Watch a run from its beginning, and return what the service counted after the warm-up."""
    counted = emulator.quota
    while not counted.answered:  # noqa: ASYNC110 - a counter has no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(warm)
    began, answers, tokens = time.monotonic(), counted.answered, counted.tokens
    await asyncio.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    share = 0.0
    if limits.rpm is not None:
        share = (counted.answered - answers) / (limits.rpm * minutes)
    if limits.tpm is not None:
        share = max(share, (counted.tokens - tokens) / (limits.tpm * minutes))
    return Window(100 * share, 100 * counted.throttled / max(1, counted.asked), counted.answered)


def _quota(asking: Asking) -> Any:
    limits = asking.limits
    if asking.way == "learned":
        return None
    if asking.way == "quota":
        return Quota(rpm=limits.rpm, tpm=limits.tpm)
    from bedrock_stream.integrations.redis import RedisQuota

    return RedisQuota(asking.redis, "benchmark", rpm=limits.rpm, tpm=limits.tpm)


def main() -> None:
    """Run what the argument says, and print the number of calls that failed."""
    with contextlib.suppress(KeyboardInterrupt):
        print(asyncio.run(ask_until(msgspec.json.decode(sys.argv[1], type=Asking))))


if __name__ == "__main__":
    main()
