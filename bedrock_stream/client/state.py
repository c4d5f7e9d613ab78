"""What all calls of one client share: settings, credentials, connections, breakers, the retry budget, counters."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from ..auth.lookup import call_key_source, target_key_source
from ..auth.resolver import CredentialResolver
from ..errors import ConfigurationError
from ..observing import Observer
from ..request.call import Call, Destination
from ..request.endpoints import BEDROCK_RUNTIME, Endpoint, Service, resolve_endpoint, resolve_region
from ..request.unsupported import MODES, Unsupported
from ..types.model_facts import ModelFacts
from ..types.options import Options
from ..types.response import Response
from ..types.settings import DEFAULT_REGION, RetryPolicy, Target, Timeouts
from .prefixes import Prefixes
from .pricing import Price, cost_of, price_for
from .retry import Breaker, Budget

if TYPE_CHECKING:
    from ..transport.per_loop import Transports
    from ..transport.quota import QuotaLike
    from .quotas import ClientQuotas

__all__ = ("ClientSettings", "ClientState", "FindDestination")

FindDestination: TypeAlias = Callable[[Service], Destination]
"""Returns where a call to a service is sent."""

_MAX_BREAKERS = 1024  # targets that are passed call by call must not pile up


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a client that hold for all its calls."""

    region: str | None
    endpoint_url: str | None
    timeouts: Timeouts
    retry: RetryPolicy
    failover: tuple[Target, ...]
    adaptive: bool
    prices: Mapping[str, Price] | None
    observers: tuple[Observer, ...]
    use_fips: bool | None
    use_dual_stack: bool | None
    allow_http: bool
    models: Mapping[str, str | ModelFacts] = {}
    """What opaque model ids are: the id of the base model, or the facts."""
    unsupported: Unsupported | None = None


class ClientState:
    """The shared state of one client. `clock` tells seconds for the breakers."""

    __slots__ = (
        "_breakers",
        "attempts",
        "budget",
        "clock",
        "prefixes",
        "quotas",
        "resolver",
        "retries",
        "settings",
        "transports",
    )

    def __init__(
        self,
        settings: ClientSettings,
        resolver: CredentialResolver,
        transports: Transports,
        clock: Callable[[], float] = monotonic,
        *,
        quotas: Mapping[str, QuotaLike] | None = None,
    ) -> None:
        self.settings: ClientSettings = settings
        self.resolver: CredentialResolver = resolver
        self.transports: Transports = transports
        self.clock: Callable[[], float] = clock
        self.budget: Budget = Budget()
        self.quotas: ClientQuotas | None = None if quotas is None else _client_quotas(quotas)
        """The quotas of its calls; None without any."""
        self.attempts: int = 0
        """Requests so far, retries included."""
        self.retries: int = 0
        """Attempts so far that followed a failed one."""
        self.prefixes: Prefixes = Prefixes()
        """The paths of bedrock-mantle that were learned."""
        self._breakers: dict[Hashable, Breaker] = {}
        if settings.endpoint_url is not None:  # a bad one is reported here, not at the first call
            self._endpoint(settings.region or DEFAULT_REGION, None, resolver.profile.settings)

    def destination(
        self, options: Options, target: Target | None = None, service: Service = BEDROCK_RUNTIME
    ) -> Destination:
        """Return where a call with these options is sent. Raises `ConfigurationError`."""
        settings, profile = self.settings, self.resolver.profile.settings
        key_source = call_key_source(
            options.api_key, options.access_key_id, options.secret_access_key, options.session_token
        )
        region = options.region or settings.region or self.resolver.region(key_source)
        endpoint_url = None
        if target is not None:
            region, endpoint_url = target.region or region, target.endpoint_url
            key_source = target_key_source(target.api_key, target.credentials) or key_source
        region = resolve_region(region, os.environ, profile)
        return Destination(
            region=region,
            endpoint=self._endpoint(region, endpoint_url, profile, service),
            service=service,
            key_source=key_source,
            timeouts=options.timeouts or settings.timeouts,
            retry=options.retry or settings.retry,
        )

    def unsupported(self, options: Options, target: Target | None) -> Unsupported:
        """Return what happens to an option that the model refuses. Failover targets drop what only others take."""
        explicit = options.unsupported or self.settings.unsupported or _mode_of_environment()
        return "drop" if target is not None and explicit in (None, "error") else explicit or "error"

    def _endpoint(
        self,
        region: str,
        endpoint_url: str | None,
        profile: Mapping[str, str],
        service: Service = BEDROCK_RUNTIME,
    ) -> Endpoint:
        """Return the endpoint of a region; a target's `endpoint_url` takes precedence over the client's."""
        settings = self.settings
        return resolve_endpoint(
            region,
            os.environ,
            profile,
            service=service,
            endpoint_url=endpoint_url or settings.endpoint_url,
            use_fips=settings.use_fips,
            use_dual_stack=settings.use_dual_stack,
            allow_http=settings.allow_http,
        )

    def breaker(self, call: Call) -> Breaker:
        """Return the breaker of a call's target. Targets that differ in their credentials alone have one each."""
        source = call.destination.key_source
        key = (call.target, None if source is None else source.key)
        breaker = self._breakers.get(key)
        if breaker is None:
            while len(self._breakers) >= _MAX_BREAKERS:
                del self._breakers[next(iter(self._breakers))]
            breaker = self._breakers[key] = Breaker()
        return breaker

    def shared_quotas(self) -> ClientQuotas:
        """Return the quotas of its calls, for a call that has one of its own as well."""
        if self.quotas is None:
            self.quotas = _client_quotas({})
        return self.quotas

    def finish(self, call: Call, response: Response) -> Response:
        """Return a whole response with its cost and its parsed output."""
        price = price_for(call.model, self.settings.prices or {})
        if price is not None:
            response = msgspec.structs.replace(response, cost=cost_of(response.usage, price))
        return response if call.output is None else call.output.read(response)

    async def with_list_cost(self, call: Call, response: Response) -> Response:
        """Return a whole response with its cost by genai-prices, if the client has no price table of its own."""
        if self.settings.prices is not None or response.usage is None:
            return response
        from .list_prices import list_cost  # only a program that reads a Response needs it

        return msgspec.structs.replace(response, cost=await list_cost(call, response))


def _client_quotas(quotas: Mapping[str, QuotaLike]) -> ClientQuotas:
    """Return a client's quotas. Raises `ConfigurationError`."""
    from .quotas import ClientQuotas  # a client without quotas does not load them

    return ClientQuotas(quotas)


def _mode_of_environment() -> Unsupported | None:
    """Return the mode that `BEDROCK_STREAM_UNSUPPORTED` names. Raises `ConfigurationError` for another word."""
    mode = os.environ.get("BEDROCK_STREAM_UNSUPPORTED", "").strip().lower()
    if not mode:
        return None
    if mode not in MODES:
        problem = f"expected one of {', '.join(MODES)}, got {mode!r}"
        raise ConfigurationError("BEDROCK_STREAM_UNSUPPORTED", problem)
    return next(known for known in MODES if known == mode)
