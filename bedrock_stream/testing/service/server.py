"""A local Bedrock Runtime: authenticates and routes a request, then plays the steps of its answer, scripted or not.

Operations are looked up in a table. The only other module that listens on a socket is `credential_service`.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
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
from ...types.checks import check_cost
from ..answers.answering import answer
from ..answers.caching import PromptCache
from ..answers.chances import fill
from ..answers.facts import Facts
from ..answers.frames import independent_crc
from ..answers.player import Exchange
from ..answers.rendering import check_supported
from ..steps import Answer, ExpiredSignature, HttpError, Step
from .account_quota import AccountQuota, Admission, read_quota
from .asked import Asked, Endpoint, meant_endpoint
from .front import Front
from .loopback import check_origin
from .operations import Operation, find_operation, has_path, vendor_of
from .received import ReceivedRequest
from .refusal import ERROR_TYPE_SUFFIX, Refusal, invalid
from .stored import StoredResponses
from .validation import MAX_BODY_COST, parse_body
from .vendor_errors import FRONT_DOOR, UNKNOWN_OPERATION, Vendor, error_document
from .verification import Guard, Identity, IncomingRequest, Keys

__all__ = ("ACCESS_KEY_ID", "API_KEY", "CREDENTIALS", "REGION", "SECRET_ACCESS_KEY", "Emulator")

ACCESS_KEY_ID = "AKIDEXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's published example
CREDENTIALS = Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
"""The access key that an emulator accepts by default."""
API_KEY = "bedrock-api-key-example"
"""The bearer key that an emulator accepts by default."""
REGION = "us-east-1"

_MANTLE = "bedrock-mantle"  # the service name of its signatures
_MAX_HEADER_SIZE = 64 * 1024  # bytes; session tokens can exceed aiohttp's default of 8190
# Settings of a native request that Bedrock repeats in the response headers.
_ECHOED = ("X-Amzn-Bedrock-PerformanceConfig-Latency", "X-Amzn-Bedrock-Service-Tier")
_MAX_BODY = 32 * 1024 * 1024  # bytes; the service accepts 25 MB
_SHUTDOWN_TIMEOUT = 0.2  # seconds for open connections on close


class Emulator:
    """A local Bedrock Runtime: `async with Emulator() as emulator: ... emulator.url`.

    Any AWS client can use it with `emulator.url` as its endpoint. It serves Converse, InvokeModel (Claude, gpt-oss,
    Llama), the streams of both, and CountTokens. Without a script it derives the answer from the prompt; the same
    request always gets the same answer. With a script it plays the script's steps (see `bedrock_stream.testing.script`)
    on every route.

    On the paths of Bedrock Runtime and Bedrock Mantle it serves Anthropic's Messages with its count, OpenAI's Chat
    Completions and Responses, and the lists of models, to any client of Anthropic or OpenAI.

    - `credentials`, `api_key`: the accepted access key and bearer key; None disables that kind of authentication. The
      defaults are public, so they are not accepted on a `host` that is not loopback: pass your own.
    - `region`: the region that signatures must be scoped to.
    - `script`: an iterable of answers, one for each request in order (later requests are unscripted), or one function
      for all requests.
    - `pace`: seconds between deltas.
    - `clock`: returns the current time as an aware datetime, which the dates of signatures are checked against.
    - `models`: the model ids that exist; None means all.
    - `ssl`: a server-side context with a certificate, to serve https. The `Host` header is not checked then.
    - `keep_requests`: the number of requests kept in `requests`; None means all.
    - `quota`: the account's quota of each model, beyond which requests are throttled: an `AccountQuota`, a dict of its
      settings, or any object with `rpm` and `tpm`, such as a `Quota`.
    - `endpoint`: "runtime" or "mantle" to have the paths and models of that endpoint alone; None for both. With None, a
      signature for `bedrock-mantle` and a path that only Mantle has tell that a request is meant for Mantle, where each
      model is on one path. On a path that neither has, a request signed for `bedrock` gets Runtime's HTTP 200 with an
      error document, any other request 404.

    Raises `ConfigurationError` if crcmod is not installed: `pip install "bedrock-stream[testing]"`.
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
        quota: Any = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        if endpoint not in (None, "runtime", "mantle"):
            raise ConfigurationError("endpoint", f"expected 'runtime', 'mantle' or None, got {endpoint!r}")
        self._crc = independent_crc()
        self._host, self._port = host, port
        self._local = is_loopback(host)
        if not self._local:
            credentials = None if credentials is CREDENTIALS else credentials
            api_key = None if api_key == API_KEY else api_key
            if credentials is None and api_key is None:
                raise ConfigurationError(
                    "host", f"{host!r} is not a loopback address, and the example credentials are public",
                    "pass credentials= or api_key=",
                )  # fmt: skip
        self._ssl = ssl
        self._guard = Guard(credentials, api_key, region)
        self._region = region
        self._script = script if callable(script) else None
        self._queue: deque[Answer] = deque(() if script is None or callable(script) else script)
        self._pace, self._clock, self._models = pace, clock, models
        self._requests: list[ReceivedRequest] = []
        self._keep_requests, self._request_count = keep_requests, 0
        self._active: set[asyncio.Task[Any]] = set()
        self._state_changed = asyncio.Event()
        self._endpoint = endpoint
        self._cache = PromptCache()
        self._stored = StoredResponses()
        self._quota = read_quota(quota)
        self._runner: web.ServerRunner | None = None

    # ---------------------------------------------------------------------------------------------------- public API

    @property
    def url(self) -> str:
        """The base URL: `http://127.0.0.1:PORT`, or https with `ssl`. Raises `RuntimeError` if it is not running."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the emulator is not running: use `async with Emulator(...)`, or await start()")
        host, port = self._runner.addresses[0][:2]
        scheme = "https" if self._ssl else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The last `keep_requests` requests, including refused ones, the oldest first."""
        return self._requests

    @property
    def request_count(self) -> int:
        """The number of requests received so far, including those no longer in `requests`."""
        return self._request_count

    @property
    def open_streams(self) -> int:
        """The number of answers that are still being written."""
        return len(self._active)

    @property
    def quota(self) -> AccountQuota:
        """The account's quota, and what it counted; it counts without limits, too."""
        return self._quota

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that point an AWS client to this emulator: endpoint, region and credentials."""
        names = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL_BEDROCK_MANTLE")
        region = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        return {**dict.fromkeys(names, self.url), **region, **self._guard.environ}

    def script(self, *steps: Step) -> None:
        """Append one answer, made of these steps, to the queue of scripted answers."""
        self._queue.append(steps)

    async def wait_for_requests(self, count: int, timeout: float | None = 5.0) -> list[ReceivedRequest]:  # noqa: ASYNC109
        """Wait until `count` requests have been received in total, and return `requests`.

        Raises `TimeoutError` after `timeout` seconds; None waits without a limit.
        """
        await self._wait_until(lambda: self._request_count >= count, timeout)
        return self._requests

    async def wait_for_streams(self, count: int, timeout: float | None = 5.0) -> None:  # noqa: ASYNC109
        """Wait until exactly `count` answers are being written. Raises `TimeoutError` after `timeout` seconds."""
        await self._wait_until(lambda: self.open_streams == count, timeout)

    async def wait_until_idle(self, timeout: float | None = 5.0) -> None:  # noqa: ASYNC109
        """Wait until no answer is being written. Raises `TimeoutError` after `timeout` seconds."""
        await self.wait_for_streams(0, timeout)

    async def start(self) -> None:
        """Start listening. `async with` does this."""
        server = Front(
            self._serve,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            max_line_size=_MAX_HEADER_SIZE,
            max_field_size=_MAX_HEADER_SIZE,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_TIMEOUT)
        await self._runner.setup()
        # `localhost` can resolve to several addresses, each of which would get a port of its own.
        host = "127.0.0.1" if self._host == "localhost" else self._host
        await web.TCPSite(self._runner, host, self._port, ssl_context=self._ssl).start()

    async def close(self) -> None:
        """Stop listening and cancel every answer. Does nothing if it is not running."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for task in self._active:
                task.cancel()
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # ------------------------------------------------------------------------------------------------------ requests

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        now = self._clock()
        headers = {"x-amzn-RequestId": str(uuid4()), "Date": format_datetime(now.astimezone(UTC), usegmt=True)}
        vendor = vendor_of(http.raw_path)
        if vendor != "aws":
            headers["x-request-id"] = headers["x-amzn-RequestId"]
        try:
            # With TLS the certificate already prevents DNS rebinding.
            if self._local and self._ssl is None:
                check_origin(http)
            return await self._answer(http, headers, now)
        except Refusal as refusal:
            return _refuse(refusal, vendor, headers)

    async def _answer(self, http: web.BaseRequest, headers: dict[str, str], now: datetime) -> web.StreamResponse:
        request = IncomingRequest(http.method, http.raw_path, http.headers, await _read_body(http))
        received, operation = self._receive(request, now)
        body = parse_body(request.body) if request.method == "POST" else {}
        model = received.model or ""
        self._check_exists(operation, model)
        with _bounded_depth():
            try:
                converse, form = operation.read(self._asked(received, operation, body))
                unscripted = answer(converse, model)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                # A member that no check covers has an unexpected type.
                raise Refusal(400, "SerializationException", f"A member has an unexpected type: {error}") from error
            facts = Facts.of(converse, model)
        # A throttled request gets no answer of the script, and never reaches the model and its prompt cache.
        with self._admit(operation, converse, facts) as admission:
            scripted = self._next_answer(received)
            steps = form.prepare(unscripted if scripted is None else list(fill(scripted, unscripted)))
            check_supported(steps, form, operation.name, model)
            if operation.vendor == "aws":
                headers |= {name: request.headers[name] for name in _ECHOED if name in request.headers}
            # Neither does a request that ends in an HTTP error.
            is_refused = any(isinstance(step, HttpError | ExpiredSignature) for step in steps)
            if operation.uses_cache and not is_refused:
                with _bounded_depth():
                    facts = facts._replace(cached=self._cache.update(converse, model))
            writer = form.writer(self._crc)
            exchange = Exchange(http, headers, steps, form, facts, writer, self._crc, self._pace, now, admission)
            return await self._play(operation, exchange)

    def _receive(self, request: IncomingRequest, now: datetime) -> tuple[ReceivedRequest, Operation]:
        """Check who calls, and return the record of the request and its operation."""
        route = find_operation(request.method, request.target)
        vendor = vendor_of(request.target)
        both = vendor != "aws" and self._endpoint != "runtime"
        # Refused requests are recorded too.
        try:
            identity = self._guard.verify(
                request, now, other_service=_MANTLE if both else None, by_api_key=vendor == "anthropic"
            )
        except Refusal:
            self._record(request, route, None)
            raise
        received = self._record(request, route, identity)
        if route is not None and has_path(self._endpoint, route[0]):
            return received, route[0]
        runtime = self._endpoint == "runtime" or (self._endpoint is None and identity.service == "bedrock")
        # bedrock-runtime answers so with HTTP 200.
        raise Refusal(
            200 if vendor != "aws" and runtime else 404, "UnknownOperationException", "The operation does not exist."
        )

    def _check_exists(self, operation: Operation, model: str) -> None:
        if self._models is None or model in self._models or not model:
            return
        if operation.vendor == "aws":
            raise invalid("The provided model identifier is invalid.")
        raise Refusal(404, "ResourceNotFoundException", f"The model '{model}' does not exist.", param="model")

    def _asked(self, received: ReceivedRequest, operation: Operation, body: dict[str, Any]) -> Asked:
        path = received.target.partition("?")[0]
        endpoint = meant_endpoint(received.service, self._endpoint, only_mantle=operation.only_mantle)
        return Asked(body, received.model or "", path, received.headers, endpoint, self._stored, self._models)

    def _admit(
        self, operation: Operation, converse: dict[str, Any], facts: Facts
    ) -> AbstractContextManager[Admission | None]:
        if not operation.uses_cache:  # no model reads the prompt
            return nullcontext()
        limit = (converse.get("inferenceConfig") or {}).get("maxTokens")
        return self._quota.admit(facts.model, facts.input_tokens, limit)

    async def _play(self, operation: Operation, exchange: Exchange) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  aiohttp runs every handler in a task
        self._active.add(task)
        self._notify()
        try:
            response = await operation.play(exchange)
            if exchange.admission is not None and (usage := exchange.usage()) is not None:
                exchange.admission.end(usage)
        except ConnectionError:
            # The client has disconnected, so this response is never sent.
            return web.Response()
        else:
            return response
        finally:
            self._active.discard(task)
            self._notify()

    def _record(
        self, request: IncomingRequest, route: tuple[Operation, str] | None, identity: Identity | None
    ) -> ReceivedRequest:
        parsed = None
        with suppress(ValueError, RecursionError):
            check_cost(request.body, MAX_BODY_COST)
            parsed = msgspec.json.decode(request.body)
        model = route[1] if route else None
        if model == "" and isinstance(parsed, dict) and isinstance(parsed.get("model"), str):
            model = parsed["model"]
        received = ReceivedRequest(
            method=request.method,
            target=request.target,
            headers=request.headers,
            body=request.body,
            json=parsed,
            operation=route[0].name if route else None,
            model=model,
            auth=identity.auth if identity else None,
            access_key_id=identity.access_key_id if identity else None,
            region=identity.region if identity else None,
            service=identity.service if identity else None,
        )
        self._requests.append(received)
        self._request_count += 1
        if self._keep_requests is not None:
            # `or None`: with 0 every request is dropped.
            del self._requests[: -self._keep_requests or None]
        self._notify()
        return received

    def _next_answer(self, received: ReceivedRequest) -> list[Step] | None:
        """Return the steps of the next scripted answer, None for an unscripted one."""
        scripted: Any = self._queue.popleft() if self._queue else self._script
        if callable(scripted):
            scripted = scripted(received)
        if scripted is None:
            return None
        return [scripted] if isinstance(scripted, Step) else list(scripted)

    # ------------------------------------------------------------------------------------------------------ waiting

    def _notify(self) -> None:
        self._state_changed.set()
        self._state_changed = asyncio.Event()

    async def _wait_until(self, condition: Callable[[], bool], seconds: float | None) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await self._state_changed.wait()


