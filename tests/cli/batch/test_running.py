"""`batch`: every line of IN is one line of OUT, whatever becomes of the others, and whatever ends the process."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bedrock_stream import errors
from bedrock_stream.cli.batch import display
from bedrock_stream.transport import lanes
from tests.support.batch_files import Files, check_result, prompt_lines, started_batch
from tests.support.counting_server import CLAUDE, DENIED, INVALID, THROTTLED, Asked, CountingServer
from tests.support.exhaustive import exhaustive

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK")
    monkeypatch.setattr(lanes, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(lanes, "_LONGEST_PAUSE", 0.002)


@pytest.fixture
async def server() -> AsyncIterator[CountingServer]:
    async with CountingServer() as running:
        yield running


@pytest.fixture
def files(server: CountingServer, tmp_path: Path) -> Files:
    return Files(tmp_path, server)


# -------------------------------------------------------------------------------------------------------------- results


async def test_all_rows_are_in_out_and_the_journal_is_gone(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write(prompt_lines(12))
    assert await files.run() == 0
    check_result(files, 12)
    assert files.lines()[0].keys() == {"recordId", "modelInput", "modelOutput"}
    assert files.names() == {"in.jsonl", "out.jsonl", "out.jsonl.manifest.json"}
    assert {**files.manifest(), "cost": None} == {  # genai-prices knows one, if it is installed
        "totalRecordCount": 12, "processedRecordCount": 12, "successRecordCount": 12, "errorRecordCount": 0,
        "inputTokenCount": 60, "outputTokenCount": 84, "cost": None, "reused": 0, "pausedSeconds": 0.0, "paidAgain": 0,
    }  # fmt: skip
    written = capsys.readouterr()
    assert written.out == ""
    assert "12 of 12 done" in written.err


async def test_failed_rows_are_error_lines_and_their_input_can_be_asked_again(
    files: Files, server: CountingServer
) -> None:
    server.plan = lambda asked: INVALID if asked.item in (2, 7) else None
    rows = prompt_lines(10)
    files.write(rows)
    assert await files.run() == 3
    check_result(files, 10, failed=(2, 7))
    error = next(line for line in files.lines() if line["recordId"] == "r2")
    assert error["modelInput"] == {"prompt": "item=2 hello"}
    assert error["error"] == {
        "errorCode": 400,
        "errorMessage": "ValidationException (HTTP 400): ValidationException.",
        "errorType": "ValidationFailed",
        "retryable": False,
        "requestId": None,
    }
    assert sorted(files.lines(files.failed), key=lambda line: line["id"]) == [rows[2], rows[7]]
    assert files.manifest()["errorRecordCount"] == 2
    server.plan = None
    assert await files.run(source=str(files.failed), out=str(files.folder / "second.jsonl")) == 0
    assert await files.run(force=True) == 0
    assert not files.failed.exists()  # it was of the run before


@pytest.mark.parametrize("ordered", [False, True])
async def test_order_of_out(files: Files, server: CountingServer, ordered: bool) -> None:
    others = asyncio.Event()

    async def after_the_others() -> None:
        await others.wait()

    def plan(asked: Asked) -> Any:
        if asked.item == 5:
            others.set()
        return after_the_others() if asked.item == 0 else None

    server.plan = plan
    files.write(prompt_lines(6))
    assert await files.run(concurrency=6, ordered=ordered) == 0
    assert (files.lines()[0]["recordId"] == "r0") is ordered


async def test_without_input(files: Files) -> None:
    files.write(prompt_lines(2))
    assert await files.run(with_input=False) == 0
    assert {frozenset(line) for line in files.lines()} == {frozenset({"recordId", "modelOutput"})}


# ---------------------------------------------------------------------------------------------------------------- input


async def test_lines_without_an_id_get_one_of_their_number(files: Files) -> None:
    files.write([b"", *[{"prompt": f"item={index}"} for index in range(3)]])
    assert await files.run(ordered=True) == 0
    assert [line["recordId"] for line in files.lines()] == ["L0000000002", "L0000000003", "L0000000004"]


async def test_compressed_lines(files: Files) -> None:
    files.write(prompt_lines(4))
    files.source.write_bytes(gzip.compress(files.source.read_bytes()))
    assert await files.run() == 0
    check_result(files, 4)


async def test_a_compressed_file_that_is_cut_off_stops_the_run(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(prompt_lines(2000))
    files.source.write_bytes(gzip.compress(files.source.read_bytes())[:-20])
    assert await files.run() == 4
    assert "in.jsonl cannot be read: Compressed file ended" in capsys.readouterr().err
    assert not files.out.exists()


async def test_stdin(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write(prompt_lines(4))
    with files.source.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert await files.run(source="-") == 0
    check_result(files, 4)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{not json", "line 4: is not valid JSON"),
        (b"[1, 2]", "line 4: expected a JSON object"),
        (b"null", "line 4: expected a JSON object"),
        (b'{"something": 1}', "line 4, prompt: is missing"),
        (b'{"prompt": "\xff", "id": "x"}', "line 4: is not valid UTF-8"),
        (b'{"prompt": "  ", "id": "x"}', "line 4: expected text that is not blank"),
        (b'{"prompt": 5, "id": "x"}', "line 4, prompt: expected text"),
        (b'{"prompt": "x", "id": "r1"}', "line 4: has the key 'r1' of an earlier row"),
        (b'{"prompt": "x", "id": [1]}', "line 4, id: expected text"),
        (b'{"prompt": "x", "temprature": 1}', "line 4, temprature: is not an option"),
        (b'{"prompt": "x", "api_key": "ABSKsecret"}', "line 4, api_key: is not an option"),
        (b'{"prompt": "x", "temperature": "hot"}', "line 4.temperature: expected"),
        (b'{"prompt": "%s"}' % (b"x" * 20_000_000), "line 4: has 20000014 bytes"),
        (b"[" * 3000, "line 4: "),
    ],
    ids=range(14),
)
async def test_a_bad_line_is_an_error_line_with_its_number(
    files: Files, server: CountingServer, line: bytes, words: str
) -> None:
    files.write([*prompt_lines(3), line, *prompt_lines(3, start=3)])
    assert await files.run(concurrency=1) == 3
    assert sum(server.asked.values()) == 6
    (error,) = [one["error"] for one in files.lines() if "error" in one]
    assert error["errorMessage"].startswith(words)
    assert (error["errorCode"], error["errorType"]) == (400, "RowInvalid")
    assert "ABSKsecret" not in error["errorMessage"]
    if len(line) < 20_000_000:
        assert files.failed.read_bytes() == line + b"\n"


async def test_nothing_in_in(files: Files) -> None:
    files.write([b"", b"  "])
    assert await files.run() == 0
    assert files.out.read_bytes() == b""


async def test_rows_of_a_native_body_are_answered_in_the_models_own_json(files: Files) -> None:
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "item=0"}],
    }
    files.write([{"recordId": "r0", "modelInput": body}])
    assert await files.run(model=CLAUDE, options={}) == 0
    (line,) = files.lines()
    assert line["modelInput"] == body
    assert line["modelOutput"]["content"] == [{"type": "text", "text": "answer=0;"}]
    assert files.manifest()["outputTokenCount"] == 7


async def test_each_line_may_name_its_model(files: Files, server: CountingServer) -> None:
    files.write([b"{", *[{**line, "model": "amazon.nova-pro-v1:0"} for line in prompt_lines(2)], *prompt_lines(1, 2)])
    assert await files.run(model=None, ordered=True) == 3
    first, *rows, last = files.lines()
    assert "error" in first
    assert all("modelOutput" in row for row in rows)
    assert last["error"]["errorMessage"] == "line 4, model: is missing; pass --model"


# --------------------------------------------------------------------------------------------------- misuse, other runs


async def test_what_exists_is_not_overwritten(files: Files, server: CountingServer) -> None:
    files.write(prompt_lines(2))
    files.out.write_text("mine")
    with pytest.raises(errors.ConfigurationError, match="exists; pass --force"):
        await files.run()
    assert files.out.read_text() == "mine"
    assert not server.asked
    assert await files.run(force=True) == 0
    check_result(files, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "nowhere.jsonl"}, "IN: cannot read nowhere.jsonl"),
        ({"source": "x.parquet"}, "ray.data.read_parquet"),
        ({"out": "/nowhere/out.jsonl"}, "does not exist"),
        ({"out": "-"}, "expected a file"),
        ({"out": "IN"}, "the same file as IN"),
        ({"model": None}, "pass --model"),
        ({"model": " "}, "--model: expected a model id"),
        ({"format": "xml"}, "--format: expected auto, bedrock"),
        ({"invocation": "Invoke"}, "--invocation-type: expected InvokeModel or Converse"),
        ({"concurrency": 0}, "--concurrency: expected a positive number"),
        ({"redis": "redis://localhost"}, "--redis: has no limit to share"),
        ({"rpm": -1.0}, "Quota.rpm: expected a positive number"),
        ({"max_cost": 1.0}, "has no price"),
        ({"max_failures": 0}, "Stop.failures"),
        ({"prices": "nowhere.json"}, "--prices: cannot read nowhere.json"),
        ({"options": {"temperature": 7}}, "temperature"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_misuse_is_told_and_nothing_is_sent(
    files: Files, server: CountingServer, changes: dict[str, Any], words: str
) -> None:
    files.write(prompt_lines(2))
    changes = {**changes, **({"out": str(files.source)} if changes.get("out") == "IN" else {})}
    with pytest.raises(errors.ConfigurationError) as caught:
        await files.run(**changes)
    assert words in str(caught.value)
    assert not server.asked
    assert not files.out.exists()


async def test_a_journal_that_cannot_be_written_is_misuse(files: Files, server: CountingServer) -> None:
    files.write(prompt_lines(2))
    files.partial.mkdir()
    with pytest.raises(errors.ConfigurationError, match=r"OUT: cannot write .*out.jsonl.partial: "):
        await files.run()
    assert not server.asked


async def test_the_journal_of_another_run_is_kept(files: Files, server: CountingServer) -> None:
    files.write(prompt_lines(6))
    assert await files.run(max_output_tokens=7, concurrency=1) == 4
    kept = files.partial.read_bytes()
    with pytest.raises(errors.ConfigurationError, match="max_tokens differ; pass the same options"):
        await files.run(options={"max_tokens": 60})
    assert files.partial.read_bytes() == kept


async def test_a_second_run_of_the_same_files_is_refused(files: Files, server: CountingServer) -> None:
    ready, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        ready.set()
        await go.wait()

    server.plan = lambda _: wait()
    files.write(prompt_lines(2))
    first = asyncio.create_task(files.run())
    await ready.wait()
    with pytest.raises(errors.JournalBusy):
        await files.run()
    go.set()
    assert await first == 0
    check_result(files, 2)


# ---------------------------------------------------------------------------------------------------- ends and resuming


async def test_a_ceiling_stops_the_run_and_the_same_command_goes_on(
    files: Files, server: CountingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write(prompt_lines(10))
    assert await files.run(max_output_tokens=21, concurrency=1) == 4
    assert "run the same command again to go on" in capsys.readouterr().err
    assert files.names() == {"in.jsonl", "out.jsonl.partial"}
    assert await files.run() == 0
    check_result(files, 10)
    assert set(server.asked.values()) == {1}
    assert files.manifest()["reused"] == 3


async def test_max_cost_by_a_price_table(files: Files) -> None:
    prices = files.folder / "prices.json"
    prices.write_text(json.dumps({"amazon.nova-lite-v1:0": {"input": 0, "output": 1_000_000}}))
    files.write(prompt_lines(10))
    assert await files.run(max_cost=20, prices=str(prices), concurrency=1) == 4
    assert await files.run(prices=str(prices)) == 0
    assert files.manifest()["cost"] == 70


async def test_patience_ends_and_rows_stay_open(files: Files, server: CountingServer) -> None:
    server.plan = lambda _: THROTTLED
    files.write(prompt_lines(3))
    assert await files.run(patience=0.01) == 4
    server.plan = None
    assert await files.run() == 0
    check_result(files, 3)


async def test_throttled_rows_wait(files: Files, server: CountingServer) -> None:
    server.plan = lambda asked: THROTTLED if asked.nth == 1 else None
    files.write(prompt_lines(8))
    assert await files.run() == 0
    check_result(files, 8)


async def test_failed_rows_are_asked_again_only_if_told(files: Files, server: CountingServer) -> None:
    server.plan = lambda asked: INVALID if asked.item == 0 else None
    files.write(prompt_lines(4))
    assert await files.run(max_output_tokens=1, concurrency=1) == 4
    server.plan = None
    assert await files.run(max_output_tokens=1, concurrency=1) == 4
    assert server.asked[0] == 1
    assert await files.run(retry_failed=True) == 0
    check_result(files, 4)
    assert server.asked[0] == 2


async def test_equal_rows_are_asked_once_only_if_told(files: Files, server: CountingServer) -> None:
    files.write([{"id": f"row-{index}", "prompt": f"item={index % 2} hello"} for index in range(6)])
    assert await files.run(dedupe=True, ordered=True) == 0
    assert server.asked == {0: 1, 1: 1}
    assert [line["recordId"] for line in files.lines()] == [f"row-{index}" for index in range(6)]
    assert (files.manifest()["reused"], files.manifest()["outputTokenCount"]) == (4, 14)
    assert await files.run(force=True) == 0
    assert server.asked == {0: 4, 1: 4}


@on_posix
async def test_one_interrupt_lets_the_rows_in_flight_end(
    files: Files, server: CountingServer, capsys: pytest.CaptureFixture[str]
) -> None:
    ready, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        ready.set()
        await go.wait()

    server.plan = lambda _: wait()
    files.write(prompt_lines(40))
    run = asyncio.create_task(files.run())
    await ready.wait()
    os.kill(os.getpid(), signal.SIGINT)
    while "no more rows are started" not in capsys.readouterr().err:
        await asyncio.sleep(0)
    go.set()
    assert await run == 4
    asked = {*server.asked}
    assert 1 <= len(asked) <= 5
    assert len(files.lines(files.partial)) == 1 + len(asked)
    server.plan = None
    assert await files.run() == 0
    check_result(files, 40)
    assert set(server.asked.values()) == {1}


@on_posix
async def test_two_interrupts_stop_at_once(files: Files, server: CountingServer) -> None:
    ready = asyncio.Event()

    async def hang() -> None:
        ready.set()
        await asyncio.Event().wait()

    server.plan = lambda asked: hang() if asked.item == 3 else None
    files.write(prompt_lines(4))
    run = asyncio.create_task(files.run(concurrency=1))
    await ready.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    assert await run == 4
    assert len(files.lines(files.partial)) == 1 + 3


async def test_missing_credentials_are_told_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    files.write(prompt_lines(3))
    with pytest.raises(errors.MissingCredentials):
        await files.run()
    assert files.names() == {"in.jsonl", "out.jsonl.partial"}


@on_posix
async def test_an_interrupt_while_stdin_is_silent(files: Files, server: CountingServer) -> None:
    reader, writer = os.pipe()
    os.write(writer, json.dumps(prompt_lines(1)[0]).encode() + b"\n")
    files.source = Path("-")
    async with started_batch(files, stdin=reader) as process:
        while not server.asked:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 20)
    os.close(reader)
    os.close(writer)
    assert process.returncode == 4
    assert b"stopped: SIGINT" in err


async def test_refusals_of_the_key_stop_the_run(files: Files, server: CountingServer) -> None:
    server.plan = lambda _: DENIED
    files.write(prompt_lines(60))
    assert await files.run() == 4
    assert sum(server.asked.values()) <= 25


async def test_a_torn_last_record_is_asked_again(files: Files, server: CountingServer) -> None:
    rows = prompt_lines(3)
    files.write(rows)
    assert await files.run(max_output_tokens=14, concurrency=1) == 4
    whole = files.partial.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    sizes = range(start, len(whole) + 1)
    for size in sizes[:: max(1, len(sizes) // exhaustive(whole=len(sizes), part=8))]:
        server.asked.clear()
        files.partial.write_bytes(whole[:size])
        assert await files.run(force=True) == 0
        check_result(files, 3)
        assert sum(server.asked.values()) == (1 if size == len(whole) else 2)


@on_posix
@pytest.mark.parametrize("limit", [2500, 6000])
async def test_a_full_disk_stops_the_run_and_loses_nothing(files: Files, server: CountingServer, limit: int) -> None:
    files.write({**line, "system": "x" * 300} for line in prompt_lines(12))

    import resource

    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    async with started_batch(files, "--concurrency", "2", before=before) as process:
        _, err = await process.communicate()
    assert process.returncode == 4, err
    assert b"cannot be written: " in err
    assert b"File too large" in err
    assert not files.out.exists()
    recorded = files.partial.read_bytes().count(b'"status":"ok"')
    assert await files.run() == 0
    check_result(files, 12)
    assert sum(server.asked.values()) - 12 <= 2
    assert files.manifest()["reused"] in (recorded, recorded - 1)  # the last record may be torn


# ------------------------------------------------------------------------------------------------------------- progress


async def test_progress_as_json(
    files: Files, server: CountingServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "_TICK", 0.001)
    monkeypatch.setattr(display._JsonLines, "interval", 0.001)
    go = asyncio.Event()

    async def wait() -> None:
        await go.wait()

    server.plan = lambda asked: wait() if asked.item == 3 else None
    files.write(prompt_lines(4))
    run = asyncio.create_task(files.run(as_json=True))
    seen = ""
    while '"done":3' not in seen or '"total":4' not in seen:
        await asyncio.sleep(0.001)
        seen += capsys.readouterr().out
    go.set()
    assert await run == 0
    written = capsys.readouterr()
    assert written.err == ""
    documents = [json.loads(line) for line in (seen + written.out).splitlines()]
    assert [one["done"] for one in documents] == sorted(one["done"] for one in documents)
    assert (documents[-1]["done"], documents[-1]["total"]) == (4, 4)


async def test_a_bar_on_a_terminal(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    monkeypatch.setattr(display, "_TICK", 0.001)
    monkeypatch.setattr(display._Bar, "interval", 0.001)
    files.write(prompt_lines(30))
    assert await files.run(concurrency=1) == 0
    assert "\x1b[?25l" in screen.getvalue()
    assert screen.getvalue().rstrip("\n").splitlines()[-1].partition("30 of 30 done, ")[1]
