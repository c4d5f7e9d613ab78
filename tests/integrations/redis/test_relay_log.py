"""Answers of a relay in Redis: read on, and stopped, by other processes than the one that writes them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

redis = pytest.importorskip("redis", reason="redis-py is not installed")
from tests.support.redis_server import SERVER, Server  # noqa: E402 - needs redis-py

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

from bedrock_stream import Client, errors  # noqa: E402
from bedrock_stream.integrations.redis import RedisLog, relay_log  # noqa: E402
from bedrock_stream.integrations.relay_log import LogReader  # noqa: E402
from bedrock_stream.integrations.starlette import Relay  # noqa: E402
from bedrock_stream.testing import Emulator, text  # noqa: E402
from tests.support.relayed_chat import Chat  # noqa: E402
from tests.support.web_app import serving  # noqa: E402

ONE, TWO, THREE = (b"data: %d\n\n" % number for number in (1, 2, 3))


@pytest.fixture
async def logs(server: Server) -> AsyncIterator[list[RedisLog]]:
    """Two logs on one server, with connections of their own, as two processes have them."""
    own = [RedisLog(server.url, prefix=f"test-{id(server)}-{number}") for number in (0, 0)]
    client = redis.asyncio.Redis.from_url(server.url)
    await client.flushall()
    yield own
    for log in own:
        await log.aclose()
    await client.aclose()


async def read_all(reader: LogReader) -> bytes:
    events: list[bytes] = []
    async with asyncio.timeout(20):
        while batch := await reader.read():
            events += batch
    return b"".join(events)


def without_ids(events: Sequence[bytes] | bytes) -> bytes:
    whole = events if isinstance(events, bytes) else b"".join(events)
    return b"".join(line for line in whole.splitlines(keepends=True) if not line.startswith(b"id: "))


async def test_another_process_reads_on_behind_any_event_and_waits_for_more(logs: list[RedisLog]) -> None:
    here, there = logs
    assert await there.open("k", None) is None
    writer = await here.begin("k", 100)
    own = writer.reader()
    reader = await there.open("k", None)
    assert reader is not None
    assert (reader.running, reader.resumed) == (True, False)
    waits = asyncio.create_task(reader.read())
    await asyncio.sleep(0)
    await writer.append([ONE, TWO])
    first = await waits
    assert without_ids(first) == ONE + TWO
    last = first[0].split(b"\n")[0].removeprefix(b"id: ").decode()
    resumed = await there.open("k", last)
    assert resumed is not None
    assert resumed.resumed
    stranger = await there.open("k", "another-1")
    assert stranger is not None
    assert not stranger.resumed
    rest = asyncio.create_task(read_all(resumed))
    await writer.append([THREE])
    await writer.end(100)
    assert without_ids(await rest) == TWO + THREE
    assert without_ids(await read_all(reader)) == THREE
    assert await read_all(stranger) == await read_all(own)
    assert (reader.running, await reader.read()) == (False, ())
    late = await there.open("k", last)
    assert late is not None
    assert (late.running, late.resumed) == (False, True)
    assert without_ids(await read_all(late)) == TWO + THREE


async def test_another_process_stops_an_answer_and_a_new_one_stops_the_one_before(logs: list[RedisLog]) -> None:
    here, there = logs
    assert not await there.stop("k")
    for stop in (lambda: there.stop("k"), lambda: there.begin("k", 100)):
        writer = await here.begin("k", 100)
        watch = asyncio.create_task(writer.stopped())
        await asyncio.sleep(0.05)
        assert not watch.done()
        assert await stop()
        async with asyncio.timeout(20):
            await watch
        await writer.end(100)
    early = await here.begin("k", 100)
    assert await there.stop("k")
    async with asyncio.timeout(20):
        await early.stopped()  # although nobody listened then
    await early.end(100)
    assert not await there.stop("k")


async def test_a_reader_keeps_its_answer_when_another_one_takes_the_key(logs: list[RedisLog]) -> None:
    here, there = logs
    before = await here.begin("k", 100)
    await before.append([ONE])
    reader = await there.open("k", None)
    assert reader is not None
    after = await there.begin("k", 100)
    await after.append([TWO])
    await before.end(100)
    assert without_ids(await read_all(reader)) == ONE
    await after.end(100)
    newest = await here.open("k", None)
    assert newest is not None
    assert without_ids(await read_all(newest)) == TWO


async def test_everything_in_redis_ends_by_itself(logs: list[RedisLog], server: Server) -> None:
    writer = await logs[0].begin("k", 100)
    await writer.append([ONE])
    client = redis.asyncio.Redis.from_url(server.url)
    kinds = {}
    for key in await client.keys():
        kinds[key.split(b":")[1]] = await client.ttl(key)
    assert {kind: 0 < kinds[kind] <= 100 for kind in (b"answer", b"log", b"state")} == dict.fromkeys(
        (b"answer", b"log", b"state"), True
    )
    await writer.end(0.01)
    async with asyncio.timeout(20):
        while await client.keys():
            await asyncio.sleep(0.01)
    await client.aclose()


async def test_many_readers_wait_on_one_connection(logs: list[RedisLog], server: Server) -> None:
    here, there = logs
    client = redis.asyncio.Redis.from_url(server.url)
    before = int((await client.info("commandstats")).get("cmdstat_lrange", {"calls": 0})["calls"])
    writers = [await here.begin(f"k{number}", 100) for number in range(30)]
    readers = [await there.open(f"k{number}", None) for number in range(30)]
    waiting = [asyncio.create_task(read_all(reader)) for reader in readers if reader is not None]
    subscribed: list[int] = []
    async with asyncio.timeout(20):
        while sum(subscribed) < 30:
            subscribed = [sub for one in await client.client_list() if (sub := int(one["sub"]))]
    assert subscribed == [30]

    async def asked() -> int:
        return int((await client.info("commandstats"))["cmdstat_lrange"]["calls"]) - before

    async with asyncio.timeout(20):
        while await asked() < 3 * 30:  # before they follow, then, and once messages come
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert await asked() == 3 * 30, "a reader that waits asks nothing"
    for writer in writers:
        await writer.append([ONE])
        await writer.end(10)
    assert {without_ids(await one) for one in waiting} == {ONE}
    await client.aclose()


async def test_a_full_log_refuses_answers_until_one_has_ended(server: Server) -> None:
    log = RedisLog(server.url, prefix="full", max_answers=2)
    first, _ = await log.begin("a", 100), await log.begin("b", 100)
    with pytest.raises(errors.RelayFull, match="2 running answers"):
        await log.begin("c", 100)
    await first.end(100)
    await log.begin("c", 100)
    await log.aclose()


async def test_a_server_without_memory_refuses_answers(own_server: Server) -> None:
    client = redis.asyncio.Redis.from_url(own_server.url)
    log = RedisLog(own_server.url)
    await client.config_set("maxmemory", "1")
    with pytest.raises(errors.RelayFull, match="no memory left"):
        await log.begin("c", 100)
    await log.aclose()
    await client.aclose()


async def test_without_redis_an_answer_goes_on_and_gets_there_what_it_lacks(
    own_server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_log, "_RETRY", 0.0)
    log, other = RedisLog(own_server.url), RedisLog(own_server.url)
    writer = await log.begin("k", 100)
    await writer.append([ONE])
    reader = await other.open("k", None)
    assert reader is not None
    assert without_ids(await reader.read()) == ONE
    waits = asyncio.create_task(reader.read())
    await asyncio.sleep(0.05)
    own_server.stop()
    with caplog.at_level(logging.WARNING, "bedrock_stream.relay"):
        async with asyncio.timeout(20):
            for call in (waits, other.open("k", None), other.stop("k")):
                with pytest.raises(errors.RelayUnavailable, match="does not answer: ConnectionError"):
                    await call
            await writer.append([TWO])
            late = await log.begin("late", 100)
            await late.append([THREE])
        assert without_ids(await writer.reader().read()) == ONE + TWO
    assert ["is gone" in record.getMessage() for record in caplog.records] == [True, True]  # one for each answer
    own_server.start()
    await writer.append([THREE])
    await writer.end(100)
    await late.end(100)
    for key, expected in (("k", ONE + TWO + THREE), ("late", THREE)):
        reader = await other.open(key, None)
        assert reader is not None
        assert without_ids(await read_all(reader)) == expected
    await log.aclose()
    await other.aclose()


_WRITER = """
import asyncio, sys
from bedrock_stream.integrations.redis import RedisLog

