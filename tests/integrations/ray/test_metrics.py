"""The metrics of an actor's batch, as it tells them to Ray."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.counting_server import INVALID, MODEL, refusal
from tests.support.counting_thread import CountingThread

pytest.importorskip("ray")

from bedrock_stream import observing
from bedrock_stream.integrations.ray import Asker, RayQuota
from bedrock_stream.integrations.ray import metrics as ray_metrics

pytestmark = [pytest.mark.timeout(150), pytest.mark.filterwarnings("default")]  # Ray's own, in the driver

NAMES = {
    "rows", "in_flight", "window", "paused_seconds", "quota_wait_seconds", "quota_reserved_tokens",
    "quota_settled_tokens", "journal_sync_seconds",
}  # fmt: skip


Told: TypeAlias = dict[str, list[tuple[float, dict[str, str]]]]
"""Values with their tags, by the name of the metric."""


class Measured:
    """An actor that asks the same block twice, and notes what Ray's own metrics are told in its process."""

    def __init__(self) -> None:
        from ray.util import metrics

        self._told: Told = defaultdict(list)
        for kind, name in ((metrics.Counter, "inc"), (metrics.Gauge, "set"), (metrics.Histogram, "observe")):
            setattr(kind, name, self._noting(getattr(kind, name)))
        ray_metrics._LEVEL_SECONDS = 0.01

    def _noting(self, method: Any) -> Any:
        def note(metric: Any, value: float, tags: dict[str, str]) -> None:
            method(metric, value, tags)  # raises for what it cannot take
            name = metric.info["name"]
            assert re.fullmatch(r"[a-z_]+", name), "else Ray discards it"
            self._told[name.removeprefix("bedrock_stream_batch_")].append((value, tags))

        return note

    async def ask(self, questions: list[str], options: dict[str, Any]) -> tuple[list[list[str | None]], Told]:
        asker = Asker(MODEL, prompt="question", max_tokens=50, **options)
        table = pytest.importorskip("pyarrow").table({"question": questions})
        blocks = [block async for block in asker(table)]
        blocks += [block async for block in asker(table)]
        del asker
        assert not observing.observers, "it ends with the batch"
        return [block.column("text").to_pylist() for block in blocks], dict(self._told)


def test_a_batch_is_measured(ray: Any, service: CountingThread, tmp_path: Path) -> None:
    slow = refusal(429, "ThrottlingException", headers=b"retry-after: 1\r\n")
    service.begin(lambda asked: INVALID if asked.item == 7 else slow if asked.number == 3 else None)
    quota = RayQuota("measured", rpm=100_000, tpm=10_000_000)
    options = {"quota": quota, "journal": tmp_path / "run", "concurrency": 4}
    actor = ray.remote(Measured).options(num_cpus=0).remote()
    (first, again), told = ray.get(actor.ask.remote([f"item={index} hello" for index in range(20)], options))
    assert first == again
    assert first.count(None) == 1

    assert set(told) == NAMES
    assert {tags["model"] for values in told.values() for _, tags in values} == {MODEL}
    assert Counter(tags["outcome"] for _, tags in told["rows"]) == {"ok": 19, "failed": 1, "reused": 20}
    assert sum(value for value, _ in told["paused_seconds"]) >= 1
    assert told["in_flight"][-1][0] == 0
    assert len(told["window"]) > 1, "levels are set again and again"
    assert len(told["quota_wait_seconds"]) == service.total
    assert sum(value for value, _ in told["quota_settled_tokens"]) == 19 * 12
    assert sum(value for value, _ in told["quota_reserved_tokens"]) >= service.total * 50
