"""The example programs are short, and do what their first lines say, against the emulator."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from bedrock_stream.testing import (
    API_KEY,
    Answer,
    Emulator,
    ReceivedRequest,
    Step,
    ThreadedEmulator,
    cut,
    http_error,
    stall,
    text,
    tool_call,
)
from tests.support.doc_pages import DOCS
from tests.support.doc_runs import environment, run_tests
from tests.support.web_app import parts, serving

EXAMPLES = DOCS / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


def start(url: str, name: str, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(  # noqa: S603 - our own program
        command, env=environment(url), cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def run(
    folder: Path, script: Sequence[Sequence[Step]] | None, name: str, *arguments: str, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a program to its end. Return its exit code and what it wrote to both outputs."""
    with ThreadedEmulator(script=script) as emulator, start(emulator.url, name, *arguments, folder=folder) as process:
        out, errors = process.communicate(stdin, timeout=50)
        return process.returncode, out, errors


def test_there_are_eight_and_the_start_page_lists_each() -> None:
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    assert len(PROGRAMS) == 8
    assert [path.name for path in PROGRAMS if f"(examples/{path.name})" not in page] == []


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_program_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_stream_text(folder: Path) -> None:
    code, out, errors = run(folder, [[text("Because of the air.")]], "stream_text.py", "Why?")
    assert (code, out) == (0, "Because of the air.\n")
    assert errors.startswith("end_turn Usage(")


@pytest.mark.skipif(sys.platform == "win32", reason="an event loop on Windows has no signal handlers")
def test_terminal_chat() -> None:
    script: list[list[Step]] = [[text(["Once"]), stall()], [text("Bye.")]]
    with ThreadedEmulator(script=script) as emulator:
        with start(emulator.url, "terminal_chat.py", folder=EXAMPLES) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("Tell me a story\n")
            assert process.stdout.read(6) == "> Once"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == " [stopped]\n"
            out, errors = process.communicate("Stop\n\n", timeout=50)
        assert (process.returncode, out, errors) == (0, "> Bye.\n> ", "")
        sent = [message["content"][0]["text"] for message in emulator.requests[1].json["messages"]]
    assert sent == ["Tell me a story", "Once", "Stop"]


def test_tool_agent(folder: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("text")
    script: list[list[Step]] = [
        [tool_call("list_files", {}), tool_call("read_file", {"name": "../secret"})],
        [tool_call("delete_file", {"name": "a.txt"}), tool_call("delete_file", {"name": "b.txt"})],
        [text("One is gone.")],
    ]
    code, out, errors = run(folder, script, "tool_agent.py", str(folder), "Delete all", stdin="y\nn\n")
    assert (code, errors) == (0, "")
    assert out.endswith("One is gone.")
    assert [path.name for path in folder.iterdir()] == ["b.txt"]


def test_extract(folder: Path) -> None:
    invoice = {
        "sender": "Harbour Books",
        "currency": "EUR",
        "items": [{"description": "atlas", "quantity": 3, "price": 400}],
    }
    code, out, errors = run(folder, [[text(json.dumps(invoice))]], "extract.py")
    assert (code, out) == (0, "   3 x atlas: 400.00 EUR\n")
    assert "{'sender': 'Harbour Books'}" in errors


async def test_fastapi_app(monkeypatch: pytest.MonkeyPatch) -> None:
    script: list[list[Step]] = [[text("Hello.")], [http_error(400, "ValidationException", "No.")]]
    async with Emulator(script=script) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
        app = runpy.run_path(str(EXAMPLES / "fastapi_app.py"))["app"]
        async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
            events = parts((await http.get("/answer", params={"question": "Hi"})).text)
            assert "".join(event["text"] for event in events if event["type"] == "text_delta") == "Hello."
            assert events[-1] == {"type": "done"}
            assert (await http.get("/answer", params={"question": ""})).status_code == 422
            refused = await http.get("/answer", params={"question": "Hi"})
            assert (refused.status_code, refused.json()["error"]["message"]) == (400, "No.")
            assert (await http.get("/health")).json() == {"open_streams": 0}


def test_summarize_files(folder: Path) -> None:
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        (folder / name).write_text(f"This is {name}.")

    def answer(request: ReceivedRequest) -> Answer:
        bad = "3.txt" in str(request.json)
        return [http_error(400, "ValidationException", "Not this one.")] if bad else [text("A text.")]

    with ThreadedEmulator(script=answer) as emulator:
        for _ in range(2):
            with start(emulator.url, "summarize_files.py", "out.jsonl", *names, folder=folder) as process:
                _, errors = process.communicate(timeout=50)
            assert process.returncode == 1
            assert errors.startswith("3.txt: ")
            lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
            assert {line["file"] for line in lines} == {*names} - {"3.txt"}
        assert emulator.request_count == 5  # the second start reads the journal


def failures() -> Iterator[tuple[str, list[list[Step]], tuple[int, str, str]]]:
    slow: list[Step] = [http_error(503, "ServiceUnavailableException", "Try again")]
    yield "a target that fails", [slow, [text("Hello")]], (0, "Hello\n", "attempt 1: ")
    yield "an answer that is cut", [[text("Hello"), cut()]], (0, "Hello\n", "\n[cut after 5 characters]")
    refused: list[Step] = [http_error(400, "ValidationException", "Not this one.")]
    yield "a request that is refused", [refused], (1, "", "ValidationFailed: ")


@pytest.mark.parametrize(("script", "expected"), [pytest.param(*case, id=name) for name, *case in failures()])
def test_failover(folder: Path, script: list[list[Step]], expected: tuple[int, str, str]) -> None:
    code, out, errors = run(folder, script, "failover.py", "Hello?")
    assert (code, out) == expected[:2]
    assert expected[2].strip() in errors


def test_test_backend(folder: Path) -> None:
    done = run_tests((EXAMPLES / "test_backend.py").read_text("utf-8"), folder)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