async def main():
    log = RedisLog(sys.argv[1], prefix="dies")
    writer = await log.begin("k", 100)
    asyncio.create_task(writer.stopped())
    await writer.append([b"data: 1\\n\\n"])
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_readers_learn_that_the_process_of_an_answer_died(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_log, "_ROUND", 0.05)
    command = [sys.executable, "-c", _WRITER, server.url]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603, ASYNC220 - our own code
    assert writer.stdout is not None
    assert await asyncio.to_thread(writer.stdout.readline) == "ready\n"
    log = RedisLog(server.url, prefix="dies")
    reader = await log.open("k", None)
    assert reader is not None
    assert without_ids(await reader.read()) == ONE
    waits = asyncio.create_task(reader.read())
    writer.kill()
    writer.communicate()
    client = redis.asyncio.Redis.from_url(server.url)
    (state,) = await client.keys("dies:state:*")
    assert 0 < await client.ttl(state) <= 30
    await client.delete(state)  # as it ends by itself
    with pytest.raises(errors.StreamInterrupted, match="the process that wrote the answer is gone"):
        async with asyncio.timeout(20):
            await waits
    assert not reader.running
    await log.aclose()
    await client.aclose()


async def test_a_running_answer_shows_signs_of_life(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_log, "_ROUND", 0.02)
    log = RedisLog(server.url, prefix="alive")
    writer = await log.begin("k", 100)
    watch = asyncio.create_task(writer.stopped())
    client = redis.asyncio.Redis.from_url(server.url)
    (state,) = await client.keys("alive:state:*")
    await client.pexpire(state, 60)
    async with asyncio.timeout(20):
        while await client.ttl(state) < 10:
            await asyncio.sleep(0.01)
        await client.set(state, "stop")  # and its message was lost
        await watch
    await writer.end(1)
    await log.aclose()
    await client.aclose()


