"""A raw HTTP/1.1 client: one request over a socket, the response chunk by chunk."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from bedrock_stream.auth.sigv4 import sign
from bedrock_stream.eventstream import Decoder, Frame
from bedrock_stream.testing import CREDENTIALS, REGION, Emulator, Keys, Step

CLAUDE = MODEL = "anthropic.claude-3-sonnet-20240229-v1:0"
GPT_OSS = "openai.gpt-oss-20b-1:0"
LLAMA = "meta.llama3-1-8b-instruct-v1:0"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
NATIVE: dict[str, dict[str, Any]] = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "Hello"}],
    },
    GPT_OSS: {"messages": [{"role": "user", "content": "Hello"}]},
    LLAMA: {"prompt": "Hello"},
}
"""A minimal request to each family in its native format."""
STREAM = "invoke-with-response-stream"


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


@dataclass
class RawResponse:
    """A response as far as it was received."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False
    """True if the body ended as HTTP requires."""
    reset: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def frames(self) -> list[Frame]:
        """All frames of a body, which must be intact."""
        decoder = Decoder()
        frames = decoder.feed(self.body)
        decoder.finish()
        return frames

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Names and payloads of all events, without padding. The body must be intact."""
        return [_event(frame) for frame in self.frames]

    @property
    def documents(self) -> list[Any]:
        """The documents of an intact native stream, in order; the names of all other frames."""
        return [json.loads(b64decode(payload["bytes"])) if name == "chunk" else name for name, payload in self.events]

    @property
    def error(self) -> tuple[int, str | None, Any]:
        """Status, error name and parsed body."""
        kind = self.headers.get("x-amzn-errortype")
        return self.status, kind and kind.partition(":")[0], json.loads(self.body)


def _event(frame: Frame) -> tuple[str, Any]:
    payload = json.loads(frame.payload)
    payload.pop("p", None)
    return str(frame.headers.get(":event-type") or frame.headers[":exception-type"]), payload


def target(operation: str = "converse-stream", model: str = MODEL) -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


def signed_headers(
    emulator: Emulator,
    path: str,
    body: bytes,
    *,
    headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
    keys: Keys = CREDENTIALS,
    region: str = REGION,
    service: str = "bedrock",
    now: datetime | None = None,
    method: str = "POST",
) -> dict[str, str]:
    """Return all headers of a signed request."""
    unsigned = [("Host", urlsplit(emulator.url).netloc), *headers]
    moment = now or datetime.now(UTC)
    url = emulator.url + path
    added = sign(method, url, unsigned, body, credentials=keys, region=region, service=service, now=moment)
    return {**dict(unsigned), **added}


def request_bytes(path: str, headers: Mapping[str, str], body: bytes, method: str = "POST") -> bytes:
    """Return a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body


class Connection:
    """A raw connection to the emulator."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, emulator: Emulator) -> Connection:
        parts = urlsplit(emulator.url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def read_head(self, response: RawResponse) -> None:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        response.status = int(status.split()[1])
        response.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def read_body(self, response: RawResponse) -> None:
        if "content-length" in response.headers:
            length = int(response.headers["content-length"])
            while length and (data := await self.reader.read(length)):
                response.chunks.append(data)
                length -= len(data)
            response.complete = not length
            return
        while await self.read_chunk(response):
            pass

    async def read_chunk(self, response: RawResponse) -> bool:
        """Read one HTTP chunk. Return False at the last chunk, or if the connection ends without it."""
        line = await self.reader.readline()
        if not line:
            return False
        size = int(line, 16)
        data = await self.reader.readexactly(size + 2)
        if size:
            response.chunks.append(data[:-2])
        response.complete = not size
        return bool(size)


async def send(emulator: Emulator, request: bytes) -> RawResponse:
    """Send bytes and read the complete response."""
    connection = await Connection.open(emulator)
    response = RawResponse()
    try:
        connection.writer.write(request)
        await connection.read_head(response)
        await connection.read_body(response)
    except ConnectionResetError:
        response.reset = True
    finally:
        connection.writer.close()
    return response


async def post(
    emulator: Emulator, body: Any = HELLO, operation: str = "converse-stream", model: str = MODEL
) -> RawResponse:
    """Send a signed request and read the complete response."""
    path = target(operation, model)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await send(emulator, request_bytes(path, signed_headers(emulator, path, raw), raw))


async def play(*steps: Step, body: Any = HELLO, operation: str = "converse-stream", model: str = MODEL) -> RawResponse:
    """Start an emulator with one scripted answer, send it one request and return the response."""
    async with Emulator(script=[steps]) as emulator:
        return await asyncio.wait_for(post(emulator, body, operation, model), 10)


async def open_request(
    emulator: Emulator, body: Any = HELLO, operation: str = "converse-stream", model: str = MODEL
) -> Connection:
    """Send a signed request and return its connection, with nothing read yet."""
    path = target(operation, model)
    raw = json.dumps(body).encode()
    connection = await Connection.open(emulator)
    connection.writer.write(request_bytes(path, signed_headers(emulator, path, raw), raw))
    return connection
