"""A relay: answers that outlive the connection of the browser that asked, so that it can read on after a reload.

A task of the server reads each stream and writes it to a log; any number of responses read the log. A browser that
disconnects does not end the answer: `stop` does, and the end of the server. An answer is read from Bedrock as fast as
it comes, whether or not a browser takes it, so its size is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from ..client.stream import Stream
from ..client.tool_loop import ToolRun
from ..errors import BedrockStreamError, ClientClosed, ConfigurationError, StreamInterrupted
from .delivery import deliver
from .protocols import Writer
from .relay_log import LogReader, LogWriter, MemoryLog, RelayLog

__all__ = ("Relay", "RelayedAnswer")

_logger = logging.getLogger("bedrock_stream.relay")

_GRACE = 2.0  # seconds for an answer to end by itself once its stream is closed: its tools may go on


class Relay:
    """Answers that are written by tasks of this process, by keys such as the id of a chat.

        relay = Relay()
        app = FastAPI(lifespan=bedrock_lifespan(relay, region="us-east-1"))

        @app.post("/api/chat")
        async def chat(request: Request, client: Client = Depends(get_client)) -> Response:
            body = await request.json()
            messages, options = messages_from_ui(body)
            return relay_response(relay, body["id"], client.stream(MODEL, messages, **options))

        @app.get("/api/chat/{key}/stream")
        async def resume(key: str, request: Request) -> Response:
            return await resume_response(request, relay, key)

    One answer runs under a key: a new one stops the one before. `log`: where the answers are kept; by default in
    memory, see `MemoryLog` for its limits. `max_age`: seconds after which an answer is stopped and dropped. `keep`:
    seconds for which an answer that has ended can still be read on by its `Last-Event-ID`. `max_bytes`: the size of an
    answer, as sent, above which it ends with an error.

    A key is not a secret: check that the user may read the chat before you resume or stop it. Raises
    `ConfigurationError` for a limit that is not positive.
    """

    def __init__(
        self,
        log: RelayLog | None = None,
        *,
        max_age: float = 3600.0,
        keep: float = 60.0,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        for name, value in (("max_age", max_age), ("keep", keep), ("max_bytes", max_bytes)):
            if not value > 0:
                raise ConfigurationError(name, f"expected a positive number, got {value!r}")
        self._log = MemoryLog() if log is None else log
        self._max_age = max_age
        self._keep = keep
        self._max_bytes = max_bytes
        self._answers: dict[asyncio.Task[None], RelayedAnswer] = {}
        self._closed = False

    async def start(self, key: str, stream: Stream | ToolRun, writer: Writer) -> RelayedAnswer:
        """Start a task that reads a stream to its end. The stream belongs to it from now on.

        Raises `RelayFull`, and `ClientClosed` after `aclose`; the stream is closed then.
        """
        try:
            if self._closed:
                raise ClientClosed("the relay is closed")
            log = await self._log.begin(key, self._max_age + self._keep)
        except BaseException:
            await stream.aclose()
            raise
        answer = RelayedAnswer(key, stream, writer, log, self._max_bytes)
        task = asyncio.create_task(answer.run(self._max_age, self._keep))
        self._answers[task] = answer
        task.add_done_callback(self._answers.pop)
        return answer

    async def open(self, key: str, after: str | None = None) -> LogReader | None:
        """Return a reader of the newest answer under a key; None for an unknown key.

        `after`: the id of the last event that was received, as in `Last-Event-ID`; None reads from the start.
        """
        return await self._log.open(key, after)

    async def stop(self, key: str) -> bool:
        """Stop the running answer under a key, which ends as one that was stopped. Return False if none is running."""
        stopped = await self._log.stop(key)
        tasks = [task for task, answer in self._answers.items() if answer.key == key]
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE)
        return stopped

    async def aclose(self) -> None:
        """Stop every answer of this process and wait for the end of its task. Closing twice has no effect."""
        self._closed = True
        tasks = dict(self._answers)
        if not tasks:
            return
        for answer in tasks.values():
            await answer.stream.aclose()
        _, running = await asyncio.wait(tasks, timeout=_GRACE)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class RelayedAnswer:
    """One answer while its task writes it to the log. Made by `Relay.start`."""

    def __init__(self, key: str, stream: Stream | ToolRun, writer: Writer, log: LogWriter, max_bytes: int) -> None:
        self.key = key
        self.stream = stream
        self.refusal: BedrockStreamError | None = None
        """The error of a stream that failed before anything was written."""
        self.reader: LogReader = log.reader()
        """A reader of this answer from its start."""
        self._writer = writer
        self._log = log
        self._max_bytes = max_bytes
        self._size = 0
        self._ended = False

    async def run(self, max_age: float, keep: float) -> None:
        """Read the stream to its end. Whatever ends it, the log ends too."""
        watch = asyncio.create_task(self._close_when_stopped(max_age))
        end = StreamInterrupted("the relay was closed before the end of the answer", closed=True)
        try:
            await deliver(self.stream, self._writer, self)
        except Exception:
            # The response that waits for it may be gone, so it is not raised there.
            _logger.exception("an answer failed")
            end = StreamInterrupted("the answer failed")
        finally:
            watch.cancel()
            await self.stream.aclose()
            if not self._ended:
                await self.close(self._writer.failed(end))
            await self._log.end(keep)

    async def _close_when_stopped(self, max_age: float) -> None:
        try:
            async with asyncio.timeout(max_age):
                await self._log.stopped()
        except TimeoutError:
            pass
        await self.stream.aclose()

    async def write(self, data: bytes) -> None:
        """See `Sink`. Raises `StreamInterrupted` for an answer that is too large."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise StreamInterrupted(f"the answer is larger than the {self._max_bytes} bytes that the relay keeps")
        await self._append(data)

    async def close(self, data: bytes) -> None:
        """See `Sink`."""
        self._ended = True
        await self._append(data)

    async def refuse(self, error: BedrockStreamError) -> bool:
        """See `Sink`. A reader that came later receives the error as data."""
        if not self._size:
            self.refusal = error
        return False

    async def _append(self, data: bytes) -> None:
        # Each event has an id of its own: with one id for several, a cut between them would lose or repeat some.
        await self._log.append([event + b"\n\n" for event in data.split(b"\n\n") if event])
