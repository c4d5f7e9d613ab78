"""A local Bedrock Runtime: takes a request, finds out who calls and what for, and has it answered.

The only module here that listens. What it knows of Bedrock is a table of operations; what it says is made of steps,
scripted or not.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import msgspec
from aiohttp import web

from ...auth.sigv4 import SigningKeys
from ...errors import ConfigurationError
from ...request.endpoints import is_loopback
from ..answers.answering import answer
from ..answers.caching import PromptCache
from ..answers.chances import fill
from ..answers.facts import Facts
from ..answers.frames import FrameWriter, independent_crc
from ..answers.player import Exchange
from ..answers.rendering import refuse_unsayable
from ..steps import Answer, ExpiredSignature, HttpError, Step
from .loopback import check_origin
from .operations import Operation, find_operation
from .received import ReceivedRequest
from .refusal import ERROR_TYPE_SUFFIX, Refusal, invalid
from .validation import parse_body
from .verification import Arrived, Guard, Keys, Proof

__all__ = ("ACCESS_KEY_ID", "API_KEY", "CREDENTIALS", "REGION", "SECRET_ACCESS_KEY", "Emulator")

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's published example
CREDENTIALS = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
"""The key pair that an emulator knows unless it is given another."""
API_KEY = "bedrock-api-key-example"
"""The bearer key that an emulator knows unless it is given another."""
REGION = "us-east-1"

_LONGEST_FIELD = 64 * 1024  # session tokens are long, and AWS takes them
_ECHOED = ("X-Amzn-Bedrock-PerformanceConfig-Latency", "X-Amzn-Bedrock-Service-Tier")
_GRACE = 0.2  # seconds that open connections get at the end


class Emulator:
    """A local Bedrock Runtime: `async with Emulator() as emulator: ... emulator.url`.

    Any AWS client can use it, with `emulator.url` as its endpoint: Converse, InvokeModel (Claude, gpt-oss, Llama), both
    streams and CountTokens. Without a script it answers from the prompt, the same every time; with one it says and does
    what the script's steps say (see `bedrock_stream.testing.script`), whatever the route.

    - `credentials`, `api_key`: who gets in; None closes that way. The examples are published, so a `host` off loopback
      takes neither of them: give your own.
    - `region`: the region that signatures must name.
    - `script`: answers for one request each, in their order (then unscripted), or one function for all requests.
    - `pace`: seconds between deltas. `clock`: an aware datetime, against which signatures are dated.
    - `models`: the model ids that exist; None means all.
    - `ssl`: a context with a certificate, to speak TLS; then any name that the certificate is for may be called.
    - `keep_requests`: how many requests `requests` remembers; None means all.

    Raises `ConfigurationError` where crcmod is not installed: `pip install "bedrock-stream[testing]"`.
    """

    def __init__(
        self,
        *,
        script: Callable[[ReceivedRequest], Any] | Iterable[Answer] | None = None,
        credentials: SigningKeys | None = CREDENTIALS,
        api_key: str | None = API_KEY,
        region: str = REGION,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        models: Collection[str] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        keep_requests: int | None = 1000,
    ) -> None:
        self._crc = independent_crc()
        self._host, self._port = host, port
        self._local = is_loopback(host)
        if not self._local:
            credentials = None if credentials is CREDENTIALS else credentials
            api_key = None if api_key == API_KEY else api_key
            if credentials is None and api_key is None:
                raise ConfigurationError(
                    "host", f"{host!r} can be reached from elsewhere, and the example keys are public",
                    "give credentials= or api_key=",
                )  # fmt: skip
        self._ssl = ssl
        self._guard = Guard(credentials, api_key, region)
        self._region = region
        self._default = script if callable(script) else None
        self._queue: deque[Answer] = deque(() if script is None or callable(script) else script)
        self._pace, self._clock, self._models = pace, clock, models
        self._requests: list[ReceivedRequest] = []
        self._kept, self._counted = keep_requests, 0
        self._answering: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._cache = PromptCache()
        self._runner: web.ServerRunner | None = None

    # --------------------------------------------------------------------------------------------------- for callers

    @property
    def url(self) -> str:
        """Where it listens, `http://127.0.0.1:PORT`, or https with `ssl`. Raises `RuntimeError` before `start`."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the emulator is not running: use `async with Emulator(...)`, or await start()")
        host, port = self._runner.addresses[0][:2]
        scheme = "https" if self._ssl else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The last requests, those that were refused too: as many as `keep_requests` says, the oldest first."""
        return self._requests

    @property
    def request_count(self) -> int:
        """How many requests have arrived in all, forgotten ones too."""
        return self._counted

    @property
    def open_streams(self) -> int:
        """Answers that are still being written."""
        return len(self._answering)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that bring any AWS client here: the endpoint, the region, and the keys that are known."""
        known = {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url, "AWS_REGION": self._region}
        return {**known, "AWS_DEFAULT_REGION": self._region, **self._guard.environ}

    def script(self, *steps: Step) -> None:
        """Say what the next request that is not spoken for gets: one answer, made of these steps."""
        self._queue.append(steps)

    async def wait_for_requests(self, count: int, timeout: float | None = 5.0) -> list[ReceivedRequest]:  # noqa: ASYNC109
        """Wait until that many requests have arrived in all. Raises `TimeoutError` after `timeout` seconds."""
        await self._until(lambda: self._counted >= count, timeout)
        return self._requests

    async def wait_for_streams(self, count: int, timeout: float | None = 5.0) -> None:  # noqa: ASYNC109
        """Wait until exactly that many answers are being written. Raises `TimeoutError`."""
        await self._until(lambda: self.open_streams == count, timeout)

    async def wait_until_idle(self, timeout: float | None = 5.0) -> None:  # noqa: ASYNC109
        """Wait until no answer is being written. Raises `TimeoutError`."""
        await self.wait_for_streams(0, timeout)

    async def start(self) -> None:
        """Listen. `async with` does it."""
        server = web.Server(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=_LONGEST_FIELD,
            max_field_size=_LONGEST_FIELD,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await self._runner.setup()
        # A name may stand for several addresses, each of which would get a port of its own.
        host = "127.0.0.1" if self._host == "localhost" else self._host
        await web.TCPSite(self._runner, host, self._port, ssl_context=self._ssl).start()

    async def close(self) -> None:
        """Stop listening and break off every answer. Harmless when it is closed already."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for task in self._answering:
                task.cancel()
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # -------------------------------------------------------------------------------------------------- one request

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        now = self._clock()
        headers = {"x-amzn-RequestId": str(uuid4()), "Date": format_datetime(now.astimezone(UTC), usegmt=True)}
        try:
            if self._local and self._ssl is None:  # nobody has a certificate for a name that is not theirs
                check_origin(http)
            return await self._answer(http, headers, now)
        except Refusal as refusal:
            return _refuse(refusal, headers)

    async def _answer(self, http: web.BaseRequest, headers: dict[str, str], now: datetime) -> web.StreamResponse:
        arrived = Arrived(http.method, http.raw_path, http.headers, await http.content.read())
        found = find_operation(arrived.method, arrived.target)
        try:
            received = self._record(arrived, found, self._guard.verify(arrived, now))
        except Refusal:
            self._record(arrived, found, None)
            raise
        if found is None:
            raise Refusal(404, "UnknownOperationException", "The operation does not exist.")
        operation, model = found
        body = parse_body(arrived.body)
        if self._models is not None and model not in self._models:
            raise invalid("The provided model identifier is invalid.")
        try:
            asked, form = operation.read(body, model)
            own = answer(asked, model)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Members that no check looks at: what is not of its type there cannot be read.
            raise Refusal(400, "SerializationException", f"A member has an unexpected type: {error}") from error
        said = self._scripted(received)
        steps = own if said is None else list(fill(said, own))
        refuse_unsayable(steps, form, operation.name, model)
        answered = operation.prompts and not any(isinstance(step, HttpError | ExpiredSignature) for step in steps)
        headers |= {name: arrived.headers[name] for name in _ECHOED if name in arrived.headers}
        facts = Facts.of(asked, model, self._cache.look(asked, model) if answered else None)
        exchange = Exchange(http, headers, steps, form, facts, FrameWriter(self._crc), self._pace, now)
        return await self._play(operation, exchange)

    async def _play(self, operation: Operation, exchange: Exchange) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a handler always runs in one
        self._answering.add(task)
        self._changed()
        try:
            return await operation.play(exchange)
        except ConnectionError:
            # The client left between two writes; whatever is returned now goes nowhere.
            return web.Response()
        finally:
            self._answering.discard(task)
            self._changed()

    def _record(self, arrived: Arrived, found: tuple[Operation, str] | None, proof: Proof | None) -> ReceivedRequest:
        parsed = None
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            parsed = msgspec.json.decode(arrived.body)
        received = ReceivedRequest(
            method=arrived.method,
            target=arrived.target,
            headers=arrived.headers,
            body=arrived.body,
            json=parsed,
            operation=found[0].name if found else None,
            model=found[1] if found else None,
            auth=proof.auth if proof else None,
            access_key_id=proof.access_key_id if proof else None,
            region=proof.region if proof else None,
        )
        self._requests.append(received)
        self._counted += 1
        if self._kept is not None:
            del self._requests[: -self._kept or None]
        self._changed()
        return received

    def _scripted(self, received: ReceivedRequest) -> list[Step] | None:
        """The steps of the next answer, None for the unscripted one."""
        said: Any = self._queue.popleft() if self._queue else self._default
        if callable(said):
            said = said(received)
        if said is None:
            return None
        return [said] if isinstance(said, Step) else list(said)

    # ------------------------------------------------------------------------------------------------------ waiting

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def _until(self, holds: Callable[[], bool], seconds: float | None) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await self._change.wait()


def _refuse(refusal: Refusal, headers: dict[str, str]) -> web.Response:
    kind = {} if refusal.code is None else {"x-amzn-ErrorType": refusal.code + ERROR_TYPE_SUFFIX}
    return web.Response(
        status=refusal.status,
        body=msgspec.json.encode({refusal.member: refusal.message}),
        headers={"Content-Type": "application/json", **headers, **kind, **refusal.headers},
    )
