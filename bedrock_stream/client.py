"""The client: what is shared by many calls, and the module-level `stream` and `generate`.

One client per process is enough: it keeps the connections of each event loop apart, and those of a loop close when the
loop shuts its asynchronous generators down, as `asyncio.run` does. So a script that never closes anything ends without
a warning, and a client made at import serves any number of `asyncio.run` calls.
"""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Unpack

from .assembly import Response
from .attempt import Call, open_answer, read_whole, request_id
from .auth.credentials import ApiKeySource, Credentials, Identity, Provider, check_api_key, find_identity
from .clocks import Timeouts
from .dialects import Dialect
from .dialects.converse import Converse
from .endpoints import check_region, resolve_endpoint, resolve_region
from .errors import BedrockStreamError, ClientClosed, ConfigurationError, UnsupportedOperation
from .messages import Prompt, read_prompt
from .models import normalize
from .options import CallOptions, Options, read_options
from .profiles import Settings, read_settings
from .request import EVENT_STREAM, build_request
from .streaming import Stream
from .transport import Transport

__all__ = ("Client", "generate", "stream")

_CONVERSE = Converse()


class Client:
    """Connections, credentials and defaults for any number of calls, streams and event loops.

    `region`, `endpoint_url`: where to go; see `endpoints` for what stands in when they are left out.
    `api_key`: a Bedrock API key, or an (async) callable that is asked before each request.
    `credentials`: `Credentials`, or an (async) callable that returns them, asked before each request.
    `max_connections`: how many answers may be open at once per event loop; more wait in line.
    `timeouts`: limits in seconds. `ssl`: a context in place of the default. `proxy`: an http:// address.
    `use_fips`, `use_dual_stack`: as the variables of the AWS SDKs. `allow_http`: plain http away from this machine.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        api_key: ApiKeySource | None = None,
        credentials: Provider | None = None,
        endpoint_url: str | None = None,
        max_connections: int = 256,
        timeouts: Timeouts | None = None,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | None = None,
        use_fips: bool | None = None,
        use_dual_stack: bool | None = None,
        allow_http: bool = False,
    ) -> None:
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise ConfigurationError("max_connections", f"{max_connections!r} is no limit", "give a number above 0")
        if credentials is not None and not isinstance(credentials, Credentials) and not callable(credentials):
            raise ConfigurationError(
                "credentials", f"a {type(credentials).__name__} is none", "give Credentials, or a callable"
            )
        if api_key is not None and not callable(api_key):
            check_api_key(api_key)
        self._region = None if region is None else check_region(region, "region")
        self._api_key = api_key
        self._credentials = credentials
        self._endpoint_url = endpoint_url
        self._max_connections = max_connections
        self._timeouts = timeouts or Timeouts()
        self._ssl = ssl
        self._proxy = proxy
        self._use_fips = use_fips
        self._use_dual_stack = use_dual_stack
        self._allow_http = allow_http
        self._closed = False
        self._settings: tuple[tuple[str | None, ...], Settings] | None = None
        self._transports: dict[asyncio.AbstractEventLoop, tuple[Transport, AsyncGenerator[None]]] = {}
        if endpoint_url is not None:
            self._endpoint(self._region or "us-east-1")  # a bad address is told here, not at the first call

    def stream(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream:
        """Stream an answer. Argument errors are raised here; nothing is sent before the first await."""
        return Stream(self._call(model, prompt, options, stream=True))

    async def generate(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
        """The whole answer at once. Raises what reading a stream would."""
        call = self._call(model, prompt, options, stream=False)
        answer = await open_answer(call)
        try:
            body = await read_whole(call, answer)
            return call.dialect.answer(body, request_id=request_id(answer), model=call.model)
        except BedrockStreamError as error:
            call.describe(error, request_id(answer))
            raise
        finally:
            answer.close()

    async def aclose(self) -> None:
        """Close every connection of every loop. Streams that are open end with `ClientClosed`."""
        self._closed = True
        here = asyncio.get_running_loop()
        for loop, (_, keeper) in list(self._transports.items()):
            if loop is here:
                await keeper.aclose()
            elif not loop.is_closed():
                asyncio.run_coroutine_threadsafe(keeper.aclose(), loop)
        self._transports.pop(here, None)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _call(self, model: str, prompt: Prompt, given: Mapping[str, Any], *, stream: bool) -> Call:
        """Everything that can be known, and can be wrong, before anything is sent."""
        name = normalize(model)
        options = read_options(given)
        messages = read_prompt(prompt)
        dialect = _route(options)
        region = options.region or resolve_region(self._region, os.environ, self._profile())
        request = build_request(
            self._endpoint(region),
            name,
            dialect.stream_operation if stream else dialect.operation,
            dialect.body(messages, options),
            accept=EVENT_STREAM if stream else "application/json",
        )
        return Call(
            request=request,
            dialect=dialect,
            model=name,
            region=region,
            timeouts=options.timeouts or self._timeouts,
            keep=options.keep,
            transport=self._transport,
            identity=self._identity_for(options),
        )

    def _identity_for(self, options: Options) -> Any:
        keys = {
            "api_key": options.api_key,
            "access_key_id": options.access_key_id,
            "secret_access_key": options.secret_access_key,
            "session_token": options.session_token,
        }
        if bool(options.access_key_id) != bool(options.secret_access_key) and not options.api_key:
            missing = "secret_access_key" if options.access_key_id else "access_key_id"
            raise ConfigurationError(missing, "half of a key pair is missing", "give both keys, or neither")

        async def identity() -> Identity:
            return await find_identity(keys, self._api_key, self._credentials, os.environ)

        return identity

    def _endpoint(self, region: str) -> str:
        return resolve_endpoint(
            region,
            os.environ,
            self._profile(),
            endpoint_url=self._endpoint_url,
            use_fips=self._use_fips,
            use_dual_stack=self._use_dual_stack,
            allow_http=self._allow_http,
        ).url

    def _profile(self) -> Settings:
        """The config file's settings, read once for each file and profile that the environment names."""
        names = ("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "HOME")
        key = tuple(os.environ.get(name) for name in names)
        if self._settings is None or self._settings[0] != key:
            self._settings = (key, read_settings(os.environ))
        return self._settings[1]

    async def _transport(self) -> Transport:
        """The running loop's connections."""
        if self._closed:
            raise ClientClosed("the client is closed")
        loop = asyncio.get_running_loop()
        entry = self._transports.get(loop)
        if entry is None:
            for other in [other for other in self._transports if other.is_closed()]:
                del self._transports[other]  # a loop that ended without shutting its generators down
            transport = Transport(max_connections=self._max_connections, ssl_context=self._ssl, proxy=self._proxy)
            entry = self._transports[loop] = (transport, self._keep(loop, transport))
            # Once started, the generator belongs to the loop, which closes it at its own end.
            await anext(entry[1])
        return entry[0]

    async def _keep(self, loop: asyncio.AbstractEventLoop, transport: Transport) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._transports.pop(loop, None)
            await transport.close()


def _route(options: Options) -> Dialect:
    if options.use_converse is False:
        raise UnsupportedOperation("use_converse", "False: the native route is not offered yet", "leave it out")
    return _CONVERSE


_shared: Client | None = None


def _shared_client() -> Client:
    global _shared
    if _shared is None:
        _shared = Client()
    return _shared


def stream(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream:
    """Stream an answer with the process's shared client, set up by the environment. See `Client.stream`."""
    return _shared_client().stream(model, prompt, **options)


async def generate(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
    """The whole answer at once with the process's shared client. See `Client.generate`."""
    return await _shared_client().generate(model, prompt, **options)
