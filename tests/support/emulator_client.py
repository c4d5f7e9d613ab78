"""A client that hides nothing: one request over a bare connection, the answer chunk by chunk."""

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
from bedrock_stream.testing import CREDENTIALS, REGION, Emulator, Keys

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
"""A greeting to each family in its own format."""
STREAM = "invoke-with-response-stream"


@dataclass
class RawAnswer:
    """What came back, whole or not."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False
    """Whether the body reached its own end."""
    reset: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def frames(self) -> list[Frame]:
        """Every frame of a body that must be intact."""
        decoder = Decoder()
        frames = decoder.feed(self.body)
        decoder.finish()
        return frames

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Names and payloads, without the padding, of a body that must be intact."""
        return [_event(frame) for frame in self.frames]

    @property
    def documents(self) -> list[Any]:
        """What the chunks of an intact native stream say, in order; other frames by their name."""
        return [json.loads(b64decode(payload["bytes"])) if name == "chunk" else name for name, payload in self.events]

    @property
    def error(self) -> tuple[int, str | None, Any]:
        """Status, the name of the error, and the body."""
        kind = self.headers.get("x-amzn-errortype")
        return self.status, kind and kind.partition(":")[0], json.loads(self.body)


def _event(frame: Frame) -> tuple[str, Any]:
    payload = json.loads(frame.payload)
    payload.pop("p", None)
    return str(frame.headers.get(":event-type") or frame.headers[":exception-type"]), payload


def target(operation: str = "converse-stream", model: str = MODEL) -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


def signed(
    emulator: Emulator,
    path: str,
    body: bytes,
    *,
    headers: Iterable[tuple[str, str]] = (("content-type", "application/json"),),
    keys: Keys = CREDENTIALS,
    region: str = REGION,
    service: str = "bedrock",
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers of a signed request."""
    named = [("Host", urlsplit(emulator.url).netloc), *headers]
    moment = now or datetime.now(UTC)
    added = sign("POST", emulator.url + path, named, body, credentials=keys, region=region, service=service, now=moment)
    return {**dict(named), **added}


def written(path: str, headers: Mapping[str, str], body: bytes, method: str = "POST") -> bytes:
    """A request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body


class Connection:
    """One bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, emulator: Emulator) -> Connection:
        parts = urlsplit(emulator.url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def read_head(self, answer: RawAnswer) -> None:
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        answer.status = int(status.split()[1])
        answer.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def read_body(self, answer: RawAnswer) -> None:
        if "content-length" in answer.headers:
            length = int(answer.headers["content-length"])
            while length and (data := await self.reader.read(length)):
                answer.chunks.append(data)
                length -= len(data)
            answer.complete = not length
            return
        while await self.read_chunk(answer):
            pass

    async def read_chunk(self, answer: RawAnswer) -> bool:
        """Read one HTTP chunk; False at the last one, and where the connection ends without it."""
        line = await self.reader.readline()
        if not line:
            return False
        size = int(line, 16)
        data = await self.reader.readexactly(size + 2)
        if size:
            answer.chunks.append(data[:-2])
        answer.complete = not size
        return bool(size)


async def send(emulator: Emulator, request: bytes) -> RawAnswer:
    """Send bytes and read all that comes."""
    connection = await Connection.to(emulator)
    answer = RawAnswer()
    try:
        connection.writer.write(request)
        await connection.read_head(answer)
        await connection.read_body(answer)
    except ConnectionResetError:
        answer.reset = True
    finally:
        connection.writer.close()
    return answer


async def post(
    emulator: Emulator, body: Any = HELLO, operation: str = "converse-stream", model: str = MODEL
) -> RawAnswer:
    """Send a signed request and read all that comes."""
    path = target(operation, model)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await send(emulator, written(path, signed(emulator, path, raw), raw))


async def opened(
    emulator: Emulator, body: Any = HELLO, operation: str = "converse-stream", model: str = MODEL
) -> Connection:
    """Send a signed request and read nothing yet."""
    path = target(operation, model)
    raw = json.dumps(body).encode()
    connection = await Connection.to(emulator)
    connection.writer.write(written(path, signed(emulator, path, raw), raw))
    return connection
