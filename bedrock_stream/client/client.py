"""The client: the settings, credentials and connections that many calls share, and its methods, one for each operation.

One client per process is enough: it keeps the connections of each event loop apart (see `transport.per_loop`).
"""

from __future__ import annotations

import os
import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Unpack

from ..auth.credentials import without_frames
from ..auth.key_store import KeyLike
from ..auth.lookup import client_key_source
from ..auth.resolver import CredentialResolver
from ..auth.sources import ApiKeySource, KeySource, Provider
from ..dialects.payloads import decode_response
from ..errors import ConfigurationError
from ..observing import Observer
from ..request.call import Call, plan_call, plan_count, plan_raw
from ..request.models import check_models, describe
from ..request.surfaces import choose_count, choose_surface
from ..request.unsupported import Unsupported
from ..transport.certificates import Certificates, find_bundle
from ..transport.per_loop import Transports
from ..types.call_options import CallOptions, PlainOptions, RawOptions
from ..types.checks import is_integer
from ..types.messages import Message, Prompt, read_prompt
from ..types.model_facts import ModelFacts
from ..types.options import Options, mask_secrets, read_options
from ..types.response import Response, Schema
from ..types.settings import Masked, RetryPolicy, Target, Timeouts, check_region, read_targets
from .async_only import AsyncWith
from .attempts import Attempts
from .document import receive_document, response_parser, token_count
from .late_calls import BatchCalls, BotoCalls
from .logs import LogLines
from .pricing import Price, check_prices
from .reports import Explanation, Stats, explain_call
from .state import ClientSettings, ClientState, FindDestination
from .stream import RawStream, Stream

if TYPE_CHECKING:
    from ..transport.quota import QuotaLike
    from .tool_calls import AfterCall, BeforeCall
    from .tool_loop import ToolRun

__all__ = ("Client",)

_RAW_OPTIONS = tuple(RawOptions.__annotations__)


