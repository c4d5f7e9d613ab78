"""The recipes of the documentation run as they are, but for folders and the broker. Without the package: skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.counting_thread import CountingThread

RECIPES = Path(__file__).parents[2] / "docs" / "guides" / "recipes.md"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingThread]:
    with CountingThread() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", running.url)
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK")
        yield running


def run(monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, str]) -> Any:
    """Run a recipe with parts of it replaced. Return it as a module."""
    section = RECIPES.read_text(encoding="utf-8").split(f"## {name}\n")[1]
    text = section.split("```python\n")[1].split("```")[0]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    module = ModuleType("recipe")
    monkeypatch.setitem(sys.modules, "recipe", module)
    exec(compile(text, "recipe", "exec"), vars(module))  # noqa: S102 - it is ours
    return module


async def test_taskiq(service: CountingThread, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("taskiq")
    own = {
        "from taskiq_redis import RedisStreamBroker": "from taskiq import InMemoryBroker",
        'RedisStreamBroker("redis://cache:6379", idle_timeout=2 * 3600 * 1000)': "InMemoryBroker()",
    }
    recipe = run(monkeypatch, "taskiq", own)
    broker, answer = recipe.broker, recipe.answer
    await broker.startup()
    tasks = [await answer.kiq(f"item={index} hello") for index in range(5)]
    results = [await task.wait_result(timeout=20) for task in tasks]
    await broker.state.client.aclose()
    await broker.shutdown()
    assert [result.return_value for result in results] == [f"answer={index};" for index in range(5)]
    assert service.asked == dict.fromkeys(range(5), 1)


@pytest.mark.filterwarnings("default")  # its own, of pandas
def test_dask(service: CountingThread, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frames = pytest.importorskip("dask.dataframe")
    table = pytest.importorskip("pandas").DataFrame({"prompt": [f"item={index} hello" for index in range(20)]})
    frames.from_pandas(table, npartitions=3).to_parquet(tmp_path / "in")
    (tmp_path / "shared").mkdir()
    own = {"/data/": f"{tmp_path}/", "/shared/": f"{tmp_path}/shared/"}
    for _ in range(2):  # the second time, all of it is found in the journals
        run(monkeypatch, "Dask", own)
    written = frames.read_parquet(tmp_path / "out").compute()
    assert sorted(written["text"]) == sorted(f"answer={index};" for index in range(20))
    assert service.asked == dict.fromkeys(range(20), 1)
