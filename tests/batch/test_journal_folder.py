"""A folder of journals: rows of every process are found, and no file has two writers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import Ask, Client, Journal, Row
from bedrock_stream.batch.journal_folder import FolderJournal
from bedrock_stream.errors import ConfigurationError, JournalDamaged, JournalMismatch
from tests.support.counting_server import INVALID, MODEL, CountingServer, check_rows, counting, prompts, rows_of


async def ask(client: Client, folder: Path, asked: list[Any], **options: Any) -> list[Row]:
    journal: Any = FolderJournal(Journal(folder, retry_failed=options.pop("retry_failed", False)))
    return await rows_of(client.map(MODEL, asked, journal=journal, max_tokens=50, **options))


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def test_rows_of_all_files_are_found_and_each_run_has_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    async with counting() as (server, client):
        check_rows(await ask(client, folder, prompts(5)), 5)
        rows = await ask(client, folder, prompts(8))
        check_rows(rows, 8)
        assert [row.index for row in rows if row.reused] == [0, 1, 2, 3, 4]
        assert all(row.reused for row in await ask(client, folder, prompts(8)))
        assert server.asked.total() == 8
    assert len(files(folder)) == 3
    lines = [json.loads(line) for file in files(folder) for line in file.read_text().splitlines()]
    assert sum("key" in line for line in lines) == 8


async def test_what_another_run_writes_meanwhile_is_found(tmp_path: Path) -> None:
    journal: Any = FolderJournal(Journal(tmp_path))
    queue: asyncio.Queue[str] = asyncio.Queue()

    async def feed() -> Any:
        while True:
            yield await queue.get()

    async with counting() as (server, client), client.map(MODEL, feed(), journal=journal, max_tokens=50) as rows:
        queue.put_nowait(prompts(1)[0])
        assert not (await anext(rows)).reused
        await ask(client, tmp_path, prompts(2))
        await journal.follow()
        for prompt in prompts(3):  # the first of them comes again
            queue.put_nowait(prompt)
        found = [await anext(rows) for _ in range(3)]
        assert sorted((row.response.text, row.reused) for row in found) == [
            ("answer=0;", True),
            ("answer=1;", True),
            ("answer=2;", False),
        ]
        await journal.sync()
        assert server.asked == {0: 1, 1: 1, 2: 1}


async def test_a_row_may_come_again_by_its_key(tmp_path: Path) -> None:
    async with counting() as (server, client):
        await ask(client, tmp_path, [Ask("item=1 hello", key="a")])
        again = await ask(client, tmp_path, [Ask("item=1 hello", key="a")] * 2 + [Ask("item=1 hello", key="b")])
        assert sorted(row.reused for row in again) == [False, True, True]
        assert all(row.error is None for row in again)
        assert server.asked == {1: 2}


async def test_a_torn_last_line_is_no_record_yet(tmp_path: Path) -> None:
    async with counting() as (server, client):
        await ask(client, tmp_path, prompts(2))
        (file,) = files(tmp_path)
        whole = file.read_bytes()
        file.write_bytes(whole[:-1])
        (tmp_path / "empty.jsonl").touch()  # of a process that has just begun
        check_rows(await ask(client, tmp_path, prompts(2)), 2)
        assert server.asked.total() == 3
        assert file.read_bytes() == whole[:-1]


async def test_failed_rows_are_asked_again_only_if_told(tmp_path: Path) -> None:
    async with counting(lambda asked: INVALID if asked.item == 1 and asked.nth == 1 else None) as (server, client):
        check_rows(await ask(client, tmp_path, prompts(3)), 3, failed=(1,))
        check_rows(await ask(client, tmp_path, prompts(3)), 3, failed=(1,))
        check_rows(await ask(client, tmp_path, prompts(3), retry_failed=True), 3)
        assert server.asked == {0: 1, 1: 2, 2: 1}


async def test_a_folder_that_cannot_be_used_stays_as_it_is(tmp_path: Path) -> None:
    async with CountingServer() as server, Client(api_key="key", endpoint_url=server.url, allow_http=True) as client:
        await ask(client, tmp_path, prompts(1))
        (file,) = files(tmp_path)
        with pytest.raises(JournalMismatch, match="temperature differ"):
            await ask(client, tmp_path, prompts(1), temperature=0.5)
        with file.open("ab") as damaged:
            damaged.write(b"{}\n")
        with pytest.raises(JournalDamaged, match="line 3") as caught:
            await ask(client, tmp_path, prompts(1))
        assert caught.value.line == 3
        with pytest.raises(ConfigurationError, match="is a file, expected a folder"):
            await ask(client, file, prompts(1))
        assert files(tmp_path) == [file]
        assert server.asked.total() == 1
