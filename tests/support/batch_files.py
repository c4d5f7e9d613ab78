"""Runs of `bedrock-stream batch` against a counting server: in this process, or in one of its own."""

from __future__ import annotations

import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from asyncio.subprocess import create_subprocess_exec as create
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bedrock_stream.cli.batch.running import batch
from bedrock_stream.cli.batch.settings import BatchSettings
from tests.support.counting_server import MODEL, CountingServer

__all__ = ("Files", "check_result", "prompt_lines", "started_batch")


class Files:
    """IN and OUT in a folder."""

    def __init__(self, folder: Path, server: CountingServer | None = None) -> None:
        self.folder = folder
        self.source = folder / "in.jsonl"
        self.out = folder / "out.jsonl"
        self.partial = folder / "out.jsonl.partial"
        self.failed = folder / "out.jsonl.failed.jsonl"
        self.url = "http://127.0.0.1:9" if server is None else server.url

    def write(self, lines: Iterable[bytes | dict[str, Any]]) -> None:
        encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        self.source.write_bytes(b"".join(line + b"\n" for line in encoded))

    def settings(self, **changes: Any) -> BatchSettings:
        given = {
            "source": str(self.source), "out": str(self.out), "model": MODEL, "concurrency": 5,
            "options": {"max_tokens": 50}, "endpoint_url": self.url,
        }  # fmt: skip
        return BatchSettings(**{**given, **changes})

    async def run(self, **changes: Any) -> int:
        """Run the command in this process and return the exit code."""
        return await batch(self.settings(**changes))

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (path or self.out).read_bytes().splitlines()]

    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "out.jsonl.manifest.json").read_bytes())
        return document

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


def prompt_lines(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"prompt": f"item={index} hello", "id": f"r{index}"} for index in range(start, start + count)]


def check_result(files: Files, count: int, failed: tuple[int, ...] = ()) -> None:
    """Check that OUT has each of r0, r1, ... once, with its own answer, and which failed."""
    lines = files.lines()
    assert sorted(int(line["recordId"][1:]) for line in lines) == list(range(count))
    assert tuple(sorted(int(line["recordId"][1:]) for line in lines if "error" in line)) == failed
    for line in lines:
        if "error" not in line:
            text = line["modelOutput"]["output"]["message"]["content"][0]["text"]
            assert text == f"answer={line['recordId'][1:]};"


@asynccontextmanager
async def started_batch(
    files: Files, *arguments: str, before: Callable[[], None] | None = None, stdin: int = DEVNULL
) -> AsyncIterator[Process]:
    """Start the command in a process of its own; kill it at the end if it still runs."""
    # Without bytecode files: one that a limit of file sizes cuts off would break all other processes.
    command = (
        sys.executable,
        "-B",
        "-W",
        "error",
        "-m",
        "bedrock_stream.cli",
        "batch",
        str(files.source),
        str(files.out),
    )
    options = ("--model", MODEL, "--max-tokens", "50", "--endpoint-url", files.url)
    environ = {**os.environ, "AWS_BEARER_TOKEN_BEDROCK": "ABSK"}
    process = await create(
        *command, *options, *arguments, stdin=stdin, stdout=PIPE, stderr=PIPE, env=environ, preexec_fn=before
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
