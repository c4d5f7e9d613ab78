"""Who one client is, whoever asks: the place that counts for a call, and the keys from it as they are now.

Shared by all calls and loops of the client. Keys of a source are kept in its `CredentialCache`;
an API key that a callable gives
is asked for before each request, in the caller's own context. The place and the region that were chosen are logged
once, by name.
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
from .key_store import stored_keys
from .lookup import environment_key_source, find_key_source, stored_key_source
from .profiles import Profile, Profiles
from .refresh import CredentialCache
from .skew import ServiceClocks
from .sources import Http, KeySource, Source, SourceContext, call_provider, prepare_threads

__all__ = ("CredentialResolver",)

_log = logging.getLogger("bedrock_stream.auth")


class CredentialResolver:
    """The resolver of one client.

    `place` is what the client was made with; `profile` names a profile that takes its stead, read again whenever its
    files change. `clock` tells the time, aware.
    """

    __slots__ = ("_caches", "_key_source", "_logged", "_prefer_profile", "_profiles", "clocks")

    def __init__(self, key_source: KeySource | None, profile: str | None, clock: Callable[[], datetime]) -> None:
        self._key_source = key_source
        self._profiles = Profiles(profile)
        self._prefer_profile = profile is not None
        self._caches: dict[Hashable, tuple[Any, CredentialCache]] = {}
        self._logged: set[str] = set()
        self.clocks: ServiceClocks = ServiceClocks(clock)
        """What time the services think it is."""
        self._prepare()

    @property
    def profile(self) -> Profile:
        """The profile that counts, as its files are now."""
        return self._profiles.read(os.environ)

    def key_source(self, call: KeySource | None) -> KeySource:
        """The place that counts for a call. Raises `MissingCredentials`, `ConfigurationError`."""
        if call is not None:
            return call
        own = self._key_source
        if self._prefer_profile:
            from .chain import profile_key_source

            own = profile_key_source(self.profile)
        return find_key_source(None, own, stored_keys(), os.environ, lambda: self.profile)

    def region(self, call: KeySource | None) -> str | None:
        """The region put beside the keys, where those keys count; asks for nothing else."""
        key_source = call or self._key_source or (None if self._prefer_profile else stored_key_source(stored_keys()))
        return None if key_source is None else key_source.region

    async def ask(self, key_source: KeySource, http: Http, region: str) -> Identity:
        """The identity of a key source, now. Raises `CredentialsUnavailable` and what sources raise."""
        self._log_once(key_source, region)
        source = key_source.source
        if isinstance(source, Credentials | ApiKey):
            return source
        if key_source.scheme == "bearer":
            return ApiKey(check_api_key(await call_provider(source, key_source.name)))
        source, cache = self._cache(key_source)
        return await cache.get(lambda: self._fetch(source, key_source.name, http, region))

    def distrust(self, key_source: KeySource, refused: Identity) -> None:
        """The service refused keys of this place; kept ones are not used again, and files are read anew."""
        self._profiles.forget()
        if isinstance(refused, Credentials) and key_source.key in self._caches:
            self._caches[key_source.key][1].distrust(refused)

    def close(self) -> None:
        """Stop fetching on the running loop."""
        for _, cache in list(self._caches.values()):
            cache.close()

    # -------------------------------------------------------------------------------------------- what it rests on

    def _prepare(self) -> None:
        """Import what the first request would else stop the loop for, unless its keys are likely at hand."""
        if self._key_source is None:
            if not self._prefer_profile and any(os.environ.get(name) for name in _AT_HAND):
                return
            from . import chain  # noqa: F401
        elif isinstance(self._key_source.source, Credentials | ApiKey):
            return
        prepare_threads()

    def _cache(self, key_source: KeySource) -> tuple[Any, CredentialCache]:
        kept = self._caches.pop(key_source.key, None)
        if kept is None:
            while len(self._caches) >= _MAX_CACHES:
                del self._caches[next(iter(self._caches))]  # what was used longest ago
            lasting = isinstance(key_source.source, Source)
            kept = (key_source.source, CredentialCache(key_source.name, self.clocks.believed, lasting=lasting))
        self._caches[key_source.key] = kept
        return kept

    async def _fetch(self, source: Any, name: str, http: Http, region: str) -> Credentials:
        if isinstance(source, Source):
            source = partial(source.fetch, self._context(http, region))
        found = await call_provider(source, name)
        if not isinstance(found, Credentials):
            kind = type(found).__name__
            raise ConfigurationError("credentials", f"the provider gave a {kind}", "return Credentials")
        return found

    def _context(self, http: Http, region: str) -> SourceContext:
        return SourceContext(
            http=http,
            environ=os.environ,
            settings=self.profile.settings,
            region=region,
            now=self.clocks.now,
            learn=self.clocks.learn,
            default=lambda: self._default(http, region),
        )

    async def _default(self, http: Http, region: str) -> Credentials:
        """IAM keys of the places behind the client's own: what a role is assumed with where nothing else is said."""
        stored = stored_key_source(stored_keys())
        if stored is not None and stored.scheme == "bearer":
            stored = None
        key_source = stored or environment_key_source(os.environ, bearer=False)
        if key_source is None:
            from .chain import chain_key_source

            key_source = chain_key_source(os.environ, self.profile)
        found = await self.ask(key_source, http, region)
        assert isinstance(found, Credentials)  # noqa: S101 - no place of the three has a bearer key
        return found

    def _log_once(self, key_source: KeySource, region: str) -> None:
        if key_source.name not in self._logged:
            self._logged.add(key_source.name)
            _log.info("requests are authorized with %s, found in: %s", _SCHEMES[key_source.scheme], key_source.name)
        if region not in self._logged:
            self._logged.add(region)
            _log.info("requests go to region %s", region)


_AT_HAND = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID")
_MAX_CACHES = 256  # sources given call by call must not pile up
_SCHEMES = {"bearer": "an API key", "sigv4": "IAM keys"}
