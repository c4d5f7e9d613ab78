"""Resolve a client's credentials: choose the source for a call and return its current credentials.

One resolver is shared by all calls and event loops of a client. Each source's credentials are in a `CredentialCache`;
a callable that returns an API key is called before each request, in the caller's context. The source and the region in
use are logged once, by name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Hashable
from datetime import datetime
from functools import partial
from typing import Any

from ..errors import ConfigurationError
from .credentials import ApiKey, Credentials, Identity, check_api_key
from .key_store import get_stored_keys
from .lookup import environment_key_source, find_key_source, stored_key_source
from .profiles import Profile, Profiles
from .refresh import CredentialCache
from .skew import ServiceClocks
from .sources import Http, KeySource, Source, SourceContext, answer_within, call_provider

__all__ = ("CredentialResolver",)

_log = logging.getLogger("bedrock_stream.auth")

_STATIC_VARIABLES = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID")
_MAX_CACHES = 256  # sources that are passed with each call must not accumulate
_SCHEMES = {"bearer": "an API key", "sigv4": "IAM credentials"}


class CredentialResolver:
    """The resolver of one client.

    `key_source` is what the client was created with; `profile` names a profile to use instead, which is read again when
    its files change. `clock` returns the local time, timezone-aware.
    """

    __slots__ = ("_caches", "_key_source", "_logged", "_prefer_profile", "_profiles", "clocks")

    def __init__(self, key_source: KeySource | None, profile: str | None, clock: Callable[[], datetime]) -> None:
        self._key_source = key_source
        self._profiles = Profiles(profile)
        self._prefer_profile = profile is not None
        self._caches: dict[Hashable, tuple[Any, CredentialCache]] = {}
        self._logged: set[str] = set()
        self.clocks: ServiceClocks = ServiceClocks(clock)
        """The time at each service host."""
        self._preload()

    @property
    def profile(self) -> Profile:
        """The profile in use; see `Profiles.read`."""
        return self._profiles.read(os.environ)

    @property
    def description(self) -> str:
        """The name of the client's own source, or of where else credentials are searched. Searches nothing."""
        if self._prefer_profile:
            return f"profile {self._profiles.name!r}"
        return "the environment" if self._key_source is None else self._key_source.name

    def key_source(self, call: KeySource | None) -> KeySource:
        """Return the source for a call; `call` is its own, if any. Raises `MissingCredentials` and others."""
        if call is not None:
            return call
        try:
            return self._find_key_source()
        except ConfigurationError:
            if not self._profiles.has_changed(os.environ):  # what is missing may have been written since the last look
                raise
        return self._find_key_source()

    def region(self, call: KeySource | None) -> str | None:
        """Return the region configured together with the credentials in use, without fetching anything."""
        key_source = call or self._key_source
        if key_source is None and not self._prefer_profile:
            key_source = stored_key_source(get_stored_keys())
        return None if key_source is None else key_source.region

    async def resolve(
        self, key_source: KeySource, http: Http, region: str, *, host: str = "", limit: float | None = None
    ) -> Identity:
        """Return a source's current identity, for requests to a host.

        Raises `CredentialsUnavailable`, also for a source that takes longer than `limit` seconds, and the source's own
        errors.
        """
        self._log_once(key_source, region)
        source = key_source.source
        if isinstance(source, Credentials | ApiKey):
            return source
        if key_source.scheme == "bearer":
            question = call_provider(source, key_source.name)
            return ApiKey(check_api_key(await answer_within(limit, key_source.name, question)))
        return await self._cached(key_source, http, region, host, limit)

    async def invalidate(
        self, key_source: KeySource, refused: Identity, *, host: str = "", limit: float | None = None
    ) -> None:
        """Use credentials that a host has refused no longer for this host, and read the profile files again."""
        await answer_within(limit, key_source.name, self._profiles.reread(os.environ))
        if isinstance(refused, Credentials) and key_source.key in self._caches:
            self._caches[key_source.key][1].invalidate(refused, host)

    def close(self) -> None:
        """Cancel fetches on the running loop."""
        for _, cache in list(self._caches.values()):
            cache.close()

    # ------------------------------------------------------------------------------------------------------- internals

    def _find_key_source(self) -> KeySource:
        own = self._key_source
        if self._prefer_profile:
            # As in the AWS SDKs, a profile that is named in code takes precedence over the environment's credentials.
            from .chain import profile_key_source

            own = profile_key_source(self.profile)
        return find_key_source(None, own, get_stored_keys(), os.environ, lambda: self.profile)

    def _preload(self) -> None:
        """Import now what would block the loop at the first request, unless static credentials make that unlikely."""
        if self._key_source is None:
            if not self._prefer_profile and any(os.environ.get(name) for name in _STATIC_VARIABLES):
                return
            from . import chain  # noqa: F401
        elif isinstance(self._key_source.source, Credentials | ApiKey):
            return
        from . import threads  # noqa: F401

    async def _cached(
        self,
        key_source: KeySource,
        http: Http,
        region: str,
        host: str,
        limit: float | None,
        *,
        leaves_fetch: bool = True,
    ) -> Credentials:
        """Return the credentials of a source that has a cache. See `CredentialCache.get`."""
        source, cache = self._cache_for(key_source)
        return await cache.get(
            lambda: self._fetch(source, key_source.name, http, region, limit),
            host=host,
            skew=self.clocks.skew(host),
            limit=limit,
            leaves_fetch=leaves_fetch,
        )

    def _cache_for(self, key_source: KeySource) -> tuple[Any, CredentialCache]:
        # Entries are in order of use: each use moves one to the end, and the first is evicted.
        entry = self._caches.pop(key_source.key, None)
        if entry is None:
            while len(self._caches) >= _MAX_CACHES:
                del self._caches[next(iter(self._caches))]
            is_source = isinstance(key_source.source, Source)
            cache = CredentialCache(
                key_source.name,
                self.clocks.local_now,
                cache_unexpiring=is_source,
                outlives_expiry=getattr(key_source.source, "outlives_expiry", False) is True,
            )
            entry = (key_source.source, cache)
        self._caches[key_source.key] = entry
        return entry

    async def _fetch(self, source: Any, name: str, http: Http, region: str, limit: float | None) -> Credentials:
        if isinstance(source, Source):
            source = partial(source.fetch, self._context(http, region, limit))
        result = await call_provider(source, name)
        if not isinstance(result, Credentials):
            problem = f"expected the provider to return Credentials, got {type(result).__name__}"
            raise ConfigurationError("credentials", problem)
        return result

    def _context(self, http: Http, region: str, limit: float | None) -> SourceContext:
        return SourceContext(
            http=http,
            environ=os.environ,
            settings=self.profile.settings,
            region=region,
            now=self.clocks.now,
            learn=self.clocks.learn,
            default=lambda: self._default_credentials(http, region, limit),
        )

    async def _default_credentials(self, http: Http, region: str, limit: float | None) -> Credentials:
        """Fetch IAM credentials as if the client had none: a role without a `source` is assumed with these."""
        stored = stored_key_source(get_stored_keys())
        if stored is not None and stored.scheme == "bearer":
            stored = None  # STS accepts only signed requests
        key_source = stored or environment_key_source(os.environ, bearer=False)
        if key_source is None:
            from .chain import chain_key_source

            key_source = chain_key_source(os.environ, self.profile)
        self._log_once(key_source, region)
        if isinstance(key_source.source, Credentials):
            return key_source.source
        # If the caller is given up, so is this fetch: the next caller must not join one that hangs.
        return await self._cached(key_source, http, region, "", limit, leaves_fetch=False)

    def _log_once(self, key_source: KeySource, region: str) -> None:
        if key_source.name not in self._logged:
            self._logged.add(key_source.name)
            _log.info("requests are authorized with %s, found in: %s", _SCHEMES[key_source.scheme], key_source.name)
        if region not in self._logged:
            self._logged.add(region)
            _log.info("requests are sent to region %s", region)
