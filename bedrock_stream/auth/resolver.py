"""Who one client is, whoever asks: the place that counts for a call, and the keys from it as they are now.

Shared by all calls and loops of the client. Keys of a source are kept in its `Keeper`; an API key that a callable gives
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
from .lookup import environment_place, find_place, store_place
from .profiles import Profile, Profiles
from .refresh import Keeper
from .skew import ServiceClocks
from .sources import Http, Outside, Place, Source, call_provider, prepare_threads

__all__ = ("Identities",)

_log = logging.getLogger("bedrock_stream.auth")


class Identities:
    """The identities of one client.

    `place` is what the client was made with; `profile` names a profile that takes its stead, read again whenever its
    files change. `clock` tells the time, aware.
    """

    __slots__ = ("_keepers", "_logged", "_place", "_prefer_profile", "_profiles", "clocks")

    def __init__(self, place: Place | None, profile: str | None, clock: Callable[[], datetime]) -> None:
        self._place = place
        self._profiles = Profiles(profile)
        self._prefer_profile = profile is not None
        self._keepers: dict[Hashable, tuple[Any, Keeper]] = {}
        self._logged: set[str] = set()
        self.clocks: ServiceClocks = ServiceClocks(clock)
        """What time the services think it is."""
        self._prepare()

    @property
    def profile(self) -> Profile:
        """The profile that counts, as its files are now."""
        return self._profiles.read(os.environ)

    def place(self, call: Place | None) -> Place:
        """The place that counts for a call. Raises `MissingCredentials`, `ConfigurationError`."""
        if call is not None:
            return call
        own = self._place
        if self._prefer_profile:
            from .chain import profile_place

            own = profile_place(self.profile)
        return find_place(None, own, stored_keys(), os.environ, lambda: self.profile)

    def region(self, call: Place | None) -> str | None:
        """The region put beside the keys, where those keys count; asks for nothing else."""
        place = call or self._place or (None if self._prefer_profile else store_place(stored_keys()))
        return None if place is None else place.region

    async def ask(self, place: Place, http: Http, region: str) -> Identity:
        """The identity of a place, now. Raises `CredentialsUnavailable` and what sources raise."""
        self._log_once(place, region)
        source = place.source
        if isinstance(source, Credentials | ApiKey):
            return source
        if place.scheme == "bearer":
            return ApiKey(check_api_key(await call_provider(source, place.name)))
        source, keeper = self._keeper(place)
        return await keeper.get(lambda: self._fetch(source, place.name, http, region))

    def distrust(self, place: Place, refused: Identity) -> None:
        """The service refused keys of this place; kept ones are not used again, and files are read anew."""
        self._profiles.forget()
        if isinstance(refused, Credentials) and place.key in self._keepers:
            self._keepers[place.key][1].distrust(refused)

    def close(self) -> None:
        """Stop fetching on the running loop."""
        for _, keeper in list(self._keepers.values()):
            keeper.close()

    # -------------------------------------------------------------------------------------------- what it rests on

    def _prepare(self) -> None:
        """Import what the first request would else stop the loop for, unless its keys are likely at hand."""
        if self._place is None:
            if not self._prefer_profile and any(os.environ.get(name) for name in _AT_HAND):
                return
            from . import chain  # noqa: F401
        elif isinstance(self._place.source, Credentials | ApiKey):
            return
        prepare_threads()

    def _keeper(self, place: Place) -> tuple[Any, Keeper]:
        kept = self._keepers.pop(place.key, None)
        if kept is None:
            while len(self._keepers) >= _MOST_KEEPERS:
                del self._keepers[next(iter(self._keepers))]  # what was used longest ago
            lasting = isinstance(place.source, Source)
            kept = (place.source, Keeper(place.name, self.clocks.believed, lasting=lasting))
        self._keepers[place.key] = kept
        return kept

    async def _fetch(self, source: Any, name: str, http: Http, region: str) -> Credentials:
        if isinstance(source, Source):
            source = partial(source.fetch, self._outside(http, region))
        found = await call_provider(source, name)
        if not isinstance(found, Credentials):
            kind = type(found).__name__
            raise ConfigurationError("credentials", f"the provider gave a {kind}", "return Credentials")
        return found

    def _outside(self, http: Http, region: str) -> Outside:
        return Outside(
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
        stored = store_place(stored_keys())
        if stored is not None and stored.scheme == "bearer":
            stored = None
        place = stored or environment_place(os.environ, bearer=False)
        if place is None:
            from .chain import chain_place

            place = chain_place(os.environ, self.profile)
        found = await self.ask(place, http, region)
        assert isinstance(found, Credentials)  # noqa: S101 - no place of the three has a bearer key
        return found

    def _log_once(self, place: Place, region: str) -> None:
        if place.name not in self._logged:
            self._logged.add(place.name)
            _log.info("requests are authorized with %s, found in: %s", _SCHEMES[place.scheme], place.name)
        if region not in self._logged:
            self._logged.add(region)
            _log.info("requests go to region %s", region)


_AT_HAND = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID")
_MOST_KEEPERS = 256  # sources given call by call must not pile up
_SCHEMES = {"bearer": "an API key", "sigv4": "IAM keys"}
