"""A quota in Redis, on a real server that each test starts for itself."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import Usage, errors
from bedrock_stream.testing import Emulator
from tests.support.clients import client_of
from tests.support.quota_schedules import SCHEDULES, play

redis = pytest.importorskip("redis", reason="redis-py is not installed")
SERVER = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

from bedrock_stream.integrations import redis as integration  # noqa: E402 - needs redis-py
from bedrock_stream.integrations.redis import RedisQuota  # noqa: E402

NOVA = "amazon.nova-lite-v1:0"


class Server:
    """A Redis of the test's own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        assert SERVER is not None
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        command = [SERVER, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - a server of our own
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("redis"))
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may stop."""
    running = Server(tmp_path)
    yield running
    running.stop()


def quota_of(server: Server, key: str, **settings: Any) -> RedisQuota:
    return RedisQuota(server.url, key, **settings)


@pytest.mark.parametrize("name", SCHEDULES)
async def test_schedules(server: Server, name: str) -> None:
    schedule = SCHEDULES[name]
    quota = quota_of(server, name, **schedule.settings)
    order, seconds = await play(quota, schedule)
    assert order == schedule.order
    assert seconds >= schedule.seconds - 0.001  # the clocks of Redis and of the loop differ in their rounding
    assert quota.stats().waiting == 0
    await quota.aclose()


async def test_quotas_with_the_same_key_share_one_bucket_in_order(server: Server) -> None:
    limits = {"tpm": 60_000, "burst": 0.01}
    first, second, third = (quota_of(server, "shared", **limits) for _ in range(3))
    holds = await first.reserve(600)
    granted: list[str] = []

    async def ask(quota: RedisQuota, name: str, tokens: int) -> None:
        await quota.reserve(tokens)
        granted.append(name)

    waiting = []
    for quota, name, tokens in ((second, "large", 600), (third, "small", 1), (first, "next", 1)):
        waiting.append(asyncio.create_task(ask(quota, name, tokens)))
        await asyncio.sleep(0.03)  # so that it asks once, and is in line
    await holds.settle(Usage(input_tokens=0, output_tokens=0))
    async with asyncio.timeout(20):
        await asyncio.gather(*waiting)
    assert granted[0] == "large"
    other = quota_of(server, "another", **limits)
    await other.reserve(600)
    for quota in (first, second, third, other):
        await quota.aclose()


async def test_many_waiters_ask_through_one_connection(server: Server) -> None:
    quota = quota_of(server, "one asker", rpm=60_000, burst=0.0001)
    async with asyncio.timeout(20):
        await asyncio.gather(*(quota.reserve(1) for _ in range(50)))
    client = redis.asyncio.Redis.from_url(server.url)
    clients = await client.client_list()
    assert len(clients) <= 2, "one for the quota, and this one"
    assert 0 < await client.ttl("bedrock-stream:quota:one asker") <= 120
    await client.aclose()
    await quota.aclose()


async def test_a_process_that_dies_in_line_holds_up_nobody(server: Server) -> None:
    limits = {"tpm": 60_000, "burst": 0.001}
    dead, alive = quota_of(server, "dead", **limits), quota_of(server, "dead", **limits)
    await alive.reserve(60)
    waits = asyncio.create_task(dead.reserve(10_000))  # 10 s
    await asyncio.sleep(0.05)
    waits.cancel()
    async with asyncio.timeout(5):
        await alive.reserve(1)
    await dead.aclose()
    await alive.aclose()


@pytest.mark.parametrize("burn", [None, 3])
async def test_a_client_uses_it_like_any_quota(server: Server, emulator: Emulator, burn: int | None) -> None:
    quota = quota_of(server, f"client {burn}", tpm=1_000_000, burn=burn)
    async with client_of(emulator.url, quotas={"amazon": quota}) as client:
        answer = await client.generate(NOVA, "Hi", max_tokens=10)
        assert answer.usage is not None
        assert answer.usage.output_tokens == 10
        async with client.stream(NOVA, "Hi", max_tokens=1000) as stream:
            await anext(stream)
        stats = client.stats().quotas["amazon"]
    assert stats.settled == (answer.usage.input_tokens or 0) + 10 * (burn or 1)
    assert (stats.waiting, stats.requests, stats.tokens, stats.slowed) == (0, None, None, False)
    await quota.aclose()


async def test_without_redis_calls_are_not_held_up_and_it_is_used_again_once_it_is_back(
    own_server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integration, "_GONE", 0.05)
    quota = quota_of(own_server, "gone", rpm=1, tpm=60, burst=1)
    with caplog.at_level(logging.WARNING, "bedrock_stream.quotas"):
        kept = await quota.reserve(60)
        own_server.stop()
        async with asyncio.timeout(20):
            for _ in range(20):
                free = await quota.reserve(60)
                await free.settle(Usage(input_tokens=0, output_tokens=0))
            await kept.settle(Usage(input_tokens=0, output_tokens=0))
        assert ["is gone" in record.getMessage() for record in caplog.records] == [True], "one warning"
        assert quota.stats().settled == 0
        own_server.start()
        async with asyncio.timeout(20):
            while not (await quota.reserve(30))._is_open:
                await asyncio.sleep(0.02)
        assert "is back" in caplog.text
        waiting = asyncio.create_task(quota.reserve(60))
        await asyncio.sleep(0.05)
        assert not waiting.done(), "its limits hold again"
        waiting.cancel()
    await quota.aclose()


def test_it_serves_one_loop_after_another(server: Server) -> None:
    quota = quota_of(server, "loops", rpm=60_000)

    async def use() -> None:
        await (await quota.reserve(1)).settle(Usage(input_tokens=1, output_tokens=1))

    for _ in range(2):
        asyncio.run(use())  # which closes the connections, too


_WORKER = """
import asyncio, sys, time
from bedrock_stream.integrations.redis import RedisQuota

