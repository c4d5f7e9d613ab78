"""The responses of server-sent events: one that reads a stream itself, and one that reads the log of a relay.

The status is sent with the first event, so a call that fails before has an HTTP error status. All tasks run within the
response's call and end with it, but for a relay's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError
from .asgi import CLIENT_CLOSED_REQUEST, ResponseWriter, run_until_disconnect
from .delivery import deliver
from .http_errors import ErrorDetails, error_details
from .protocols import Writer, request_id_headers
from .relay import Relay, RelayedAnswer
from .relay_log import LogReader

__all__ = ("EventResponse", "RelayResponse")

# nginx buffers a proxied response unless X-Accel-Buffering is "no".
_STREAM_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


class _ServerSentEvents(Response):
    """A response whose body is written while the client is connected."""

    media_type = "text/event-stream"

    def __init__(
        self,
        writer: Writer,
        heartbeat: float | None,
        status_within: float | None,
        headers: Mapping[str, str] | None,
        background: BackgroundTask | None,
    ) -> None:
        self.writer = writer
        self.heartbeat = heartbeat
        self.status_within = status_within
        self.status_code = 200
        self.background = background
        self.body = b""
        self.init_headers({**_STREAM_HEADERS, **writer.headers, **(headers or {})})
        del self.headers["content-length"]  # Starlette sets it for the empty body; the length is unknown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        response = ResponseWriter(send, self._start)
        try:
            if scope["method"] == "HEAD":  # Starlette routes HEAD to GET endpoints; no request is sent to Bedrock
                await response.close(b"")
            elif not await run_until_disconnect(
                receive, partial(self._send_events, response, scope), partial(self._send_heartbeats, response)
            ):
                await response.send_error(CLIENT_CLOSED_REQUEST, {}, b"")
        finally:
            await self._release()
        # Starlette runs background tasks after the response.
        if self.background is not None:
            await self.background()

    async def _send_events(self, response: ResponseWriter, scope: Scope) -> None:
        raise NotImplementedError

    async def _release(self) -> None:
        """Close what the response holds."""

    def _request_id(self) -> str | None:
        """Return the service's id of the request, which is known once its response has begun."""
        return None

    def _start(self) -> Message:
        """Return the ASGI message with the status and headers."""
        self.headers.update(self._request_id_headers(self._request_id()))
        return {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}

    async def _send_error(self, response: ResponseWriter, error: BedrockStreamError) -> bool:
        """Send an HTTP error, if the status is not sent yet."""
        details = error_details(error)
        return await response.send_error(details.status, self._error_headers(details), self.writer.refusal(details))

    def _error_headers(self, details: ErrorDetails) -> dict[str, str]:
        """Return this response's headers, changed for an error."""
        return {
            **self.headers,
            "content-type": "application/json",
            **self._request_id_headers(details.request_id),
            **details.headers,
        }

    def _request_id_headers(self, request_id: str | None) -> dict[str, str]:
        return request_id_headers(self.writer.request_id_headers, request_id)

    async def _send_heartbeats(self, response: ResponseWriter) -> None:
        if self.heartbeat is not None:
            await response.heartbeat(self.heartbeat, self.status_within)


class EventResponse(_ServerSentEvents):
    """A response that reads a stream; created by `event_response`, or with a custom `Writer`."""

    def __init__(
        self,
        stream: Stream | ToolRun,
        writer: Writer,
        *,
        heartbeat: float | None = 15.0,
        status_within: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(writer, heartbeat, status_within, headers, background)
        self.stream = stream

    async def _send_events(self, response: ResponseWriter, scope: Scope) -> None:
        await deliver(self.stream, self.writer, _ResponseSink(response, self._send_error))

    async def _release(self) -> None:
        await self.stream.aclose()

    def _request_id(self) -> str | None:
        return getattr(self.stream, "request_id", None)


class _ResponseSink:
    """The `Sink` of an HTTP response."""

    def __init__(
        self, response: ResponseWriter, send_error: Callable[[ResponseWriter, BedrockStreamError], Awaitable[bool]]
    ) -> None:
        self.write, self.close = response.write, response.close  # without a call in between for each event
        self._response = response
        self._send_error = send_error

    async def refuse(self, error: BedrockStreamError) -> bool:
        return await self._send_error(self._response, error)


class RelayResponse(_ServerSentEvents):
    """A response that reads an answer of a relay; created by `relay_response` and `resume_response`.

    With a stream as `source`, it starts the answer, unless the request names the last event of one that the relay still
    has: a browser's `EventSource` reconnects like that. With a reader, it goes on with that.
    """

    def __init__(
        self,
        relay: Relay,
        key: str,
        writer: Writer,
        *,
        source: Stream | ToolRun | LogReader,
        heartbeat: float | None = 15.0,
        status_within: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(writer, heartbeat, status_within, headers, background)
        self.relay = relay
        self.key = key
        self.source = source
        self._started = False

    async def _send_events(self, response: ResponseWriter, scope: Scope) -> None:
        try:
            reader, answer = await self._open(Headers(scope=scope).get("last-event-id"))
        except BedrockStreamError as error:
            if not await self._send_error(response, error):
                await response.close(self.writer.failed(error))
            return
        if answer is None:  # it has begun, however long the next event takes
            await response.write(b"")
        while events := await reader.read():
            if answer is not None and answer.refusal is not None:
                if await self._send_error(response, answer.refusal):
                    return
                answer = None
            await response.write(b"".join(events))
        await response.close(b"")

    async def _open(self, last_event_id: str | None) -> tuple[LogReader, RelayedAnswer | None]:
        """Return a reader, and the answer where it was started for it."""
        source = self.source
        if not isinstance(source, Stream | ToolRun):
            return source, None
        if last_event_id is not None:
            reader = await self.relay.open(self.key, last_event_id)
            if reader is not None and reader.resumed:
                return reader, None
        self._started = True
        answer = await self.relay.start(self.key, source, self.writer)
        return answer.reader, answer

    async def _release(self) -> None:
        if isinstance(self.source, Stream | ToolRun) and not self._started:
            await self.source.aclose()

    def _request_id(self) -> str | None:
        return getattr(self.source, "request_id", None)
