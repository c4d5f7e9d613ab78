"""Run the command in a process of its own, with its streams and its exit code."""

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

CREDENTIAL_VARIABLES = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
"""Environment variables with the credentials that an emulator accepts."""
TIMEOUT = 40
"""Time limit in seconds; only a busy machine needs more than one."""
_COMMAND = (sys.executable, "-W", "error", "-m", "bedrock_stream")


@dataclass(frozen=True)
class Completed:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@asynccontextmanager
async def started(
    *arguments: str, env: Mapping[str, str] | None = None, out: int = PIPE, err: int = PIPE
) -> AsyncIterator[Process]:
    """Start the command and yield its process; kill it at the end if it still runs."""
    environ = {**os.environ, **CREDENTIAL_VARIABLES, **(env or {})}
    with _sigint_enabled():
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, *arguments, stdin=DEVNULL, stdout=out, stderr=err, env=environ
        )
    try:
        async with asyncio.timeout(TIMEOUT):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextmanager
def _sigint_enabled() -> Iterator[None]:
    """Stop ignoring SIGINT: a shell's background jobs ignore it, and child processes inherit that."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


async def run(*arguments: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Completed:
    """Run the command and wait for its exit."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, **CREDENTIAL_VARIABLES, **(env or {})},
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Completed(process.returncode, out.decode(), err.decode())


class Screen(io.StringIO):
    """An in-memory stream that reports to be a terminal."""

    def isatty(self) -> bool:
        return True


class Terminal:
    """A pseudo-terminal. Pass `end` to a process as its output; `seen` is what it has written."""

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

    async def until(self, expected: bytes) -> None:
        """Wait until the process has written `expected`."""
        while expected not in self.seen:
            self.read()
            await asyncio.sleep(0.01)

    def read(self) -> bytes:
        """Read the new output and return all output so far."""
        try:
            while data := os.read(self._master, 65536):
                self.seen += data
        except BlockingIOError:  # nothing more yet
            pass
        return self.seen
