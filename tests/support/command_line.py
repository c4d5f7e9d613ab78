"""The command as its users have it: a process of its own, its streams and its exit code."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType

from bedrock_stream.testing import ACCESS_KEY_ID, SECRET_ACCESS_KEY

KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
"""What an emulator lets in."""
PATIENCE = 40
"""Seconds after which a test gives up; only a busy machine needs more than one."""
_COMMAND = (sys.executable, "-W", "error", "-m", "bedrock_stream.cli")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@asynccontextmanager
async def started(
    *arguments: str, env: Mapping[str, str] | None = None, out: int = PIPE, err: int = PIPE
) -> AsyncIterator[Process]:
    """The command while it runs; whatever is left of it at the end is ended."""
    environ = {**os.environ, **KEYS, **(env or {})}
    with _ctrl_c_heard():
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, *arguments, stdin=DEVNULL, stdout=out, stderr=err, env=environ
        )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextmanager
def _ctrl_c_heard() -> Iterator[None]:
    """Tests that a shell runs in the background ignore Ctrl-C, and would hand that down to what they start."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


async def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Ended:
    """Run the command to its end."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={**os.environ, **KEYS, **(env or {})}
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


class Screen(io.StringIO):
    """A stream of this process that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Terminal:
    """A pseudo-terminal: what a process shows on its `end`, as bytes."""

    def __init__(self) -> None:
        self._master, self.end = pty.openpty()
        os.set_blocking(self._master, False)
        self.seen = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._master)
        os.close(self.end)

    async def until(self, wanted: bytes) -> None:
        """Wait until it has shown that."""
        while wanted not in self.seen:
            self.read()
            await asyncio.sleep(0.01)

    def read(self) -> bytes:
        """Take what has been shown; return everything."""
        try:
            while data := os.read(self._master, 65536):
                self.seen += data
        except BlockingIOError:  # nothing more yet
            pass
        return self.seen
