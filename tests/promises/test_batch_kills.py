"""SIGKILL of `batch`: nothing is lost, nothing is in OUT twice, and at most the rows in flight are asked again."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from pathlib import Path

import pytest

from tests.support.batch_files import Files, check_result, prompt_lines, started_batch
from tests.support.counting_server import CountingServer
from tests.support.exhaustive import exhaustive

ROWS = 120
CONCURRENCY = 8

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSK")


def recorded(path: Path) -> set[int]:
    """Return the rows whose answers are in whole lines of a journal."""
    data = path.read_bytes() if path.exists() else b""
    return {int(item) for item in re.findall(rb"answer=(\d+);", data[: data.rfind(b"\n") + 1])}


async def killed_once(files: Files, server: CountingServer, answers: int) -> None:
    """Run the command until the server has been asked so often, and kill it."""
    reached = asyncio.Event()
    before = sum(server.asked.values())

    async def pace() -> None:
        if sum(server.asked.values()) - before >= answers:
            reached.set()
        await asyncio.sleep(0)

    server.plan = lambda _: pace()
    async with started_batch(files, "--concurrency", str(CONCURRENCY)) as process:
        await asyncio.wait_for(reached.wait(), 30)
        process.kill()
        await process.wait()


async def test_at_random_moments(tmp_path: Path) -> None:
    kills = exhaustive(whole=20, part=2)
    chance = random.Random(7)  # noqa: S311 - the same moments in each run
    async with CountingServer() as server:
        files = Files(tmp_path, server)
        files.write(prompt_lines(ROWS))
        for _ in range(kills):
            left = ROWS - len(recorded(files.partial))
            await killed_once(files, server, chance.randint(1, max(1, left // 4)))
            assert not files.out.exists()
        known = recorded(files.partial)
        asked = {item: server.asked[item] for item in known}
        server.plan = None
        assert await files.run(concurrency=CONCURRENCY) == 0
        check_result(files, ROWS)
        assert {item: server.asked[item] for item in known} == asked, "what was recorded is not asked again"
        assert sum(server.asked.values()) - ROWS <= CONCURRENCY * kills
        assert files.names() == {"in.jsonl", "out.jsonl", "out.jsonl.manifest.json"}


# A process that is killed before the n-th of these calls: the journal's folder is synced; its .pid file removed; the
# old file of failed lines removed; the manifest synced and renamed; OUT synced and renamed; its folder synced; the
# journal's .pid file and the journal removed.
_KILLED_AT = """
import os, signal, sys
steps = int(sys.argv.pop(1))

def counted(function):
    def call(*arguments):
        global steps
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call

for name in ("fsync", "replace", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
from bedrock_stream.cli.app import invoke
sys.exit(invoke(sys.argv[1:]))
"""


@pytest.mark.parametrize("step", range(10) if exhaustive(whole=True, part=False) else (6,))
async def test_while_the_files_are_put_in_place(step: int, tmp_path: Path) -> None:
    async with CountingServer() as server:
        files = Files(tmp_path, server)
        files.write(prompt_lines(5))
        settings = files.settings()
        command = ["batch", settings.source, settings.out, "--model", str(settings.model), "--max-tokens", "50"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _KILLED_AT, str(step), *command, "--endpoint-url", files.url),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "AWS_BEARER_TOKEN_BEDROCK": "ABSK"},
        )
        await process.communicate()
        assert process.returncode == -9
        if files.out.exists():
            check_result(files, 5)
        assert await files.run(force=True) == 0
        check_result(files, 5)
        assert set(server.asked.values()) == {1}
