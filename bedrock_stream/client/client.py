"""The client: what is shared by many calls.

One client per process is enough: it keeps the connections of each event loop apart (see `loops`). What a call means is
decided in `plan`, where it goes in `calls`, how often it is sent in `attempts`; here they meet.
"""

from __future__ import annotations

import os
import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import msgspec

from ..auth.key_store import KeyLike
from ..auth.lookup import client_key_source
from ..auth.resolver import CredentialResolver
from ..auth.sources import ApiKeySource, Provider
from ..dialects.payloads import decode_object
from ..errors import ConfigurationError, InvalidFrame
from ..observing import Observer
from ..request.http import EVENT_STREAM
from ..request.models import describe
from ..request.plan import make_plan
from ..transport.certificates import Certificates, find_bundle
from ..transport.per_loop import Transports
from ..types.checks import is_integer
from ..types.messages import Message, Prompt, read_prompt
from ..types.options import CallOptions, Options, read_options
from ..types.response import Response
from ..types.settings import DEFAULT_REGION, RetryPolicy, Target, Timeouts, check_region, read_targets
from .call import Call
from .calls import RAW, Calls, Defaults
from .logs import LogLines
from .pricing import Price, check_prices
from .reports import Stats
from .retry import Memory
from .stream import RawStream, Stream, read_answer

if TYPE_CHECKING:
    from .reports import Explanation
    from .tool_loop import ToolRun

__all__ = ("Client",)

_RAW_OPTIONS = frozenset(
    {"region", "api_key", "access_key_id", "secret_access_key", "session_token", "timeouts", "retry"}
)


