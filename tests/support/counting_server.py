"""A Bedrock that counts how often each row of a batch is asked. The prompt names the row: `item=7`."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from bedrock_stream import Batch, Client, RetryPolicy, Row
from tests.support.clients import client_of
from tests.support.socket_server import END, START, Connection, SocketServer, text

MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"

Plan: TypeAlias = Callable[["Asked"], "bytes | Awaitable[None] | None"]


class Asked:
    """One request, by its number: which row it asks, and the how-manieth time."""

    def __init__(self, connection: Connection, number: int, item: int, nth: int) -> None:
        self.connection, self.number, self.item, self.nth = connection, number, item, nth


def prompts(count: int, start: int = 0) -> list[str]:
    return [f"item={index} hello" for index in range(start, start + count)]


def refusal(status: int, kind: str, *, headers: bytes = b"") -> bytes:
    """Return an HTTP error of the service."""
    body = json.dumps({"message": f"{kind}."}).encode()
    head = b"HTTP/1.1 %d No\r\nx-amzn-ErrorType: %s\r\n" % (status, kind.encode())
    return head + headers + b"content-length: %d\r\n\r\n" % len(body) + body


THROTTLED = refusal(429, "ThrottlingException")
INVALID = refusal(400, "ValidationException")
DENIED = refusal(403, "AccessDeniedException")
BROKEN = refusal(500, "InternalServerException")


class CountingServer(SocketServer):
    """Answers each row with `answer=7;`. `plan` returns a refusal, or awaits before the answer, or None."""

    def __init__(self, plan: Plan | None = None) -> None:
        super().__init__(self._answer)
        self.plan = plan
        self.asked: Counter[int] = Counter()
        """How often each row was asked."""
        self.said = "answer={};"

    async def _answer(self, connection: Connection) -> None:
        found = re.search(rb"item=(\d+)", connection.body)
        assert found is not None
        item = int(found[1])
        self.asked[item] += 1
        planned = (
            None if self.plan is None else self.plan(Asked(connection, self.asked.total(), item, self.asked[item]))
        )
        if isinstance(planned, bytes):
            connection.write(planned)
            return
        if planned is not None:
            await planned
        said = self.said.format(item)
        if "stream" in connection.request_line:
            connection.begin()
            connection.chunk(START + text(said) + END)
            connection.end()
        else:
            connection.write(whole(_whole(connection, said)))


def whole(document: Any) -> bytes:
    """Return an HTTP response that is one JSON document."""
    body = json.dumps(document).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-RequestId: rid\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _whole(connection: Connection, said: str) -> dict[str, Any]:
    content = [{"type": "text", "text": said}]
    if "/invoke" in connection.request_line:
        usage = {"input_tokens": 5, "output_tokens": 7}
        return {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn", "usage": usage}
    message = {"role": "assistant", "content": [{"text": said}]}
    usage = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}}


@asynccontextmanager
async def counting(plan: Plan | None = None, **options: Any) -> AsyncIterator[tuple[CountingServer, Client]]:
    """Start a counting server and a client of it, which retries twice without waiting."""
    options = {"retry": RetryPolicy(max_attempts=3, base=0, cap=0), **options}
    async with CountingServer(plan) as server, client_of(server.url, **options) as client:
        yield server, client


async def rows_of(batch: Batch) -> list[Row]:
    """Return all rows of a batch."""
    async with asyncio.timeout(50), batch as rows:
        return [row async for row in rows]


async def read_into(rows: list[Row], batch: Batch) -> None:
    """Read a batch to its end. If reading raises, `rows` has the rows before the error."""
    async with asyncio.timeout(50):
        async for row in batch:
            rows += [row]


def check_rows(rows: list[Row], count: int, failed: tuple[int, ...] = ()) -> None:
    """Check that each row came once, with its own answer, and which failed."""
    assert sorted(row.index for row in rows) == list(range(count))
    assert tuple(sorted(row.index for row in rows if row.error is not None)) == failed
    assert all(row.response.text == f"answer={row.index};" for row in rows if row.error is None)