class Client(AsyncWith, BatchCalls, BotoCalls):
    """Connections, credentials and defaults for any number of calls, streams and event loops.

        async with Client(region="us-east-1", timeouts=Timeouts(total=60)) as client:
            print((await client.generate(model, "Hello")).text)

    Where requests are sent (https://docs.aws.amazon.com/general/latest/gr/bedrock.html):
        `region`: an AWS region; else `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, `us-east-1`.
        `endpoint_url`: the origin of both endpoints or of an emulator; else `AWS_ENDPOINT_URL_BEDROCK_RUNTIME` or
        `AWS_ENDPOINT_URL_BEDROCK_MANTLE`, `AWS_ENDPOINT_URL`, the profile's, the region's own.
        `use_fips`, `use_dual_stack`: as the variables of the AWS SDKs.
        `allow_http`: allow plain HTTP to another machine.
        `failover`: a sequence of `Target`, tried in this order when a call fails.

    Credentials, at most one of these; without any, those of the process are used, as the AWS SDKs find them
    (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html; see `auth.lookup`):
        `api_key`: a Bedrock API key, or an (async) callable that is called before each request.
        `credentials`: `Credentials`, a source such as `AssumeRole`, an (async) callable that returns `Credentials`, or
        a session of botocore.
        `keys`: what `put_key` takes, for this client alone.
        `profile`: the name of a profile in the shared AWS files.

    Limits and behavior:
        `max_connections`: how many responses may be open at once per event loop; more wait for a slot.
        `adaptive_concurrency`: learn how many requests a model takes at once without throttling, and send no more.
        `timeouts`: `Timeouts`, in seconds. `retry`: a `RetryPolicy`. Both can be set for a call too.
        `observers`: receive the steps of every call, for traces, metrics and logs; see `observing`.
        `prices`: a `Price` by model id, for `Response.cost`. Left out, genai-prices is used if it is installed, and
        costs are in US dollars; `{}` has every cost stay None.
        `ssl`: an `ssl.SSLContext` in place of the default one; see `transport.certificates`.
        `proxy`: a proxy's URL in place of the environment's; an empty one turns proxies off; see `transport.proxies`.
        `models`: what opaque model ids are, each a base model's id or `ModelFacts`.
        `unsupported`: what happens to an option that a model is known to refuse: `error`, `drop` or `send`; else
        `BEDROCK_STREAM_UNSUPPORTED`, else `error`.
        `clock`: returns the current time, timezone-aware, for signatures.
        `quotas`: a `Quota` by the beginning of model ids without geo prefix, such as `anthropic.claude-sonnet-4`; the
        longest one that matches holds for a call, which waits for it. Only `Timeouts.total` limits that wait.

    Raises `ConfigurationError` for an argument that cannot be used.
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
        models: Mapping[str, str | ModelFacts] | None = None,
        unsupported: Unsupported | None = None,
        quotas: Mapping[str, QuotaLike] | None = None,
    ) -> None:
        held = _Arguments({"api_key": api_key, "credentials": credentials, "keys": keys, "profile": profile})
        api_key = keys = None  # this frame is in the traceback of every bad argument
        settings = ClientSettings(
            region=None if region is None else check_region(region, "region"),
            endpoint_url=endpoint_url,
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            failover=_failover(failover),
            adaptive=adaptive_concurrency,
            observers=(LogLines(), *observers),
            prices=None if prices is None else check_prices(prices),
            use_fips=use_fips,
            use_dual_stack=use_dual_stack,
            allow_http=allow_http,
            models=check_models(models or {}),
            unsupported=unsupported,
        )
        self._resolver = CredentialResolver(_client_key_source(held), profile, clock)
        self._state = self._connect(settings, ssl, proxy, max_connections, quotas)

    def stream(
        self,
        model: str,
        prompt: Prompt,
        *,
        output_schema: type[Schema] | Mapping[str, Any] | None = None,
        **options: Unpack[PlainOptions],
    ) -> Stream[Schema]:
        """Stream a response. Nothing is sent before the first await.

        `model`: a model id, inference-profile id or ARN. `prompt`: a str, a `Message`, or a sequence of `Message` or
        dicts. `options`: see `CallOptions`. Raises `ConfigurationError` at once for an argument that cannot be used.
        """
        read = _read_options(_with_schema(options, output_schema))
        return Stream(self._attempts(model, prompt, read, streaming=True))

    async def generate(
        self,
        model: str,
        prompt: Prompt,
        *,
        output_schema: type[Schema] | Mapping[str, Any] | None = None,
        **options: Unpack[PlainOptions],
    ) -> Response[Schema]:
        """Return the whole response at once. Arguments as for `stream`. Raises what reading a stream would."""
        read = _read_options(_with_schema(options, output_schema))
        attempts = self._attempts(model, prompt, read, streaming=False)
        return await attempts.with_list_cost(await receive_document(attempts, response_parser(attempts)))

    def run_tools(
        self,
        model: str,
        prompt: Prompt,
        *,
        max_rounds: int = 10,
        before_call: BeforeCall | None = None,
        after_call: AfterCall | None = None,
        keep_partial: bool = False,
        output_schema: type[Schema] | Mapping[str, Any] | None = None,
        **options: Unpack[PlainOptions],
    ) -> ToolRun[Schema]:
        """Stream a response, run the functions that the model calls, send their results, until it calls none.

        `tools`: functions, or `Tool`s that have one. `max_rounds`: how many requests are sent at most. A `tool_choice`
        that forces a call forces it in the first request only; otherwise the model could never stop.

        `before_call(call)` is asked about each valid call of a round, one after another, before any of them is run.
        None or True runs the call; a `ToolCall` runs it with that one's input; False, a str or a `ToolResult` refuse
        it, and the model gets that as the result. `after_call(call, result)` receives each result once all calls of the
        round have ended, and may return another. Both may be async; plain functions run in a thread, as tools do. What
        a hook raises ends the run and is raised to the caller; `ToolRun.partial` then has the calls.

        `keep_partial`: add the answer so far to `ToolRun.messages` if the run ends early.

        Raises `ConfigurationError` for an argument that cannot be used.
        """
        from .tool_loop import begin_run

        held = _Arguments({**_with_schema(options, output_schema)})
        read = _read_options(options)

        def send(messages: tuple[Message, ...], changed: CallOptions) -> Stream[Schema]:
            return self.stream(model, messages, **{**held.options, **changed})

        return begin_run(
            send, prompt, read, max_rounds, before_call=before_call, after_call=after_call, keep_partial=keep_partial
        )

    def invoke_stream(self, model: str, body: Mapping[str, Any], **options: Unpack[RawOptions]) -> RawStream:
        """Stream any model's own JSON: `body` is sent as it is, each document is received as a dict.

        `options`: `region`, the credentials of the call, `project`, `timeouts`, `retry`. The families mark the end of a
        response in different ways, so only a body that was cut off raises `StreamInterrupted`.
        """
        return RawStream(self._raw_attempts(model, body, options, streaming=True))

    async def invoke(self, model: str, body: Mapping[str, Any], **options: Unpack[RawOptions]) -> dict[str, Any]:
        """Return any model's whole response in its own JSON. Arguments as for `invoke_stream`."""
        attempts = self._raw_attempts(model, body, options, streaming=False)
        return await receive_document(attempts, lambda _call, body, _id: decode_response(body))

    async def count_tokens(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> int:
        """Return how many input tokens a prompt has for a model, as Bedrock counts them. Few models support this.

        With `endpoint="mantle"`, Claude's Messages API counts, also for models that CountTokens does not take.
        """
        read, known = _read_options(options), self._state.settings.models.get(model)
        surface, _ = choose_count(describe(model, read.base_model or known), read)
        call = plan_count(model, prompt, read, self._state.destination(read, service=surface.service), known)
        return await receive_document(Attempts(self._state, [call]), lambda call, body, _id: token_count(call, body))

    def explain(self, model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Explanation:
        """Return what `stream` would send, where and why, secrets masked. Sends nothing and fetches no credentials."""

        read = _read_options(options)
        call = self._plan(model, prompt, read, streaming=True)
        key_source = self._resolver.key_source(call.destination.key_source)
        return explain_call(call, key_source.scheme, key_source.name)

    def facts(self, model: str) -> ModelFacts:
        """Return what a model takes, as the capability table or `models` has it. Raises `ConfigurationError`."""
        return describe(model, self._state.settings.models.get(model)).facts

    def stats(self) -> Stats:
        """Return the client's numbers, now and so far, over all event loops."""
        transports, state = list(self._transports), self._state
        return Stats(
            open_streams=sum(transport.slots.taken for transport in transports),
            waiting=sum(transport.slots.waiting for transport in transports),
            max_connections=self._max_connections,
            attempts=state.attempts,
            retries=state.retries,
            retries_left=state.budget.left,
            bytes_received=self._traffic.received + sum(transport.bytes_under_way for transport in transports),
            lanes={name: limit for transport in transports for name, limit in transport.lanes.limits().items()},
            quotas={} if state.quotas is None else state.quotas.stats(),
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_state"):  # in the traceback of a bad argument
            return "Client(not made)"
        # Only what a call would find anyway, without asking a source for credentials.
        try:
            destination = self._state.destination(Options())
        except ConfigurationError as error:
            where = f"invalid {error.argument}"
        else:
            where = f"region={destination.region!r}, endpoint={destination.endpoint.url!r}"
        opened = sum(transport.slots.taken for transport in self._transports)
        return f"Client({where}, credentials={self._resolver.description!r}, open_streams={opened})"

    async def aclose(self) -> None:
        """Close every connection of every event loop. Open streams end with `ClientClosed`."""
        self._resolver.close()
        await self._transports.aclose()

    # ------------------------------------------------------------------------------------------------------- internals

    def _connect(
        self,
        settings: ClientSettings,
        ssl: ssl_module.SSLContext | None,
        proxy: str | None,
        max_connections: int,
        quotas: Mapping[str, QuotaLike] | None,
    ) -> ClientState:
        # Importing aiohttp takes longer than all else together. A program that only names the class does not pay for
        # it, and a client that was made has it, so that no call blocks the loop for it.
        from ..transport.http_response import Traffic
        from ..transport.proxies import read_proxy
        from ..transport.transport import Transport

        if proxy not in (None, ""):
            read_proxy(proxy, "proxy")  # a bad one is reported here, not at the first call
        certificates = Certificates(ssl, lambda: find_bundle(os.environ, self._resolver.profile.settings))
        self._max_connections = limit = _check_max_connections(max_connections)
        trust, traffic = certificates.context, Traffic()
        self._traffic = traffic
        self._transports = Transports(
            lambda: Transport(max_connections=limit, trust=trust, traffic=traffic, proxy=proxy)
        )
        return ClientState(settings, self._resolver, self._transports, quotas=quotas)

    def _attempts(
        self, model: str, prompt: Prompt, options: Options, *, streaming: bool, find: FindDestination | None = None
    ) -> Attempts:
        """Return the attempts of a call, planned for each target. Raises `ConfigurationError` for any of them.

        `find` returns the first destination, if the caller knows it.
        """
        if options.show_retries and not streaming:
            raise ConfigurationError("show_retries", "generate() delivers no events", "use stream()")
        state = self._state
        failover = state.settings.failover if options.failover is None else options.failover
        if failover:
            from ..types.target_options import check_targets  # rarely needed

            check_targets(failover)
            prompt = read_prompt(prompt)  # it may be an iterator, and is read for each target
        calls = [self._plan(model, prompt, options, streaming=streaming, find=find)]
        calls += [self._plan(model, prompt, options, target, streaming=streaming) for target in failover]
        return Attempts(state, calls)

    def _plans(self, options: Any) -> tuple[_Calls, Options, _Arguments]:
        held = _Arguments({**options})
        return _Calls(self._state, _read_options, self._attempts, self._raw_attempts), _read_options(options), held

    def _plan(
        self,
        model: str,
        prompt: Prompt,
        options: Options,
        target: Target | None = None,
        *,
        streaming: bool,
        find: FindDestination | None = None,
    ) -> Call:
        """Return the call to a target, or to what `find` returns. Raises `ConfigurationError`."""
        if target is not None:
            model = target.model or model
            from ..types.target_options import options_at

            options = options_at(target, options)
        state = self._state
        known = state.settings.models.get(model)
        surface = choose_surface(describe(model, options.base_model or known), options)
        call = plan_call(
            model,
            prompt,
            options,
            state.destination(options, target, surface.service) if find is None else find(surface.service),
            streaming=streaming,
            known=known,
            unsupported=state.unsupported(options, target),
        )
        return state.prefixes.known(call)

    def _raw_attempts(
        self, model: str, body: Mapping[str, Any], arguments: Any, *, streaming: bool, converse: bool = False
    ) -> Attempts:
        options = _raw_options(arguments)
        destination = self._state.destination(options)
        call = plan_raw(model, body, destination, streaming=streaming, options=options, converse=converse)
        return Attempts(self._state, [call])


class _Calls(Masked, frozen=True):
    """What a batch needs of its client; see `batch.asking.Calls`."""

    state: ClientState
    read: Callable[[Any], Options]
    prompt: Callable[..., Attempts]
    body: Callable[..., Attempts]


class _Arguments(Masked, frozen=True):
    """Keyword arguments that may contain keys."""

    options: dict[str, Any]


def _client_key_source(arguments: _Arguments) -> KeySource | None:
    """Return the source in a client's arguments. Raises `ConfigurationError`, without the frames that hold the keys."""
    try:
        return client_key_source(**arguments.options)
    except ConfigurationError as error:
        failure = without_frames(error)
    raise failure


def _with_schema(options: PlainOptions, output_schema: Any) -> Any:
    """Return the keyword arguments of a call, the same dict, with its `output_schema` among them."""
    arguments: Any = options
    if output_schema is not None:
        arguments["output_schema"] = output_schema
    return arguments


def _read_options(arguments: Any) -> Options:
    """Read a call's keyword arguments and mask the keys in them. Raises `ConfigurationError`, without their frames."""
    try:
        return read_options(arguments)
    except ConfigurationError as error:
        failure = without_frames(error)
    finally:
        mask_secrets(arguments)
    raise failure


def _failover(value: Any) -> tuple[Target, ...]:
    targets = read_targets("failover", value)
    if targets:
        from ..types.target_options import check_targets

        check_targets(targets)
    return targets


def _check_max_connections(value: Any) -> int:
    if not is_integer(value) or value < 1:
        raise ConfigurationError("max_connections", f"expected a positive int, got {value!r}")
    return value


def _raw_options(arguments: Any) -> Options:
    """Return the options of a call whose body is the caller's own. Raises `ConfigurationError` for any other option."""
    unknown = _names_of(arguments) - {*_RAW_OPTIONS}
    options = _read_options(arguments)
    if unknown:
        raise ConfigurationError(
            min(unknown),
            "has no meaning where the body is the caller's own",
            f"known are {', '.join(_RAW_OPTIONS)}",
        )
    return options


def _names_of(arguments: Any) -> set[str]:
    provider = arguments.get("provider_options")
    return {*arguments, *(provider if isinstance(provider, Mapping) else ())}