class Client:
    """Connections, credentials and defaults for any number of calls, streams and event loops.

    `region`, `endpoint_url`: where to go; see `endpoints` for what stands in when they are left out.
    Who asks, one of: `api_key`, a Bedrock API key, or an (async) callable that is asked before each request;
    `credentials`, which are `Credentials`, a source such as `AssumeRole`, an (async) callable that returns them, or a
    session of botocore; `keys`, what `put_key` takes, for this client alone; `profile`, the name of one in the shared
    AWS files. Without any of them the process decides: see `auth.places`.
    `max_connections`: how many answers may be open at once per event loop; more wait in line.
    `adaptive_concurrency`: send no more to a model at once than it takes without throttling, which is learned.
    `retry`: how often and how patiently a call is tried; `failover`: where else it may go, in this order.
    `observers`: who looks on, for traces and the like; see `observing`.
    `prices`: what tokens cost, by model id; see `pricing`. `timeouts`: limits in seconds.
    `ssl`: a context in place of the default; see `certificates` for what stands in when it is left out.
    `proxy`: an address, in place of what the environment names for most; see `proxies`. An empty one means none at all.
    `use_fips`, `use_dual_stack`: as the variables of the AWS SDKs. `allow_http`: plain http away from this machine.
    `clock`: tells the time for signatures, aware.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        api_key: ApiKeySource | None = None,
        credentials: Provider | None = None,
        keys: KeyLike | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        max_connections: int = 256,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        failover: Sequence[Target] = (),
        adaptive_concurrency: bool = False,
        observers: Sequence[Observer] = (),
        prices: Mapping[str, Price] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | None = None,
        use_fips: bool | None = None,
        use_dual_stack: bool | None = None,
        allow_http: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        # aiohttp takes longer than all else together: whoever only names the class does not wait for it, and a client
        # that was made has it, so that no call stops the loop for it.
        from ..transport.http_response import Traffic
        from ..transport.proxies import read_proxy
        from ..transport.transport import Transport

        if not is_integer(max_connections) or max_connections < 1:
            raise ConfigurationError("max_connections", f"{max_connections!r} is no limit", "give a number above 0")
        if proxy not in (None, ""):
            read_proxy(proxy, "proxy")  # a bad address is told here, not at the first call
        key_source = client_key_source(api_key=api_key, credentials=credentials, keys=keys, profile=profile)
        self._resolver = CredentialResolver(key_source, profile, clock)
        certificates = Certificates(ssl, lambda: find_bundle(os.environ, self._resolver.profile.settings))
        self._max_connections = max_connections
        self._memory = Memory()
        self._traffic = traffic = Traffic()
        self._transports = Transports(
            lambda: Transport(max_connections=max_connections, trust=certificates.context, traffic=traffic, proxy=proxy)
        )
        defaults = Defaults(
            region=None if region is None else check_region(region, "region"),
            endpoint_url=endpoint_url,
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            failover=read_targets("failover", failover),
            adaptive=adaptive_concurrency,
            observers=(LogLines(), *observers),
            prices=check_prices(prices or {}),
            use_fips=use_fips,
            use_dual_stack=use_dual_stack,
            allow_http=allow_http,
        )
        self._calls = Calls(defaults, self._resolver, self._memory, self._transports.here)
        if endpoint_url is not None:
            self._calls.endpoint(region or DEFAULT_REGION, self._resolver.profile.settings)  # as is a bad endpoint

    def stream(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream:
        """Stream an answer. Argument errors are raised here; nothing is sent before the first await."""
        return Stream(self._calls.planned(model, prompt, options, stream=True))

    async def generate(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
        """The whole answer at once. Raises what reading a stream would."""
        return await read_answer(self._calls.planned(model, prompt, options, stream=False), _whole_response)

    def run_tools(self, model: str, prompt: Prompt, *, max_rounds: int = 10, **options: Unpack[CallOptions]) -> ToolRun:
        """Stream an answer, run the functions that it calls, feed their results back, until it calls none.

        `tools` are functions, or `Tool`s that have one. The model is asked at most `max_rounds` times. A `tool_choice`
        that forces a call forces the first answer only: forced again and again, the model could never stop.
        """
        if not is_integer(max_rounds) or max_rounds < 1:
            raise ConfigurationError("max_rounds", f"{max_rounds!r} is no number of rounds", "give 1 or more")
        from .tool_loop import ToolRun

        read = read_options(options)
        tools = read.tools
        if not tools:
            raise ConfigurationError("tools", "there are none to run", "give functions, or use stream()")
        if not read.keep:
            raise ConfigurationError("keep", "False keeps nothing to find calls in", "leave keep=False out")
        first = read_prompt(prompt)

        def start(messages: tuple[Message, ...]) -> Stream:
            offered: Any = {**options, "tools": tools}
            if messages is not first and read.tool_choice not in ("auto", "none"):
                offered["tool_choice"] = None
            return self.stream(model, messages, **offered)

        return ToolRun(start, first, tools, max_rounds)

    def invoke_stream(self, model: str, body: Mapping[str, Any], **options: Any) -> RawStream:
        """Stream any model's own JSON: `body` is sent as it is, each document comes as a dict.

        `options`: `region`, the keys, `timeouts`. Bedrock marks no end that all families share, so only a torn body
        is told from a finished one.
        """
        headers = (("Accept", EVENT_STREAM), ("X-Amzn-Bedrock-Accept", "application/json"))
        return RawStream(self._calls.raw(describe(model), RAW.stream_operation, body, headers, _raw_options(options)))

    async def invoke(self, model: str, body: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """The whole answer of any model in its own JSON. `options` as for `invoke_stream`."""
        headers = (("Accept", "application/json"),)
        attempts = self._calls.raw(describe(model), RAW.operation, body, headers, _raw_options(options))
        return await read_answer(attempts, lambda _call, body, _id: decode_object(body, "the answer"))

    async def count_tokens(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> int:
        """How many input tokens a prompt has for a model, as the service counts. Few models can be asked."""
        plan = make_plan(model, prompt, {**options, "use_converse": True}, stream=False)
        counted = ("messages", "system", "toolConfig", "additionalModelRequestFields")
        body = {"input": {"converse": {name: plan.body[name] for name in counted if name in plan.body}}}
        # The operation takes no inference profiles, but the models behind them.
        asked = describe(plan.model.base)
        headers = (("Accept", "application/json"),)
        attempts = self._calls.raw(asked, "count-tokens", body, headers, plan.options)
        return await read_answer(attempts, lambda _call, body, _id: _token_count(body))

    def explain(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Explanation:
        """What `stream` would send, where and why, secrets masked. Sends nothing and asks no provider for keys."""
        from .reports import Explanation

        plan = make_plan(model, prompt, options, stream=True)
        where, key_source = self._calls.where(plan), self._calls.key_source(plan.options)
        request = where.request
        masked = "Bearer ..." if key_source.scheme == "bearer" else "AWS4-HMAC-SHA256 Credential=..., Signature=..."
        return Explanation(
            model=plan.model.id,
            family=plan.model.family,
            route=plan.route.dialect.route,
            reason=plan.route.reason,
            region=where.region,
            method=request.method,
            url=request.url,
            endpoint_source=where.endpoint.source,
            auth=f"{key_source.scheme}, {key_source.name}",
            headers={**dict(request.headers), "Authorization": masked},
            body=msgspec.json.decode(request.body.data),
        )

    def stats(self) -> Stats:
        """What goes on now, and what has gone on so far, over all loops."""
        transports = list(self._transports)
        memory = self._memory
        return Stats(
            open_streams=sum(transport.slots.taken for transport in transports),
            waiting=sum(transport.slots.waiting for transport in transports),
            max_connections=self._max_connections,
            attempts=memory.attempts,
            retries=memory.retries,
            retries_left=memory.budget.left,
            bytes_received=self._traffic.received + sum(transport.bytes_under_way for transport in transports),
            lanes={name: limit for transport in transports for name, limit in transport.lanes.limits().items()},
        )

    async def aclose(self) -> None:
        """Close every connection of every loop. Streams that are open end with `ClientClosed`."""
        self._resolver.close()
        await self._transports.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _whole_response(call: Call, body: bytes, request_id: str | None) -> Response:
    return call.finished(call.dialect.answer(body, request_id=request_id, model=call.model))


def _raw_options(given: Mapping[str, Any]) -> Options:
    """Those options that say something about a call whose body is the caller's."""
    options = read_options(given)
    unknown = {*given, *(given.get("provider_options") or ())} - _RAW_OPTIONS - {"provider_options"}
    if unknown:
        known = ", ".join(sorted(_RAW_OPTIONS))
        raise ConfigurationError(min(unknown), "it has no meaning for a raw call", f"known are {known}")
    return options


def _token_count(body: bytes) -> int:
    count = decode_object(body, "the answer").get("inputTokens")
    if type(count) is not int:
        raise InvalidFrame("the answer holds no inputTokens")
    return count
