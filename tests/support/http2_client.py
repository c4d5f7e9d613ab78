"""A client of HTTP/2 with prior knowledge, on one real socket: several requests, each with the response as received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import h2.connection
import h2.events
import h2.settings

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import HELLO, RawResponse, signed_headers, target


class Http2Client:
    """A connection. With `window`, it announces one of that many bytes and acknowledges only on request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self._reader, self._writer, self._authority = reader, writer, authority
        self._http2: Any = h2.connection.H2Connection()
        self._changed = asyncio.Event()
        self._unacknowledged: dict[int, int] = {}
        self.acknowledges = True
        self.responses: dict[int, RawResponse] = {}
        self.closed = False
        self.terminated: Any = None
        """The event of the server's GOAWAY."""

    def begin(self, window: int | None = None) -> None:
        self._http2.initiate_connection()
        if window is not None:
            self.acknowledges = False
            self._http2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def flush(self) -> None:
        self._writer.write(self._http2.data_to_send())

    async def read(self) -> None:
        """Read until the server disconnects."""
        try:
            while data := await self._reader.read(65536):
                for event in self._http2.receive_data(data):
                    self._take(event)
                self.flush()
                self._notify()
        except ConnectionError:
            pass
        self.closed = True
        for response in self.responses.values():
            response.reset = response.reset or not response.complete
        self._notify()

    def _take(self, event: Any) -> None:
        response = self.responses.get(getattr(event, "stream_id", None) or 0, RawResponse())
        match event:
            case h2.events.ResponseReceived():
                headers = {bytes(name).decode(): bytes(value).decode() for name, value in event.headers}
                response.status, response.headers = int(headers.pop(":status")), headers
            case h2.events.DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                response.chunks.append(data)
                self._unacknowledged[number] = self._unacknowledged.get(number, 0) + size
                if self.acknowledges:
                    self.acknowledge(number)
            case h2.events.StreamEnded():
                response.complete = True
            case h2.events.StreamReset():
                response.reset = True
            case h2.events.ConnectionTerminated():
                self.terminated = event

    def acknowledge(self, number: int) -> None:
        self._http2.acknowledge_received_data(self._unacknowledged.pop(number), number)
        self.flush()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await self._changed.wait()

    def request(self, path: str, headers: Iterable[tuple[str, str]], *, method: str = "POST", end: bool = False) -> int:
        """Send the head of a request and return the number of its stream."""
        number: int = self._http2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", self._authority), (":path", path)]
        self.responses[number] = RawResponse()
        self._http2.send_headers(number, [*pseudo, *headers], end_stream=end)
        self.flush()
        return number

    async def send(self, number: int, data: bytes, *, end: bool = True) -> None:
        """Send a part of a request body as the server's windows allow, unless the server does not want it."""
        while data:
            if self.responses[number].reset:
                return
            room = min(self._http2.local_flow_control_window(number), self._http2.max_outbound_frame_size)
            if room:
                self._http2.send_data(number, data[:room])
                data = data[room:]
                self.flush()
            else:
                changed = self._changed
                async with asyncio.timeout(10):
                    await changed.wait()
        if end:
            self._http2.end_stream(number)
            self.flush()

    async def post(self, emulator: Emulator, operation: str = "converse-stream", body: Any = HELLO) -> int:
        """Send a signed request and return the number of its stream."""
        data, path = json.dumps(body).encode(), target(operation)
        headers = signed_headers(emulator, path, data).items()
        kept = [(name.lower(), value) for name, value in headers if name.lower() != "host"]
        number = self.request(path, [*kept, ("content-length", str(len(data)))])
        await self.send(number, data)
        return number

    async def response(self, number: int) -> RawResponse:
        """Wait for the end of a response."""
        response = self.responses[number]
        await self.until(lambda: response.complete or response.reset)
        return response

    def cancel(self, number: int) -> None:
        self._http2.reset_stream(number)
        self.flush()

    def write_raw(self, data: bytes) -> None:
        self._writer.write(data)


@asynccontextmanager
async def http2_client(url: str, window: int | None = None, ssl: Any = None) -> AsyncIterator[Http2Client]:
    """Connect to a server and yield the client."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=ssl)
    client = Http2Client(reader, writer, parts.netloc)
    client.begin(window)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        writer.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
