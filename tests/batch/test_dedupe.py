"""`dedupe`: rows that ask the same are asked once, and each of them is a row with the one outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import Ask, Price, Row, Stop, Stream, errors
from bedrock_stream.transport import lanes
from tests.support.counting_server import INVALID, MODEL, THROTTLED, Asked, counting, prompts, read_into, rows_of

PRICES = {MODEL: Price(input=1e6, output=1e6)}


@pytest.fixture(params=[False, True], ids=["no journal", "journal"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return {"journal": tmp_path / "run.jsonl"} if request.param else {}


def check(rows: list[Row], items: list[int]) -> None:
    """Check that each row has its own answer, in the order of the prompts."""
    assert [row.index for row in rows] == list(range(len(items)))
    assert [row.response.text for row in rows] == [f"answer={item};" for item in items]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("concurrency", [1, 3, 64])
async def test_equal_rows_are_asked_once(journal: dict[str, Any], concurrency: int, ordered: bool) -> None:
    items = [0, 1, 0, 0, 2, 1, 3, 0, 4, 4] * 5
    given = [f"item={item} hello" for item in items]
    async with counting(prices=PRICES) as (server, client):
        options: dict[str, Any] = {"concurrency": concurrency, "ordered": ordered, **journal}
        batch = client.map(MODEL, given, max_tokens=50, dedupe=True, **options)
        rows = sorted(await rows_of(batch), key=lambda row: row.index)
        check(rows, items)
        assert server.asked == dict.fromkeys(range(5), 1)
        assert len({row.key for row in rows}) == 5, "equal rows have the same key"
        assert [row.index for row in rows if not row.reused] == [0, 1, 4, 6, 8]
        assert {(row.cost, row.attempts) for row in rows if row.reused} == {(0.0, 0)}
        progress = batch.progress
        assert (progress.done, progress.reused, progress.waiting) == (50, 45, 0)
        assert (progress.cost, progress.usage.output_tokens) == (5 * 12, 5 * 7), "counted once"


async def test_names_of_rows_do_not_tell_them_apart_but_options_and_models_do(journal: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": [{"text": "item=9"}]}]}
    asks = [
        Ask("item=0 hello", key="a"),
        Ask("item=0 hello", key="b"),
        Ask("item=0 hello", key="c", max_tokens=51),
        Ask("item=0 hello", key="d", model="amazon.nova-pro-v1:0"),
        Ask(body=body, converse=True, key="e"),
        Ask(body=body, converse=True, key="f"),
    ]
    async with counting() as (server, client):
        rows = await rows_of(client.map(MODEL, asks, max_tokens=50, dedupe=True, ordered=True, **journal))
        assert [row.key for row in rows] == ["a", "b", "c", "d", "e", "f"]
        assert [row.reused for row in rows] == [False, True, False, False, False, True]
        assert rows[4].response == rows[5].response
        assert server.asked == {0: 3, 9: 1}
        with pytest.raises(errors.RowInvalid, match="has the key 'a' of an earlier row"):
            asks = [Ask("item=1", key="a"), Ask("item=1", key="a")]
            rows = await rows_of(client.map(MODEL, asks, max_tokens=50, dedupe=True, ordered=True))
            raise rows[1].error or AssertionError


async def test_a_row_waits_for_the_equal_one_that_is_being_asked(journal: dict[str, Any]) -> None:
    go = asyncio.Event()

    async def plan(_asked: Asked) -> None:
        await go.wait()

    async with counting(plan) as (server, client):
        options: dict[str, Any] = {"concurrency": 4, "max_tokens": 50, "dedupe": True, **journal}
        async with client.map(MODEL, ["item=0 hello"] * 3 + ["item=1 hello"], **options) as rows, asyncio.timeout(20):
            while len(server.asked) < 2:
                await asyncio.sleep(0)
            assert (rows.progress.in_flight, rows.progress.waiting) == (2, 2)
            assert rows.progress.committed.rows == 2
            go.set()
            assert len([row async for row in rows]) == 4


async def test_a_failure_is_that_of_all_equal_rows(journal: dict[str, Any]) -> None:
    invalid = Ask("item=1 hello", top_p="x")  # type: ignore[arg-type]
    given = ["item=0 hello", "item=9 hello", "item=0 hello", invalid, invalid, "item=0 hello", "item=9 hello"]
    async with counting(lambda asked: None if asked.item else INVALID) as (server, client):
        batch = client.map(MODEL, given, max_tokens=50, dedupe=True, ordered=True, concurrency=2, **journal)
        rows = await rows_of(batch)
        kinds = [None if row.error is None else type(row.error) for row in rows]
        refused, wrong = errors.ValidationFailed, errors.RowInvalid
        assert kinds == [refused, None, refused, wrong, wrong, refused, None]
        assert [str(rows[index].error).partition(":")[0] for index in (3, 4)] == [
            "prompts[3].top_p",
            "prompts[4].top_p",
        ]
        assert server.asked == {0: 1, 9: 1}
        assert batch.progress.failed == 5


async def test_values_of_each_are_those_of_all_equal_rows(journal: dict[str, Any]) -> None:
    async def read(stream: Stream) -> str:
        return (await stream.response()).text

    async with counting() as (server, client):
        rows = await rows_of(client.map(MODEL, ["item=0 hello"] * 3, each=read, dedupe=True, **journal))
        assert [row.value for row in rows] == ["answer=0;"] * 3
        assert server.asked == {0: 1}


async def test_after_a_stop_equal_rows_are_found_in_the_journal(tmp_path: Path) -> None:
    items = [0, 0, 1, 2, 1, 3, 3, 0, 4]
    given: list[Any] = [Ask(f"item={item} hello", key=f"row-{index}") for index, item in enumerate(items)]
    options: dict[str, Any] = {"max_tokens": 50, "dedupe": True, "journal": tmp_path / "run.jsonl"}
    async with counting(prices=PRICES) as (server, client):
        rows: list[Row] = []
        with pytest.raises(errors.BatchStopped):
            await read_into(rows, client.map(MODEL, given, concurrency=1, stop=Stop(rows=2), **options))
        assert len(rows) == 3
        batch = client.map(MODEL, [*reversed(given)], ordered=True, **options)
        rows = await rows_of(batch)
        check(rows, items[::-1])
        assert [row.key for row in rows] == [f"row-{index}" for index in reversed(range(9))]
        assert server.asked == dict.fromkeys(range(5), 1)
        assert batch.progress.cost == 5 * 12, "with what the first run paid"
        again = client.map(MODEL, given, **options)
        assert len(await rows_of(again)) == 9
        assert again.progress.reused == 9
        assert server.asked.total() == 5


@pytest.mark.parametrize("first", [False, True])
async def test_a_journal_without_dedupe_is_of_another_run(tmp_path: Path, first: bool) -> None:
    async with counting() as (server, client):
        path = tmp_path / "run.jsonl"
        await rows_of(client.map(MODEL, prompts(2), max_tokens=50, journal=path, dedupe=first))
        with pytest.raises(errors.JournalMismatch, match="one of the runs has dedupe= and the other has not"):
            await rows_of(client.map(MODEL, prompts(2), max_tokens=50, journal=path, dedupe=not first))
        assert server.asked.total() == 2


async def test_rows_that_wait_for_one_that_stays_open_stay_open(
    journal: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    async with counting(lambda asked: THROTTLED if asked.item else None) as (_, client):
        given = ["item=0 hello", *["item=1 hello"] * 4]
        options: dict[str, Any] = {"max_tokens": 50, "dedupe": True, "patience": 0.05, **journal}
        rows: list[Row] = []
        with pytest.raises(errors.BatchStopped, match="throttled") as caught:
            await read_into(rows, client.map(MODEL, given, **options))
        assert [row.index for row in rows] == [0]
        assert caught.value.progress.waiting == 0


async def test_dedupe_is_a_bool() -> None:
    async with counting() as (_, client):
        with pytest.raises(errors.ConfigurationError, match="dedupe: expected a bool, got 1"):
            client.map(MODEL, [], dedupe=1)  # type: ignore[arg-type]
