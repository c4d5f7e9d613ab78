"""Rows per second and CPU per row of a batch of whole answers, the cost of its journal, and its memory.

The server answers each row after 0.2 s (0.5 s with a thousand at once). Ours is `Client.map` with a journal, and once
without one; the window is learned within the measured time, from 16 on. The others ask with as many workers, threads
or, for langchain-aws, `abatch(max_concurrency=...)`, and have no journal. CPU is that of the process with all its
threads. "late" is the longest delay of a task that wakes every 5 ms, here mostly by answers that come together.

A record of the journal is written as in a batch, with its sync each second. A resume reads the keys of a journal. The
prompts of the last case come from a generator and are blank, so that each is a row that passes through everything but
the network; "grown" is the resident memory at the end minus that after the first percent. Cases of ours alone run once.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from bedrock_stream.batch.asking import Answer
from bedrock_stream.batch.asks import Ask
from bedrock_stream.batch.journal import Journal, Records
from bedrock_stream.batch.records import Header, encode_header, encode_record, header_of
from bedrock_stream.batch.rows import Row as BatchRow
from bedrock_stream.types.events import Usage
from bedrock_stream.types.messages import Message, Text
from bedrock_stream.types.response import Response

from .contenders import MODELS
from .measure import OURS, Lab, Row, Sample, Setting
from .orders import Order
from .reading import run
from .rows import NO_JOURNAL, WAYS, client_of

__all__ = ("ask", "trial")

_RATE, _CPU, _LATE = "rows/s", "ms CPU/row", "ms late"
_PEERS = ("aiobotocore", "boto3", "litellm", "langchain_aws")
_JOURNAL, _RESUME, _FLAT = "journal", "resume", "flat"
_LIMITS = {_JOURNAL: {"us CPU/row": 15.0}, _RESUME: {"s": 3.0, "MB": 120.0}, _FLAT: {"MB grown": 20.0}}
_SIZES = {_JOURNAL: (50_000, 100), _RESUME: (1_000_000, 1_000), _FLAT: (10_000_000, 2_000)}
_OPTIONS = {"max_tokens": 100}


def ask(lab: Lab) -> None:
    """Run the contenders, then the cases of ours alone."""
    hundred = Setting(
        case=f"{lab.pick(100, 5)} at once",
        url=lab.servers.plain,
        streams=lab.pick(100, 5),
        events=lab.pick(3000, 10),
        pace_ms=lab.pick(200, 1),
    )
    lab.race("batch", [OURS, *_PEERS], hundred, most={_CPU: 0.36})
    _add(lab, replace(hundred, keep=False), f"{hundred.case}, {NO_JOURNAL}", {})
    thousand = replace(hundred, streams=lab.pick(1000, 10), events=lab.pick(15_000, 20), pace_ms=lab.pick(500, 1))
    _add(lab, thousand, f"{thousand.streams} at once", {})
    for case, sizes in _SIZES.items():
        setting = Setting(case=case, url=lab.servers.plain, events=lab.pick(*sizes))
        _add(lab, setting, f"{case}, {setting.events} rows", _LIMITS[case])


def _add(lab: Lab, setting: Setting, case: str, most: dict[str, float]) -> None:
    sample = lab.trial("batch", setting)
    for unit, value in sample.figures.items():
        row = Row(question="batch", case=case, contender=OURS, unit=unit, value=value)
        lab.add(row, most=most.get(unit))


def trial(setting: Setting) -> Sample:
    """Run one case."""
    alone = {_JOURNAL: _write, _RESUME: _resume, _FLAT: _stay_flat}.get(setting.case)
    return run(setting, _ask_all(setting) if alone is None else alone(setting))


async def _ask_all(setting: Setting) -> Sample:
    way = WAYS[setting.contender if setting.keep else NO_JOURNAL]
    prompt = Order(5, wait_ms=setting.pace_ms).prompt()
    await way(setting, [Order(5).prompt()] * 10)  # warm
    gc.collect()
    heartbeat = asyncio.create_task(_measure_delay())
    wall, cpu = time.perf_counter(), time.process_time()
    texts = await way(setting, [prompt] * setting.events)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    heartbeat.cancel()
    figures = {_RATE: setting.events / wall, _CPU: cpu / setting.events * 1000}
    if setting.contender == OURS:  # the loop of the others may be blocked
        figures[_LATE] = _delays[-1]
    digest = hashlib.sha256("".join(sorted(set(texts))).encode()).hexdigest()[:16]
    return Sample(figures, digest, len(texts))


_delays = [0.0]  # the longest so far, in milliseconds


async def _measure_delay() -> None:
    while True:
        due = time.perf_counter() + 0.005
        await asyncio.sleep(0.005)
        _delays[-1] = max(_delays[-1], (time.perf_counter() - due) * 1000)


def _recorded(index: int) -> tuple[bytes, BatchRow, Answer]:
    """Return a row with an answer of 800 characters, and its key."""
    response = Response(message=Message("assistant", (Text("An answer. " * 73),)), stop_reason="end_turn")
    usage = Usage(input_tokens=200, output_tokens=180, total_tokens=380)
    key = _key(index)
    row = BatchRow(index=index, key=key.hex(), response=response, attempts=1, seconds=1.2)
    return key, row, Answer(response=response, usage=usage, cost=0.001, request_id="0" * 36)


async def _write(setting: Setting) -> Sample:
    """Measure a record of the journal, all of it: encoding, writing and, once a second, the sync."""
    ask = Ask("x")
    rows = [_recorded(index) for index in range(setting.events)]
    with tempfile.TemporaryDirectory() as folder:
        records = Records(Journal(Path(folder, "run.jsonl")), header_of(MODELS["converse"], _OPTIONS, each=False))
        await records.open(lambda error: None)
        wall, cpu = time.perf_counter(), time.process_time()
        for key, row, answer in rows:
            await records.write(key, ask, row, answer)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        await records.aclose()
    return Sample({"us CPU/row": cpu / setting.events * 1e6, "us/row": wall / setting.events * 1e6})


def _write_journal(path: Path, header: Header, count: int) -> None:
    _, row, answer = _recorded(0)
    before, _, after = encode_record(bytes(16), Ask("x"), row, answer).partition(b"0" * 32)
    with path.open("wb") as file:
        file.write(encode_header(header))
        for index in range(count):
            file.write(before + _key(index).hex().encode() + after)


def _key(index: int) -> bytes:
    return hashlib.blake2b(b"%d" % index, digest_size=16).digest()


async def _resume(setting: Setting) -> Sample:
    """Measure opening a journal with many records."""
    header = header_of(MODELS["converse"], _OPTIONS, each=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        _write_journal(path, header, setting.events)
        gc.collect()
        records = Records(Journal(path), header)
        resident = _resident()
        began = time.perf_counter()
        await records.open(lambda error: None)
        seconds = time.perf_counter() - began
        grown = _resident() - resident
        await records.aclose()
    return Sample({"s": seconds, "MB": grown})


async def _stay_flat(setting: Setting) -> Sample:
    """Measure the memory of a batch whose prompts come from a generator."""

    def prompts() -> Iterator[str]:
        for _ in range(setting.events):
            yield " "

    count, resident, began = 0, 0.0, time.perf_counter()
    async with client_of(setting.url) as client, client.map(MODELS["converse"], prompts(), max_tokens=100) as rows:
        async for _ in rows:
            count += 1
            if count == setting.events // 100:
                resident = _resident()
        grown = _resident() - resident
    return Sample({"MB grown": grown, "rows/s": count / (time.perf_counter() - began)})


def _resident() -> float:
    """Return the resident memory of this process in MB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the most so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return pages * resource.getpagesize() / 2**20
