"""Clients of an emulator or a socket server, with fast retries, and the events of their streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bedrock_stream import Client, RetryPolicy
from bedrock_stream.client.base_stream import BaseStream
from bedrock_stream.testing import REGION
from tests.conftest import KEYS, QUICK_RETRIES
from tests.support.socket_server import END, START, Answer, Connection, SocketServer, text

ONCE = RetryPolicy(max_attempts=1)


def client_of(url: str, **options: Any) -> Client:
    """Return a client of this endpoint, which retries without waiting."""
    return Client(**{"region": REGION, "endpoint_url": url, "credentials": KEYS, "retry": QUICK_RETRIES, **options})


@asynccontextmanager
async def connected(answer: Answer, **options: Any) -> AsyncIterator[tuple[SocketServer, Client]]:
    """Start a socket server and a client of it."""
    async with SocketServer(answer) as server, client_of(server.url, **options) as client:
        yield server, client


async def complete_stream(connection: Connection) -> None:
    """Send a complete stream with the text "Hello"."""
    connection.begin()
    connection.chunk(START + text("Hello") + END)
    connection.end()


async def collect(stream: BaseStream[Any], events: list[Any] | None = None) -> list[Any]:
    """Return all events of a stream. If reading raises, `events` has those before the error."""
    events = [] if events is None else events
    async for event in stream:
        events.append(event)
    return events
