"""One line for each request, with the logger `bedrock_stream.gateway`: WARNING for statuses from 500 on, else INFO.

    POST /v1/chat/completions fast -> amazon.nova-lite-v1:0 in us-east-1: 200, 12+345 tokens, first event 0.41 s,
    3.02 s, request 5c1d

Neither content nor keys are logged, and nothing is done for a single chunk. The app configures no handlers.
"""

from __future__ import annotations

import logging
from time import monotonic

from starlette.types import Message, Receive, Scope

from ..client.stream import Stream
from ..integrations.asgi import CLIENT_CLOSED_REQUEST

__all__ = ("CompletionLog", "log_response")

_log = logging.getLogger("bedrock_stream.gateway")

_MAX_NAME = 200  # characters of what a client has written


def log_response(scope: Scope, status: int, reason: str = "") -> None:
    """Log a request that is answered without Bedrock. `reason`: a word for a refusal, never the client's."""
    _write(status, "%s: %d%s", _request(scope), status, f" {reason}" if reason else "")


class CompletionLog:
    """The line of one completion. Its owner sets the attributes, and calls `write` once the response has ended."""

    __slots__ = ("_began", "_first", "_left", "model", "status")

    def __init__(self) -> None:
        self._began = monotonic()
        self._first: float | None = None
        self._left = False
        self.model: str = ""
        """The name that the client requested."""
        self.status: int = 0
        """The HTTP status that was sent; 0 before one was."""

    def note_first_event(self) -> None:
        """Note that an event has been received, unless one was noted before."""
        if self._first is None:
            self._first = monotonic() - self._began

    def watch(self, receive: Receive, stream: Stream) -> Receive:
        """Return the same channel, which notes that the client has disconnected before the stream failed."""

        async def receive_and_note() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._left = not _failure_of(stream)
            return message

        return receive_and_note

    def write(self, scope: Scope, stream: Stream) -> None:
        """Log the line."""
        if not _log.isEnabledFor(logging.INFO):
            return
        partial = stream.partial
        # Servers report a disconnect after every response, too.
        has_left = self._left and (partial is None or partial.stop_reason is None)
        status = self.status or (CLIENT_CLOSED_REQUEST if has_left else 0)
        outcome = "closed by the client" if has_left else _failure_of(stream)
        usage = None if partial is None else partial.usage
        tokens = "tokens unknown" if usage is None else f"{usage.input_tokens}+{usage.output_tokens} tokens"
        _write(
            status,
            "%s %s -> %s in %s: %s, %s, first event %s, %.2f s, request %s",
            _request(scope),
            _printable(self.model),
            stream.model,
            stream.target.region,
            " ".join(part for part in (str(status or "no status"), outcome) if part),
            tokens,
            "none" if self._first is None else f"{self._first:.2f} s",
            monotonic() - self._began,
            stream.request_id,
        )


def _failure_of(stream: Stream) -> str:
    attempts = stream.attempts
    error = attempts[-1].error if attempts else None
    return "" if error is None else type(error).__name__


def _write(status: int, line: str, *facts: object) -> None:
    _log.log(logging.WARNING if status >= 500 else logging.INFO, line, *facts)


def _request(scope: Scope) -> str:
    return f"{scope['method']} {_printable(scope['path'])}"


def _printable(text: str) -> str:
    """Return what a client has written, without characters that could forge another line."""
    return "".join(character if character.isprintable() else "?" for character in text[:_MAX_NAME])
