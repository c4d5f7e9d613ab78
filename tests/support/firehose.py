"""A server in its own process that generates as many text deltas as the prompt asks for.

    async with firehose() as url: ...  # a prompt "1600 65536" gets 1600 deltas of 65536 bytes of text each

Tests that measure memory then measure the client alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.support.socket_server import END, START, STREAM_HEAD, frame, text

__all__ = ("firehose",)

ROOT = Path(__file__).parents[2]

_CHUNK_SIZE = 64 * 1024  # approximate bytes of frames in one chunk


@asynccontextmanager
async def firehose() -> AsyncIterator[str]:
    """Run the server as long as the block runs; yield its URL."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.firehose",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(await server.stdout.readline())}"
    finally:
        assert server.stdin is not None
        server.stdin.close()  # stops it, as the end of this process would
        await server.wait()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            request = json.loads(await reader.readexactly(int(length)))
            count, size = map(int, request["messages"][0]["content"][0]["text"].split())
            writer.write(STREAM_HEAD + _chunk(START))
            piece = text("x" * size)
            together = max(1, _CHUNK_SIZE // len(piece))
            for start in range(0, count, together):
                writer.write(_chunk(piece * min(together, count - start)))
                await writer.drain()
            writer.write(_chunk(frame("contentBlockStop", {"contentBlockIndex": 0}) + END) + b"0\r\n\r\n")
    writer.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
