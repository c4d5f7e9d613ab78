"""The journal of a batch: on disk before it is handed out, found again after a crash, and never guessed at."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bedrock_stream import Ask, Client, Image, Journal, Message, Price, Row, Stream, Tool, errors
from bedrock_stream.batch import journal_file
from tests.support.counting_server import (
    BROKEN,
    CLAUDE,
    DENIED,
    INVALID,
    MODEL,
    Asked,
    check_rows,
    counting,
    prompts,
    read_into,
    rows_of,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def recorded(path: Path) -> set[int]:
    """Return the rows whose answers are in whole lines of a journal."""
    whole = path.read_bytes().rpartition(b"\n")[0]
    return {int(item) for item in re.findall(rb'"text":"answer=(\d+);"', whole)}


def content(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


# --------------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_batch_that_was_left_asks_the_rest_when_it_is_run_again(
    path: Path, ordered: bool, stream: bool
) -> None:
    async with counting(prices={MODEL: Price(input=1, output=1)}) as (server, client):

        def start() -> Any:
            options: Any = {"concurrency": 4, "max_tokens": 50, "ordered": ordered, "stream": stream}
            return client.map(MODEL, prompts(30), journal=path, **options)

        async with start() as rows:
            first = [await anext(rows) for _ in range(9)]
        known = recorded(path)
        assert {row.index for row in first} <= known
        before = dict(server.asked)
        batch = start()
        rows = await rows_of(batch)
        check_rows(rows, 30)
        assert {row.index for row in rows if row.reused} == known
        assert batch.progress.reused == len(known)
        assert all(server.asked[item] == before[item] for item in known)
        assert sum(server.asked.values()) <= 30 + 4
        count = sum(server.asked.values())
        again = await rows_of(start())
        assert all(row.reused for row in again)
        assert sum(server.asked.values()) == count
        assert ordered is False or [row.index for row in again] == list(range(30))
        originals = {row.index: row for row in rows}
        for row in again:
            assert row == msgspec.structs.replace(originals[row.index], reused=True, seconds=row.seconds)


@pytest.mark.parametrize("sync", [0, 1.0])
async def test_a_row_is_recorded_before_it_is_handed_out(path: Path, sync: float) -> None:
    async with counting() as (_, client):
        async for row in client.map(MODEL, prompts(40), concurrency=8, max_tokens=50, journal=Journal(path, sync=sync)):
            assert row.index in recorded(path)


async def test_a_journal_can_be_read_by_people(path: Path) -> None:
    asks = [Ask("item=0 hello", key="row-0"), "item=1 hello", "item=2 hello"]
    async with counting(lambda asked: INVALID if asked.item == 2 else None) as (_, client):
        rows = await rows_of(client.map(MODEL, asks, concurrency=1, max_tokens=50, journal=str(path), api_key="secret"))
    head, *records = lines(path)
    assert head["journal"] == 1
    assert head["model"] == MODEL
    assert list(head["options"]) == ["max_tokens"]
    assert [record["index"] for record in records] == [0, 1, 2]
    assert (records[0]["recordId"], rows[0].key) == ("row-0", "row-0")
    assert (records[1]["key"], "recordId" in records[1]) == (rows[1].key, False)
    assert records[0]["output"]["text"] == "answer=0;"
    assert records[0]["usage"] == {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    assert [record["status"] for record in records] == ["ok", "ok", "failed"]
    assert records[2]["error"]["type"] == "ValidationFailed"
    assert "secret" not in content(path).decode()
    assert not path.with_name("run.jsonl.pid").exists()


async def test_rows_that_failed_are_reused_and_asked_again_only_with_retry_failed(path: Path) -> None:
    async with counting(lambda asked: {1: INVALID, 3: BROKEN}.get(asked.item)) as (server, client):

        def start(**options: Any) -> Any:
            return client.map(MODEL, prompts(5), max_tokens=50, ordered=True, journal=Journal(path, **options))

        first = await rows_of(start())
        second = await rows_of(start())
        assert (server.asked[1], server.asked[3]) == (1, 3)
        for index, kind in ((1, errors.ValidationFailed), (3, errors.InternalServerError)):
            one, two = first[index].error, second[index].error
            assert isinstance(one, kind)
            assert isinstance(two, kind)
            assert (str(one), one.code, one.status, one.retryable) == (str(two), two.code, two.status, two.retryable)
            assert second[index].reused
        server.plan = None
        check_rows(await rows_of(start(retry_failed=True)), 5)
        check_rows(await rows_of(start()), 5)
        assert (server.asked[1], server.asked[3], server.asked[0]) == (2, 4, 1)


async def test_refusals_of_access_before_the_first_success_are_asked_again(path: Path) -> None:
    async with counting(lambda _asked: DENIED) as (server, client):
        with pytest.raises(errors.BatchStopped, match="the first 20 rows failed"):
            await rows_of(client.map(MODEL, prompts(40), concurrency=3, max_tokens=50, journal=path))
        server.plan = None
        check_rows(await rows_of(client.map(MODEL, prompts(40), concurrency=3, max_tokens=50, journal=path)), 40)


async def test_an_error_that_is_not_ours_is_reused_with_its_words(path: Path) -> None:
    async def fail(stream: Stream) -> str:
        text = (await stream.response()).text
        if text == "answer=1;":
            raise LookupError("not found")
        return text

    async with counting() as (_, client):
        for _ in range(2):
            batch = client.map(MODEL, prompts(2), each=fail, ordered=True, journal=path)
            good, bad = await rows_of(batch)
            assert good.value == "answer=0;"
            assert str(bad.error) in ("not found", "LookupError: not found")
        assert isinstance(bad.error, errors.BedrockStreamError)


async def test_a_value_of_each_that_is_not_json_ends_the_batch(path: Path) -> None:
    async def read(stream: Stream) -> Any:
        return object()

    async with counting() as (_, client):
        with pytest.raises(errors.ConfigurationError, match="each: returned what the journal cannot hold"):
            await rows_of(client.map(MODEL, prompts(2), each=read, journal=path))


# ----------------------------------------------------------------------------------------------------------------- keys


async def test_rows_are_found_in_any_order_and_equal_rows_are_rows_of_their_own(path: Path) -> None:
    given = [*prompts(5), *["item=7 hello"] * 3]
    async with counting() as (server, client):
        await rows_of(client.map(MODEL, given, concurrency=3, max_tokens=50, journal=path))
        rows = await rows_of(client.map(MODEL, [*reversed(given), "item=8 hello"], max_tokens=50, journal=path))
        assert len({row.key for row in rows}) == 9
        assert {row.index: row.response.text for row in rows} == {
            **dict.fromkeys(range(3), "answer=7;"),
            **{index: f"answer={7 - index};" for index in range(3, 8)},
            8: "answer=8;",
        }
        assert server.asked == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 7: 3, 8: 1}


def look_up(city: str) -> str:
    """Return the weather."""
    return city


class City(msgspec.Struct):
    name: str


async def test_a_key_is_of_what_the_answer_depends_on() -> None:
    image = Message.user("item=0 hello", Image(b"GIF89a" + bytes(500), "gif"))
    asks: list[Any] = [
        "item=0 hello",
        Ask("item=0 hello", temperature=0.5),
        Ask("item=0 hello", model="amazon.nova-pro-v1:0"),
        Ask("item=0 hello", tools=[look_up]),
        Ask("item=0 hello", tools=[Tool(name="f", description="d", input_schema={"type": "object"})]),
        Ask("item=0 hello", output_schema=City),
        Ask(body={"messages": [{"role": "user", "content": [{"text": "item=0 hello"}]}]}, converse=True),
        [image],
        [Message.user("item=0 hello", Image(b"GIF89a" + bytes(501), "gif"))],
    ]
    same = [
        Ask("item=0 hello", region="us-east-1", api_key="key", request_metadata={"a": "b"}),
        {"content": "item=1 hi"},
    ]
    async with counting() as (_, client):
        rows = await rows_of(client.map(MODEL, [*asks, *same], max_tokens=50, ordered=True))
        assert [row.error for row in rows] == [None] * 11
        keys = [row.key for row in rows]
        assert len(set(keys[:9])) == 9
        assert keys[9] == keys[0]
        more = await rows_of(
            client.map(f"bedrock:{MODEL}", [[image], asks[3]], provider_options={"max_tokens": 50}, ordered=True)
        )
        assert [row.key for row in more] == [keys[7], keys[3]]
    assert keys[0] == "df08b7b22fe76b88d114372bd247833d", "a new version must find the rows of an old one"


async def test_bodies_and_parsed_outputs_are_restored(path: Path) -> None:
    body = {"max_tokens": 30, "messages": [{"role": "user", "content": "item=0 hello"}]}
    async with counting() as (server, client):
        server.said = '{{"name":"{}"}}'
        for _ in range(2):
            asks = [Ask(body=body, model=CLAUDE), Ask("item=1 hello", output_schema=City), "item=2 hello"]
            raw, typed, plain = await rows_of(client.map(MODEL, asks, max_tokens=50, ordered=True, journal=path))
            assert raw.response["content"] == [{"type": "text", "text": '{"name":"0"}'}]
            assert typed.response.parsed == City("1")
            assert plain.response.text == '{"name":"2"}'
        assert raw.reused
        assert sum(server.asked.values()) == 3


@pytest.mark.parametrize("text", ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\r\nh", "\0", '"}\\', "\U0001f600"])
async def test_whatever_a_model_writes_comes_back(path: Path, text: str) -> None:
    async with counting() as (server, client):
        server.said = f"answer={{}};{text.replace('}', '}}')}"
        first = await rows_of(client.map(MODEL, prompts(3), max_tokens=50, ordered=True, journal=path))
        again = await rows_of(client.map(MODEL, prompts(3), max_tokens=50, ordered=True, journal=path))
        assert [row.response for row in again] == [row.response for row in first]
        assert first[0].response.text == f"answer=0;{text}"
        assert content(path).count(b"\n") == 4


# ----------------------------------------------------------------------------------------- torn, damaged, busy, another


async def finished(path: Path, client: Client, count: int = 4) -> bytes:
    check_rows(await rows_of(client.map(MODEL, prompts(count), concurrency=1, max_tokens=50, journal=path)), count)
    return content(path)


async def test_a_record_that_was_torn_at_any_byte_is_cut_off_and_asked_again(path: Path) -> None:
    async with counting() as (server, client):
        whole = await finished(path, client, 2)
        begin = whole.rstrip(b"\n").rfind(b"\n") + 1
        for end in {*range(begin, len(whole), 9), begin + 1, len(whole) - 2, len(whole) - 1}:
            write(path, whole[:end])
            server.asked.clear()
            assert len(await finished(path, client, 2)) > begin
            assert server.asked == {1: 1}
            assert len(lines(path)) == 3


async def test_a_torn_record_is_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with counting() as (_, client):
        whole = await finished(path, client)
        write(path, whole[:-9])
        await finished(path, client)
        await finished(path, client)
        told = [record.getMessage() for record in caplog.records if record.name == "bedrock_stream"]
        torn = len(whole.splitlines()[-1]) - 8
        assert told == [f"{path}: the last record is torn ({torn} bytes) and was cut off"]


@pytest.mark.parametrize("keep", [0, 5, 20, -1])
async def test_a_journal_that_was_torn_in_its_first_line_is_begun_anew(path: Path, keep: int) -> None:
    async with counting() as (server, client):
        first = (await finished(path, client)).splitlines()[0]
        write(path, first[:keep] if keep >= 0 else first)
        await finished(path, client)
        assert len(lines(path)) == 5
        assert set(server.asked.values()) == {2}


DAMAGES: dict[str, Any] = {
    "garbage": lambda line: b"#" * len(line),
    "half a line": lambda line: line[: len(line) // 2],
    "empty": lambda _line: b"",
    "zeros": lambda line: b"\0" * len(line),
    "joined": lambda line: line[: len(line) // 2] + line,
    "not utf-8": lambda line: line.replace(b"answer", b"an\xff\xfeer"),
    "no key": lambda line: line.replace(b'"key"', b'"kex"'),
    "short key": lambda line: b'{"key":"12",' + line[44:],
    "key that is not hex": lambda line: line[:8] + b"x" * 32 + line[40:],
    "not an object": lambda _line: b"[1, 2]",
}
OF_A_RECORD = ("not utf-8", "no key", "short key", "key that is not hex")


@pytest.mark.parametrize(
    ("damage", "number"),
    [(damage, number) for damage in DAMAGES for number in (1, 3, 5) if number > 1 or damage not in OF_A_RECORD],
)
async def test_a_damaged_line_is_an_error_with_its_number(path: Path, damage: str, number: int) -> None:
    async with counting() as (server, client):
        damaged = (await finished(path, client)).split(b"\n")
        damaged[number - 1] = DAMAGES[damage](damaged[number - 1])
        write(path, b"\n".join(damaged))
        before, asked = content(path), len(server.connections)
        with pytest.raises(errors.JournalDamaged, match=rf"journal: line {number} of ") as caught:
            await rows_of(client.map(MODEL, prompts(4), max_tokens=50, journal=path))
        assert caught.value.line == number
        assert content(path) == before
        assert len(server.connections) == asked


async def test_a_file_of_another_kind_is_left_alone(path: Path) -> None:
    write(path, b"a thesis, without a line break")
    async with counting() as (_, client):
        with pytest.raises(errors.JournalDamaged, match=r"line 1 of .* it is not a journal of a batch"):
            await rows_of(client.map(MODEL, prompts(1), journal=path))
    assert content(path) == b"a thesis, without a line break"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": "amazon.nova-pro-v1:0"}, "its model is 'amazon.nova-lite-v1:0', got 'amazon.nova-pro-v1:0'"),
        ({"max_tokens": 60}, "other options: max_tokens differ"),
        ({"system": "Be brief.", "temperature": 0.5}, "other options: system, temperature differ"),
        ({"max_tokens": None}, "other options: max_tokens differ"),
    ],
    ids=repr,
)
async def test_a_journal_of_another_run_is_an_error(path: Path, change: dict[str, Any], match: str) -> None:
    async with counting() as (server, client):
        before = await finished(path, client)
        with pytest.raises(errors.JournalMismatch, match=match):
            await rows_of(
                client.map(**{"model": MODEL, "prompts": prompts(4), "max_tokens": 50, "journal": path, **change})
            )
        assert content(path) == before
        assert set(server.asked.values()) == {1}


async def test_how_rows_are_asked_is_no_part_of_a_run(path: Path) -> None:
    async with counting() as (server, client), counting() as (other, second):
        await finished(path, client)
        batch = second.map(MODEL, prompts(4), concurrency=9, ordered=True, patience=9, max_tokens=50, journal=path)
        check_rows(await rows_of(batch), 4)
        assert (len(server.connections), len(other.connections)) == (4, 0)


async def test_a_second_batch_on_a_journal_is_an_error_until_the_first_has_ended(path: Path) -> None:
    async def hang(asked: Asked) -> None:
        await asked.connection.closed.wait()

    async with counting(lambda asked: hang(asked) if asked.item == 3 else None) as (server, client):

        def start() -> Any:
            return client.map(MODEL, prompts(4), max_tokens=50, journal=path)

        async with start() as rows:
            await anext(rows)
            second = start()
            with pytest.raises(errors.JournalBusy, match=rf"is in use by process {os.getpid()}"):
                await anext(second)
            with pytest.raises(errors.BatchStopped, match="it could not start: JournalBusy"):
                await anext(second)
            path.with_name("run.jsonl.pid").unlink()
            with pytest.raises(errors.JournalBusy, match="is in use by another process"):
                await rows_of(start())
        server.plan = None
        check_rows(await rows_of(start()), 4)


async def test_a_journal_that_was_removed_meanwhile_is_not_shared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = journal_file._lock

    def remove_and_lock(descriptor: int) -> None:
        monkeypatch.setattr(journal_file, "_lock", lock)
        path.unlink()
        lock(descriptor)

    monkeypatch.setattr(journal_file, "_lock", remove_and_lock)
    async with counting() as (_, client):
        assert len((await finished(path, client)).splitlines()) == 5


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    async with counting() as (_, client):
        with pytest.raises(FileNotFoundError):
            await rows_of(client.map(MODEL, prompts(1), journal=tmp_path / "nowhere" / "run.jsonl"))


@pytest.mark.parametrize("journal", [{"path": ""}, {"path": "a", "sync": -1}, {"path": "a", "retry_failed": 1}])
def test_invalid_settings_are_errors(journal: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"Journal\.\w+: expected"):
        Journal(**journal)


# --------------------------------------------------------------------------------------------------- full disk, kill -9


@pytest.mark.parametrize("step", ["write", "fdatasync"])
@pytest.mark.parametrize("sync", [0, 0.001])
async def test_a_disk_that_fails_stops_the_batch_and_hands_out_no_row_for_it(
    path: Path, step: str, sync: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.write` and `os.fdatasync` stand for a disk that is full or breaks; a real full one is in `check_batch`."""
    async with counting() as (server, client):
        batch, rows = (
            client.map(MODEL, prompts(5000), concurrency=4, max_tokens=50, journal=Journal(path, sync)),
            list[Row](),
        )
        await batch.__aenter__()
        rows += [await anext(batch) for _ in range(3)]

        def fail(*_arguments: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(f"bedrock_stream.batch.journal_file.os.{step}", fail)
        with pytest.raises(errors.BatchStopped, match=r"the journal cannot be written: .* No space left on device"):
            await read_into(rows, batch)
        assert {row.index for row in rows} <= recorded(path)
        assert len(server.connections) < 5000
        monkeypatch.undo()
        check_rows(await rows_of(client.map(MODEL, prompts(40), concurrency=4, max_tokens=50, journal=path)), 40)


async def test_a_write_that_was_short_is_completed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(
        "bedrock_stream.batch.journal_file.os.write", lambda descriptor, data: write(descriptor, data[:100])
    )
    async with counting() as (_, client):
        assert len((await finished(path, client)).splitlines()) == 5


async def test_records_are_synced_in_groups(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    sync = journal_file.JournalFile.sync

    def count(self: journal_file.JournalFile) -> None:
        nonlocal synced
        synced += 1
        sync(self)

    monkeypatch.setattr(journal_file.JournalFile, "sync", count)
    async with counting() as (_, client):
        await rows_of(client.map(MODEL, prompts(60), concurrency=30, max_tokens=50, journal=Journal(path, sync=0)))
        assert 2 <= synced <= 61
        synced = 0
        await rows_of(client.map(MODEL, prompts(90), concurrency=30, max_tokens=50, journal=Journal(path, sync=60)))
        assert synced == 1, "at the end"


RUN = """
import asyncio, sys
from bedrock_stream import Client, RetryPolicy
async def main(url, path):
    async with Client(endpoint_url=url, api_key="key", region="us-east-1") as client:
        prompts = [f"item={i} hello" for i in range(200)]
        async with client.map("amazon.nova-lite-v1:0", prompts, concurrency=8, max_tokens=50, journal=path) as rows:
            async for row in rows:
                print(row.index, flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
async def test_a_killed_process_loses_nothing_that_it_handed_out(path: Path) -> None:
    async with counting() as (server, client):
        for read in (15, 40):
            command = (sys.executable, "-c", RUN, server.url, str(path))
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            assert process.stdout is not None
            handed_out = {int(await process.stdout.readline()) for _ in range(read)}
            process.send_signal(signal.SIGKILL)
            await process.wait()
            assert handed_out <= recorded(path)
            await server.deserted()
        before = dict(server.asked)
        known = recorded(path)
        check_rows(await rows_of(client.map(MODEL, prompts(200), concurrency=8, max_tokens=50, journal=path)), 200)
        assert all(server.asked[item] == before[item] for item in known)
        assert sum(server.asked.values()) <= 200 + 2 * 8