async def main():
    quota = RedisQuota(sys.argv[1], "processes", rpm=6000, burst=0.002)
    await quota.reserve(1)
    print("ready", flush=True)
    sys.stdin.readline()
    end, count = time.monotonic() + 1, 0
    async def ask():
        nonlocal count
        while time.monotonic() < end:
            await quota.reserve(1)
            count += 1
    await asyncio.gather(*(ask() for _ in range(20)))
    print(count, flush=True)
    await quota.aclose()

asyncio.run(main())
"""


def test_three_processes_share_one_quota(server: Server) -> None:
    command = [sys.executable, "-c", _WORKER, server.url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(3)]  # noqa: S603 - our own code
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    began = time.monotonic()
    for worker in workers:
        assert worker.stdin is not None
        print(file=worker.stdin, flush=True)
    counts = [int(worker.communicate(timeout=30)[0]) for worker in workers]
    seconds = time.monotonic() - began
    assert sum(counts) <= 12 + 100 * seconds + 1
    assert min(counts) > 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("redis://h", " ", 1), "RedisQuota.key: expected a name, got ' '"),
        (
            ("http://user:hidden@host", "k", 1),
            "RedisQuota.url: is not the URL of a Redis server; use redis://HOST:PORT",
        ),
        ((None, "k", 1), "RedisQuota.url: is not the URL of a Redis server"),
        (("redis://h", "k"), "RedisQuota.rpm: expected a limit, got neither rpm nor tpm"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(arguments: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        RedisQuota(*arguments)
    assert str(caught.value).startswith(problem)
    assert "hidden" not in str(caught.value)


async def test_a_password_is_not_shown() -> None:
    quota = RedisQuota("redis://user:hidden@127.0.0.1:1", "k", rpm=1)
    assert repr(quota) == "RedisQuota(rpm=1)"
    await quota.aclose()
    with pytest.raises(errors.ClientClosed, match="the quota is closed"):
        await quota.reserve(1)
