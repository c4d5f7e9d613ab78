"""A batch is one span, to which those of its rows link, and its metrics are those of the documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from bedrock_stream import Ask, Client, Quota, Stop, Stream, errors
from bedrock_stream.batch.journal import Journal
from bedrock_stream.observing import Subject
from bedrock_stream.testing import Emulator, http_error, text
from tests.integrations.test_otel import NOVA, Scope, client_of, scope

__all__ = ("scope",)


@pytest.fixture
async def client(emulator: Emulator, scope: Scope) -> AsyncIterator[Client]:
    async with client_of(emulator, scope.observer()) as client:
        yield client


def levels(scope: Scope, name: str) -> list[Any]:
    return [point.value for point in scope.points(f"bedrock_stream.batch.{name}")]


def outcomes(scope: Scope) -> dict[str, int]:
    points = scope.points("bedrock_stream.batch.rows")
    assert all(point.attributes["gen_ai.request.model"] == NOVA for point in points)
    return {point.attributes["outcome"]: point.value for point in points}


async def test_rows_are_traces_of_their_own_that_link_to_the_span_of_the_batch(client: Client, scope: Scope) -> None:
    prompts = [Ask("One", key="first"), "Two"]
    with scope.tracers.get_tracer("app").start_as_current_span("job") as job:
        async with client.map(NOVA, prompts, max_tokens=10) as rows:
            found = [row async for row in rows]
        await client.generate(NOVA, "Not of the batch")
    *calls, batch, alone, _ = sorted(scope.spans, key=lambda span: span.end_time or 0)
    assert batch.name == f"batch {NOVA}"
    assert batch.parent == job.get_span_context()
    assert batch.status.status_code is StatusCode.UNSET
    attributes = dict(batch.attributes or {})
    assert (attributes["bedrock_stream.batch.done"], attributes["bedrock_stream.batch.failed"]) == (2, 0)
    keys = {(span.attributes or {})["bedrock_stream.batch.key"] for span in calls}
    assert keys == {row.key for row in found}
    assert "first" in keys
    for span in calls:
        assert span.parent is None
        assert [link.context for link in span.links] == [batch.context]
    assert "bedrock_stream.batch.key" not in (alone.attributes or {})
    assert alone.parent == job.get_span_context()


async def test_a_span_within_each_is_the_parent_of_calls_within_it(client: Client, scope: Scope) -> None:
    async def each(stream: Stream) -> str:
        with scope.tracers.get_tracer("app").start_as_current_span("step"):
            await client.generate(NOVA, "More")
        return (await stream.response()).text

    async with client.map(NOVA, ["One"], each=each) as rows:
        assert [row.error async for row in rows] == [None]
    named = {span.name: span for span in scope.spans}
    inner = next(span for span in scope.spans if span.parent == named["step"].context)
    assert [link.context for link in inner.links] == [named[f"batch {NOVA}"].context]


async def test_metrics_of_rows_and_of_the_journal(
    emulator: Emulator, client: Client, scope: Scope, tmp_path: Path
) -> None:
    emulator.script(text("One"))
    emulator.script(http_error(400, "ValidationException"))

    async def run(prompts: list[str]) -> None:
        journal = Journal(tmp_path / "run.jsonl", sync=0)
        async with client.map(NOVA, prompts, concurrency=1, journal=journal) as rows:
            async for _ in rows:
                assert levels(scope, "window") == [1]
                assert levels(scope, "in_flight")[0] in (0, 1)

    await run(["One", "Two"])
    assert outcomes(scope) == {"ok": 1, "failed": 1}
    assert scope.points("bedrock_stream.batch.journal.sync")[0].count >= 2
    await run(["One", "Two", "Three"])
    assert outcomes(scope) == {"ok": 2, "failed": 1, "reused": 2}
    assert levels(scope, "window") == levels(scope, "in_flight") == []
    assert levels(scope, "paused") == [0.0]


async def test_pauses_are_counted(emulator: Emulator, client: Client, scope: Scope) -> None:
    emulator.script(http_error(429, "ThrottlingException", headers={"retry-after": "0.2"}))
    async with client.map(NOVA, ["One"]) as rows:
        assert [row.error async for row in rows] == [None]
        assert rows.progress.paused_seconds >= 0.2
    assert levels(scope, "paused")[0] >= 0.2
    (batch,) = [span for span in scope.spans if span.name.startswith("batch")]
    assert (batch.attributes or {})["bedrock_stream.batch.pauses"] == 1


async def test_quotas_of_rows_are_measured(emulator: Emulator, scope: Scope) -> None:
    quota = Quota(tpm=1_000_000)
    async with client_of(emulator, scope.observer(), quotas={"amazon": quota}) as client:
        async with client.map(NOVA, ["One", "Two"], max_tokens=10) as rows:
            assert [row.error async for row in rows] == [None, None]
        stats = client.stats().quotas["amazon"]
        await client.generate(NOVA, "Not of a batch", max_tokens=10)
    (wait,) = scope.points("bedrock_stream.batch.quota.wait")
    assert wait.count == 2
    assert levels(scope, "quota.reserved") == [stats.reserved]
    assert levels(scope, "quota.settled") == [stats.settled]
    assert stats.settled > 0


async def test_a_batch_that_stops_is_an_error_and_one_that_is_closed_is_not(client: Client, scope: Scope) -> None:
    with pytest.raises(errors.BatchStopped):
        async with client.map(NOVA, ["One", "Two"], concurrency=1, stop=Stop(rows=1)) as rows:
            async for _ in rows:
                pass
    async with client.map(NOVA, ["One", "Two"], concurrency=1) as rows:
        await anext(rows)
    stopped, closed = (span for span in scope.spans if span.name.startswith("batch"))
    assert (stopped.attributes or {})["error.type"] == "BatchStopped"
    assert stopped.status.status_code is StatusCode.ERROR
    assert closed.status.status_code is StatusCode.UNSET


async def test_what_an_observer_of_batches_raises_is_logged(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def watch(self, subject: Subject) -> None:
            keys.append(subject.batch_key)

        def watch_batch(self, batch: object) -> Broken | None:
            batches.append(batch)
            if len(batches) == 2:
                raise RuntimeError("no")
            return None if len(batches) == 3 else self

        def row(self, outcome: str, seconds: float) -> None:
            raise RuntimeError(outcome)

        def ended(self, error: BaseException | None) -> None:
            ends.append(error)

    keys: list[str | None] = []
    batches: list[object] = []
    ends: list[BaseException | None] = []
    async with client_of(emulator, None) as plain, client_of(emulator, Broken()) as observed:  # type: ignore[arg-type]
        for client in (plain, observed, observed, observed):
            async with client.map(NOVA, [Ask("One", key="k")]) as rows:
                assert [row.error async for row in rows] == [None]
    assert keys == ["k"] * 3
    assert ends == [None]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "an observer failed at 'row'",
        "an observer failed at 'watch_batch'",
    ]
