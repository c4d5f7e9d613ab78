"""`ask` on a real Ray: what each row gets, and what survives the death of an actor and of the driver."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.integrations.ray.conftest import SECRET
from tests.support.counting_server import CLAUDE, DENIED, INVALID, MODEL
from tests.support.counting_thread import CountingThread

pytest.importorskip("ray")

from bedrock_stream import Client, Journal
from bedrock_stream.errors import ConfigurationError
from bedrock_stream.integrations.ray import Asker, RayQuota, ask
from bedrock_stream.integrations.ray.columns import COLUMNS

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.filterwarnings("default"),  # Ray's own, in the driver
]

TOLD: dict[str, Any] = {"model": MODEL, "prompt": "question", "key": "id", "max_tokens": 50}


DRIVER = f"""
import json, sys
import ray, ray.data
from bedrock_stream.integrations.ray import ask
address, journal, out = sys.argv[1:]
ray.init(address=address, logging_level="ERROR", log_to_driver=False)
items = [{{"id": f"r{{index}}", "question": f"item={{index}} hello"}} for index in range(600)]
ds = ask(ray.data.from_items(items, override_num_blocks=12), **{TOLD}, concurrency=20, journal=journal)
with open(out, "w") as file:
    json.dump(ds.take_all(), file)
"""


def dataset(ray: Any, count: int, blocks: int) -> Any:
    rows = [{"id": f"r{index}", "question": f"item={index} hello"} for index in range(count)]
    return ray.data.from_items(rows, override_num_blocks=blocks)


def check_rows(rows: list[dict[str, Any]], count: int, failed: tuple[int, ...] = ()) -> None:
    """Check that each row came once, with its own answer or its error."""
    assert Counter(row["id"] for row in rows) == Counter(f"r{index}" for index in range(count))
    for row in rows:
        index = int(row["id"][1:])
        if index in failed:
            assert row["text"] is None
            assert row["error"]
        else:
            assert (row["text"], row["error"]) == (f"answer={index};", None)


def test_each_row_has_its_answer_or_its_error(ray: Any, service: CountingThread) -> None:
    service.begin(lambda asked: INVALID if asked.item == 7 else None)
    rows = ask(dataset(ray, 100, 4), **TOLD, concurrency=10, response="json").take_all()
    check_rows(rows, 100, failed=(7,))
    assert list(rows[0]) == ["id", "question", *COLUMNS, "response"]
    bad = next(row for row in rows if row["error"])
    assert (bad["error_type"], bad["retryable"], bad["output_tokens"]) == ("ValidationFailed", False, None)
    good = next(row for row in rows if not row["error"])
    assert (good["input_tokens"], good["output_tokens"], good["stop_reason"]) == (5, 7, "end_turn")
    assert json.loads(good["response"])["text"] == good["text"]
    assert service.again() == 0
    assert service.peak <= 20


def test_rows_that_cannot_be_sent_are_error_rows(ray: Any, service: CountingThread) -> None:
    def prompt(row: dict[str, Any]) -> Any:
        if row["id"] == 3:
            raise LookupError("no prompt")
        return None if row["id"] == 4 else " " if row["id"] == 5 else f"item={row['id']} hello"

    rows = ask(ray.data.range(8), model=MODEL, prompt=prompt, key="id", workers=1, max_tokens=50).take_all()
    assert {row["id"]: row["error_type"] for row in rows if row["error"]} == dict.fromkeys((3, 4, 5), "RowInvalid")
    assert sorted(service.asked) == [0, 1, 2, 6, 7]


def test_bodies_are_sent_as_they_are(ray: Any, service: CountingThread) -> None:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []}
    items = [{"id": index, "body": json.dumps({**body, "system": f"item={index}"})} for index in range(3)]
    items.append({"id": 3, "body": "{"})
    texts = ["answer=0;", "answer=1;", "answer=2;", None]
    rows = ask(ray.data.from_items(items), model=CLAUDE, body="body", workers=1, response="json").take_all()
    rows.sort(key=lambda row: row["id"])
    assert [row["text"] for row in rows] == texts
    assert {row["error_type"] for row in rows} == {None, "RowInvalid"}
    assert (rows[0]["input_tokens"], rows[0]["output_tokens"]) == (5, 7)


def test_a_slow_row_holds_up_no_other_row(ray: Any, service: CountingThread) -> None:
    release = asyncio.Event()

    async def hang() -> None:
        await release.wait()

    service.begin(lambda asked: hang() if asked.item == 3 else None)
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(ask(dataset(ray, 200, 4), **TOLD, workers=1, concurrency=20).take_all)
        try:
            service.wait_until_idle_but(1, asked=200)
        finally:
            service.call(release.set)
        check_rows(rows.result(60), 200)


def test_a_dead_actor_costs_what_it_had_in_flight(ray: Any, service: CountingThread, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()

    def prompt(row: dict[str, Any]) -> str:
        (pids / str(os.getpid())).touch()
        return str(row["question"])

    told = {**TOLD, "prompt": prompt, "concurrency": 20, "journal": tmp_path / "journal"}
    service.begin(delay=0.05)
    with ThreadPoolExecutor(1) as pool:
        rows = pool.submit(ask(dataset(ray, 600, 12), **told).take_all)
        service.wait_until_asked(200)
        os.kill(int(next(pids.iterdir()).name), signal.SIGKILL)
        check_rows(rows.result(120), 600)
    assert len(service.asked) == 600
    assert service.again() <= 20
    service.begin()
    check_rows(ask(dataset(ray, 600, 5), **told).take_all(), 600)
    assert service.total == 0


def test_a_driver_that_is_killed_and_started_again_asks_the_rest(
    ray: Any, service: CountingThread, tmp_path: Path
) -> None:
    service.begin(delay=0.05)
    command = [sys.executable, "-c", DRIVER, ray.get_runtime_context().gcs_address]
    command += [str(tmp_path / "journal"), str(tmp_path / "rows")]
    with subprocess.Popen(command) as driver:  # noqa: S603 - our own code
        service.wait_until_asked(200)
        driver.kill()
    subprocess.run(command, check=True, timeout=100)  # noqa: S603 - our own code
    check_rows(json.loads((tmp_path / "rows").read_text()), 600)
    assert len(service.asked) == 600
    assert service.again() <= 2 * 20


def test_a_journal_in_a_store_of_objects_has_a_part_for_each_block(
    ray: Any, service: CountingThread, tmp_path: Path
) -> None:
    told = {**TOLD, "concurrency": 10, "journal": f"file://{tmp_path}/run"}
    check_rows(ask(dataset(ray, 100, 5), **told).take_all(), 100)
    parts = sorted((tmp_path / "run").iterdir())
    assert 2 <= len(parts) < 100
    lines = [line for part in parts for line in part.read_text().splitlines()]
    assert sum(line.startswith('{"key"') for line in lines) == 100
    assert all(part.read_text().startswith('{"journal"') for part in parts)
    check_rows(ask(dataset(ray, 110, 4), **told).take_all(), 110)
    assert service.total == 110


def test_blocks_that_begin_at_once_copy_each_part_once(
    ray: Any, service: CountingThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyarrow: Any = pytest.importorskip("pyarrow")

    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    told = {**TOLD, "journal": f"file://{tmp_path}/run"}
    check_rows(ask(dataset(ray, 10, 1), **told, workers=1).take_all(), 10)
    (part,) = (tmp_path / "run").iterdir()
    for index in range(200):
        shutil.copy(part, part.with_name(f"other-{index:03d}.jsonl"))

    async def block(asker: Asker, first: int) -> list[dict[str, Any]]:
        rows = [{"id": f"r{index}", "question": f"item={index} hello"} for index in (first, first + 1)]
        return [row async for block in asker(pyarrow.Table.from_pylist(rows)) for row in block.to_pylist()]

    async def main() -> list[dict[str, Any]]:
        asker = Asker(**told, client=lambda: Client(api_key="other", endpoint_url=service.url))
        blocks = await asyncio.gather(*(block(asker, first) for first in range(0, 20, 2)))
        return [row for rows in blocks for row in rows]

    check_rows(asyncio.run(main()), 20)
    assert service.total == 20
    assert len(list((tmp_path / "run").iterdir())) > 201
    gc.collect()  # the actor ends with its object
    assert not any(copies.iterdir())


def test_what_is_pickled_has_no_key(ray: Any, service: CountingThread) -> None:
    def prompt(row: dict[str, Any]) -> str:
        return f"item={row['id']} hello"

    told = {**TOLD, "prompt": prompt, "quota": RayQuota("pickled", rpm=6000)}
    ds = ask(ray.data.range(20), **told, workers=1)
    pickled = ds.serialize_lineage()
    assert b"pickled" in pickled
    assert SECRET.encode() not in pickled
    assert {row["error"] for row in ds.take_all()} == {None}
    with pytest.raises(ConfigurationError, match="api_key: would send credentials to the actors"):
        ask(ray.data.range(20), **told, api_key=SECRET)


def test_actors_share_a_quota(ray: Any, service: CountingThread) -> None:
    quota = RayQuota("shared", rpm=6000, burst=0.01)
    began = monotonic()
    check_rows(ask(dataset(ray, 260, 8), **TOLD, concurrency=30, quota=quota).take_all(), 260)
    assert monotonic() - began >= 2  # 60 at once, and 100 a second
    with pytest.raises(ConfigurationError, match="in use with other limits"):
        ask(dataset(ray, 1, 1), **TOLD, quota=RayQuota("shared", rpm=600))


def test_a_quota_that_is_lost_begins_anew(ray: Any, service: CountingThread) -> None:
    quota = RayQuota("lost", rpm=6000)
    quota.start()
    ray.kill(ray.get_actor("quota lost", namespace="bedrock_stream"))
    reservation = asyncio.run(quota.reserve(5))
    assert reservation.tokens == 5


def test_a_cancelled_wait_for_a_quota_gives_back(ray: Any, service: CountingThread) -> None:
    quota = RayQuota("cancelled", rpm=60, burst=1 / 60)

    async def use() -> None:
        await quota.reserve(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await quota.reserve(0)
        async with asyncio.timeout(10):
            await quota.reserve(0)

    asyncio.run(use())


def test_a_wrong_key_stops_the_job(ray: Any, service: CountingThread) -> None:
    service.begin(lambda asked: DENIED)
    with pytest.raises(Exception, match="the first 20 rows failed with AccessDenied"):
        ask(dataset(ray, 300, 30), **TOLD, workers=1, concurrency=5).take_all()
    assert service.total <= 30


def test_a_journal_of_another_run_stops_the_job(ray: Any, service: CountingThread, tmp_path: Path) -> None:
    told = {**TOLD, "workers": 1, "journal": Journal(tmp_path)}
    check_rows(ask(dataset(ray, 5, 1), **told).take_all(), 5)
    with pytest.raises(Exception, match="max_tokens differ"):
        ask(dataset(ray, 5, 1), **{**told, "max_tokens": 60}).take_all()
    assert service.total == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_more_workers_than_cpus_leave_one_for_the_input(ray: Any, service: CountingThread) -> None:
    ds = ask(ray.data.range(60), model=MODEL, prompt=lambda row: f"item={row['id']} hello", workers=3, max_tokens=50)
    assert len(ds.take_all()) == 60


def test_large_blocks_are_split(ray: Any, service: CountingThread) -> None:
    ds = ask(dataset(ray, 90, 1), **TOLD, workers=1, block_rows=30).materialize()
    assert ds.num_blocks() == 3
    check_rows(ds.take_all(), 90)


def test_a_column_that_would_be_lost_stops_the_job(ray: Any, service: CountingThread) -> None:
    with pytest.raises(Exception, match="has a column 'cost' already"):
        items = [{"question": "item=1 hello", "cost": 1}]
        ask(ray.data.from_items(items), model=MODEL, prompt="question", workers=1).take_all()
    assert service.total == 0


def test_a_column_that_is_missing_stops_the_job(ray: Any, service: CountingThread) -> None:
    with pytest.raises(Exception, match="has no column 'prompt'"):
        ask(dataset(ray, 1, 1), model=MODEL, prompt="prompt", workers=1).take_all()
    assert service.total == 0


def test_an_asker_can_be_used_without_ask(ray: Any, service: CountingThread) -> None:
    ds = dataset(ray, 20, 2).map_batches(
        Asker, batch_size=None, batch_format="pyarrow", concurrency=1, num_cpus=0.5, fn_constructor_kwargs=TOLD
    )
    check_rows(ds.take_all(), 20)


def test_a_client_of_its_own(ray: Any, service: CountingThread) -> None:
    url = service.url

    def client() -> Any:
        from bedrock_stream import Client, Price

        return Client(api_key="other", endpoint_url=url, prices={MODEL: Price(input=1.0, output=1.0)})

    rows = ask(dataset(ray, 5, 1), **TOLD, workers=1, client=client).take_all()
    assert rows[0]["cost"] > 0
