"""Programs as users write them run, and type checkers know every name that they use.

The project's mypy checks them too. pyright is started once for the programs and once for the package: each start takes
seconds. Where it is not installed, or cannot fetch its own program, these tests are skipped by name.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import bedrock_stream
from bedrock_stream import Client, Message, Usage
from bedrock_stream.testing import (
    REGION,
    Emulator,
    ReceivedRequest,
    Step,
    http_error,
    metadata,
    stall,
    text,
    tool_call,
)
from tests.conftest import KEYS, QUICK_RETRIES
from tests.programs.agent import Agent
from tests.programs.chat import create_app
from tests.programs.worker import classify
from tests.support.exhaustive import takes_long
from tests.support.web_app import parts, serving

ROOT = Path(bedrock_stream.__file__).parents[1]
PROGRAMS = ROOT / "tests" / "programs"
COUNTS = {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12}

# ---------------------------------------------------------------------------------------------------------- type checks


def pyright(*arguments: str) -> str:
    """Return the output of pyright, which checks for this interpreter."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    command = [sys.executable, "-m", "pyright", "--outputjson", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=170)  # noqa: S603 - our own command
    if not done.stdout:
        pytest.skip(f"pyright cannot be run: {done.stderr[-200:]}")
    return done.stdout


@pytest.mark.timeout(180)
def test_pyright_accepts_the_programs() -> None:
    """A comment in each program sets the strict mode, and that no `type: ignore` may be superfluous."""
    programs = [str(path) for path in sorted(PROGRAMS.glob("*.py")) if path.stem != "__init__"]
    assert all("# pyright: strict" in Path(program).read_text() for program in programs)
    report = json.loads(pyright(*programs))
    assert report["summary"]["filesAnalyzed"] == len(programs) >= 4
    assert report["generalDiagnostics"] == []


@pytest.mark.timeout(180)
@takes_long
def test_pyright_knows_the_type_of_every_public_name() -> None:
    report = json.loads(pyright("--ignoreexternal", "--verifytypes", "bedrock_stream"))
    completeness = report["typeCompleteness"]
    assert completeness["exportedSymbolCounts"]["withKnownType"] > 3000
    unknown = [
        (symbol["name"], [diagnostic["message"] for diagnostic in symbol["diagnostics"]])
        for symbol in completeness["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    ]
    assert unknown == []
    assert completeness["completenessScore"] == 1


# ------------------------------------------------------------------------------------------------------------- the chat


async def test_a_chat_remembers_calls_tools_and_can_be_stopped() -> None:
    script: list[list[Step]] = [
        [text("Let me look. "), tool_call("weather", {"city": "Oslo"})],
        [text("It rains in Oslo.")],
        [text(["Once upon a time"]), stall()],
        [text("As I said.")],
    ]
    async with Emulator(script=script) as emulator:
        app = create_app({"region": REGION, "endpoint_url": emulator.url, "credentials": KEYS})
        async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            answer = parts((await http.post("/chats/a", json={"text": "How is the weather in Oslo?"})).text)
            said = "".join(part["delta"] for part in answer if isinstance(part, dict) and "delta" in part)
            assert said == "Let me look. It rains in Oslo."
            async with http.stream("POST", "/chats/a", json={"text": "Tell me a story"}) as story:
                async for line in story.aiter_lines():
                    if "upon a time" in line:
                        assert (await http.post("/chats/a/stop")).status_code == 200
            assert (await http.post("/chats/a/stop")).status_code == 404
            await http.post("/chats/a", json={"text": "Go on"})
            history = [Message.from_json(json.dumps(item)) for item in (await http.get("/chats/a")).json()]
    assert [message.role for message in history] == ["user", "assistant"] * 4
    assert [call.name for call in history[1].tool_calls] == ["weather"]
    assert history[5].text == "Once upon a time"
    assert history[7].text == "As I said."


# ----------------------------------------------------------------------------------------------------------- the worker


async def test_a_worker_repeats_throttled_calls_and_sums_the_tokens() -> None:
    busy = 0

    def answer(request: ReceivedRequest) -> list[Step]:
        nonlocal busy
        document = request.json["messages"][0]["content"][0]["text"].rpartition("\n")[2]
        if document == "busy" and busy < 2:
            busy += 1
            return [http_error(429, "ThrottlingException", "Too many requests")]
        if document == "refused":
            return [http_error(400, "ValidationException", "This document is not valid.")]
        if document == "prose":
            return [text("I cannot tell.")]
        return [
            tool_call("structured_output", {"topic": document}),
            metadata(COUNTS),
        ]

    async with (
        Emulator(script=answer) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=QUICK_RETRIES) as client,
    ):
        report = await classify(client, ["ships", "busy", "refused", "prose", "trees"], concurrency=2)
        assert client.stats().open_streams == 0
    assert {index: label.topic for index, label in report.labels.items()} == {0: "ships", 1: "busy", 4: "trees"}
    assert report.failed == {"refused: ValidationException": 1, "no label: end_turn": 1}
    assert report.usage is not None
    assert report.usage.output_tokens is not None
    assert report.usage.output_tokens >= 6
    assert busy == 2


# ------------------------------------------------------------------------------------------------------------ the agent


async def test_an_agent_asks_before_it_deletes() -> None:
    counts = metadata(COUNTS)
    script: list[list[Step]] = [
        [text("I look."), tool_call("list_files", {}), counts],
        [tool_call("delete", {"name": "a.txt"}), tool_call("delete", {"name": "b.txt"}), counts],
        [text("One is gone."), counts],
    ]
    asked: list[str] = []

    def confirm(question: str) -> str:
        asked.append(question)
        return "yes" if "a.txt" in question else "not that one"

    files, out = {"a.txt", "b.txt"}, io.StringIO()
    async with (
        Emulator(script=script) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS) as client,
    ):
        agent = Agent(client, files, out, confirm)
        assert await agent.ask("Delete all files") == "One is gone."
        sent: Any = emulator.requests[2].json
    assert files == {"b.txt"}
    assert asked == ["delete(name='a.txt')?", "delete(name='b.txt')?"]
    results = [block["toolResult"] for block in sent["messages"][-1]["content"]]
    assert "The user did not allow this: not that one" in json.dumps(results[1])
    assert "[delete" in out.getvalue()
    assert "One is gone." in out.getvalue()
    assert agent.usage == Usage(30, 6, 36)
    assert agent.messages[-1].text == "One is gone."