# ------------------------------------------------------------------------------------------------------- over HTTP


async def test_a_browser_resumes_at_another_process(emulator: Emulator, client: Client, logs: list[RedisLog]) -> None:
    async with AsyncExitStack() as stack:
        chats = [Chat(client, await stack.enter_async_context(Relay(log)), "events") for log in logs]
        urls = [await stack.enter_async_context(serving(chat.app)) for chat in chats]
        here, there = [await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20)) for url in urls]
        chats[0].script(emulator)
        received = b""
        async with here.stream("POST", "/chat/c") as response:
            async for chunk in response.aiter_bytes():
                received += chunk
                if b"tool_call_end" in received:
                    break
        await chats[0].waiting.wait()
        last = received.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
        headers = {"last-event-id": last}
        async with there.stream("GET", "/chat/c/stream", headers=headers) as rest:
            assert rest.status_code == 200
            chats[0].go_on.set()
            received = received[: received.rindex(b"\n\n") + 2] + await rest.aread()
        whole = await there.get("/chat/c/stream", headers={"last-event-id": last[:-1] + "0"})
        assert received.endswith(whole.content)
        assert b"four." in received
        assert len(emulator.requests) == 2
        assert (await there.get("/chat/c/stream")).status_code == 204


async def test_a_browser_stops_an_answer_at_another_process(
    emulator: Emulator, client: Client, logs: list[RedisLog]
) -> None:
    async with AsyncExitStack() as stack:
        chats = [Chat(client, await stack.enter_async_context(Relay(log)), "events") for log in logs]
        urls = [await stack.enter_async_context(serving(chat.app)) for chat in chats]
        here, there = [await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20)) for url in urls]
        chats[0].script(emulator)
        asking = asyncio.create_task(here.post("/chat/c"))
        await chats[0].waiting.wait()
        assert (await there.post("/chat/c/stop")).json() is True
        chats[0].go_on.set()
        assert b"four." not in (await asking).content
        assert (await there.post("/chat/c/stop")).json() is False


async def test_a_page_that_resumes_without_redis_gets_503(
    emulator: Emulator, client: Client, own_server: Server
) -> None:
    log = RedisLog(own_server.url)
    emulator.script(text(["One"]))
    async with Relay(log) as relay:
        chat = Chat(client, relay, "events")
        async with serving(chat.app) as url, httpx.AsyncClient(base_url=url, timeout=20) as browser:
            own_server.stop()
            answer = await browser.post("/chat/c")
            assert b"One" in answer.content
            refused = await browser.get("/chat/c/stream")
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "RelayUnavailable")
    await log.aclose()


# ------------------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"url": "http://user:hidden@host"}, "RedisLog.url: is not the URL of a Redis server"),
        ({"prefix": " "}, "RedisLog.prefix: expected a name, got ' '"),
        ({"max_answers": 0}, "RedisLog.max_answers: expected a positive int, got 0"),
        ({"max_answers": True}, "RedisLog.max_answers: expected a positive int, got True"),
    ],
)
def test_arguments_that_make_no_sense_are_errors(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        RedisLog(**{"url": "redis://h", **arguments})
    assert str(caught.value).startswith(problem)
    assert "hidden" not in str(caught.value)


async def test_a_closed_log_says_so() -> None:
    log = RedisLog("redis://user:hidden@127.0.0.1:1")
    assert "hidden" not in repr(log)
    await log.aclose()
    with pytest.raises(errors.ClientClosed, match="the log is closed"):
        await log.open("k", None)
