"""From a plan to a call: where it goes, who signs it, with what limits, and where else it may go.

What a client was made with meets what a call says; the call goes before it. Nothing is sent here.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..auth.lookup import call_key_source, target_key_source
from ..auth.profiles import Settings
from ..auth.resolver import CredentialResolver
from ..auth.signer import Signer
from ..auth.sources import KeySource
from ..dialects.raw import Raw
from ..errors import ConfigurationError
from ..observing import Observer
from ..request.endpoints import Endpoint, resolve_endpoint, resolve_region
from ..request.http import Request, build_request
from ..request.models import Model
from ..request.plan import Plan, make_plan
from ..types.messages import Prompt
from ..types.options import Options
from ..types.response import Response
from ..types.settings import RetryPolicy, Target, Timeouts
from .attempts import Attempts
from .call import Call
from .pricing import Price, cost_of, price_for
from .retry import Memory

if TYPE_CHECKING:
    from ..transport.transport import Transport

__all__ = ("RAW", "Calls", "Defaults", "Where")

RAW = Raw()
"""The dialect of calls whose body is the caller's own."""


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a client was made with, for all its calls."""

    region: str | None
    endpoint_url: str | None
    timeouts: Timeouts
    retry: RetryPolicy
    failover: tuple[Target, ...]
    adaptive: bool
    prices: Mapping[str, Price]
    observers: tuple[Observer, ...]
    use_fips: bool | None
    use_dual_stack: bool | None
    allow_http: bool


class Where(msgspec.Struct, frozen=True):
    """Where a plan goes, and the request that goes there."""

    region: str
    endpoint: Endpoint
    request: Request


class Calls:
    """Makes the calls of one client."""

    __slots__ = ("_defaults", "_memory", "_resolver", "_transport")

    def __init__(
        self,
        defaults: Defaults,
        resolver: CredentialResolver,
        memory: Memory,
        transport: Callable[[], Awaitable[Transport]],
    ) -> None:
        self._defaults = defaults
        self._resolver = resolver
        self._memory = memory
        self._transport = transport

    def planned(self, model: str, prompt: Prompt, given: Mapping[str, Any], *, stream: bool) -> Attempts:
        """The attempts of a call, one target after the other. Raises `ConfigurationError` for any of them."""
        plan = make_plan(model, prompt, given, stream=stream)
        options = plan.options
        calls = [self._call(plan, self.where(plan), _own_key_source(options), stream)]
        failover = self._defaults.failover if options.failover is None else options.failover
        calls += [self._call_elsewhere(target, model, prompt, given, stream=stream) for target in failover]
        return self._attempts(calls, options)

    def raw(
        self,
        model: Model,
        operation: str,
        body: Mapping[str, Any],
        headers: tuple[tuple[str, str], ...],
        options: Options,
    ) -> Attempts:
        """The attempts of a call whose body is the caller's."""
        if not isinstance(body, Mapping):
            raise ConfigurationError("body", f"a {type(body).__name__} is no body", "give a dict")
        own, settings = _own_key_source(options), self._resolver.profile.settings
        region = self._region(options, own, settings)
        endpoint = self.endpoint(region, settings)
        call = Call(
            request=build_request(endpoint.url, model.id, operation, body, headers=headers),
            dialect=RAW,
            model=model.id,
            region=region,
            target=Target(model=model.id, region=region, endpoint_url=endpoint.url),
            timeouts=options.timeouts or self._defaults.timeouts,
            keep=False,
            operation=operation,
            streaming=operation == RAW.stream_operation,
            transport=self._transport,
            signer=lambda: Signer(self._resolver, own, region),
            adaptive=self._defaults.adaptive,
        )
        return self._attempts([call], options)

    def where(self, plan: Plan, target: Target | None = None) -> Where:
        """Where a plan goes; a target's own address goes before the client's."""
        settings = self._resolver.profile.settings
        region = self._region(plan.options, _own_key_source(plan.options), settings)
        endpoint = self.endpoint(region, settings, None if target is None else target.endpoint_url)
        request = build_request(endpoint.url, plan.model.id, plan.operation, plan.body, headers=plan.headers)
        return Where(region, endpoint, request)

    def key_source(self, options: Options) -> KeySource:
        """Who signs. Raises `MissingCredentials`."""
        return self._resolver.key_source(_own_key_source(options))

    def endpoint(self, region: str, settings: Settings, endpoint_url: str | None = None) -> Endpoint:
        """The address of a region, with a profile's settings. Raises `ConfigurationError`."""
        defaults = self._defaults
        return resolve_endpoint(
            region,
            os.environ,
            settings,
            endpoint_url=endpoint_url or defaults.endpoint_url,
            use_fips=defaults.use_fips,
            use_dual_stack=defaults.use_dual_stack,
            allow_http=defaults.allow_http,
        )

    # ------------------------------------------------------------------------------------------------ what it rests on

    def _call_elsewhere(
        self, target: Target, model: str, prompt: Prompt, given: Mapping[str, Any], *, stream: bool
    ) -> Call:
        changed = dict(given) if target.region is None else {**given, "region": target.region}
        plan = make_plan(target.model or model, prompt, changed, stream=stream)
        own = target_key_source(target.api_key, target.credentials) or _own_key_source(plan.options)
        return self._call(plan, self.where(plan, target), own, stream)

    def _call(self, plan: Plan, where: Where, own: KeySource | None, stream: bool) -> Call:
        price, region = price_for(plan.model, self._defaults.prices), where.region

        def finish(response: Response) -> Response:
            if price is not None:
                response = msgspec.structs.replace(response, cost=cost_of(response.usage, price))
            return response if plan.output is None else plan.output.read(response)

        return Call(
            request=where.request,
            dialect=plan.route.dialect,
            model=plan.model.id,
            region=region,
            target=Target(model=plan.model.id, region=region, endpoint_url=where.endpoint.url),
            account=None if own is None else own.key,
            timeouts=plan.options.timeouts or self._defaults.timeouts,
            keep=plan.options.keep,
            operation=plan.operation,
            streaming=stream,
            messages=plan.route.messages,
            options=plan.options,
            finish=finish if price is not None or plan.output is not None else None,
            transport=self._transport,
            signer=lambda: Signer(self._resolver, own, region),
            adaptive=self._defaults.adaptive,
        )

    def _attempts(self, calls: Sequence[Call], options: Options) -> Attempts:
        defaults = self._defaults
        return Attempts(calls, options.retry or defaults.retry, self._memory, defaults.observers)

    def _region(self, options: Options, own: KeySource | None, settings: Settings) -> str:
        explicit = options.region or self._defaults.region or self._resolver.region(own)
        return resolve_region(explicit, os.environ, settings)


def _own_key_source(options: Options) -> KeySource | None:
    return call_key_source(options.api_key, options.access_key_id, options.secret_access_key, options.session_token)