async def _read_body(http: web.BaseRequest) -> bytes:
    """Read the body. Raises `Refusal` for one that is too large, since it is read before the caller is known."""
    too_large = Refusal(413, "RequestEntityTooLargeException", f"The request body exceeds {_MAX_BODY} bytes.")
    if (http.content_length or 0) > _MAX_BODY:
        raise too_large
    # Counted while it is read: a chunked body has no announced length.
    body = bytearray()
    while part := await http.content.readany():
        body += part
        if len(body) > _MAX_BODY:
            raise too_large
    return bytes(body)


@contextmanager
def _bounded_depth() -> Iterator[None]:
    """Raise `Refusal` in place of `RecursionError`, which a deeply nested body causes."""
    try:
        yield
    except RecursionError:
        raise Refusal(400, "SerializationException", "The request body is nested too deeply.") from None


def _refuse(refusal: Refusal, vendor: Vendor, headers: dict[str, str]) -> web.Response:
    document = error_document(vendor, refusal, headers["x-amzn-RequestId"])
    # AWS's own authentication is in front of every path; the vendors' errors have no such header.
    has_type = refusal.code is not None and (vendor == "aws" or refusal.code in FRONT_DOOR)
    kind = {"x-amzn-ErrorType": f"{refusal.code}{ERROR_TYPE_SUFFIX}"} if has_type else {}
    return web.Response(
        status=refusal.status,
        body=UNKNOWN_OPERATION if refusal.status == 200 else msgspec.json.encode(document),
        headers={"Content-Type": "application/json", **headers, **kind, **refusal.headers},
    )
