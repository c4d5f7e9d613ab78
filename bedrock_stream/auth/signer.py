"""The signatures of one attempt: each sending gets its own, and a refusal that a new one would cure is known here.

Two refusals are cured, once each, whether they come as the answer's status or as its first frame: a clock that is apart
from the service's, which is learned for its host; and keys that have expired, where their place gives others now.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from ..errors import BedrockStreamError, ServiceError, SignatureExpired
from ..request.http import Request
from .credentials import ApiKey, Identity
from .resolver import Identities
from .sigv4 import sign
from .skew import describe_refusal, read_refusal
from .sources import Http, Place

__all__ = ("Signer",)

_STALE = frozenset({"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId"})


class Signer:
    """Signs one attempt to one endpoint, as often as it is sent. `call` is the place of the call's own keys, if any."""

    __slots__ = ("_call", "_cured", "_host", "_http", "_identities", "_region", "_signed_at", "_used")

    def __init__(self, identities: Identities, call: Place | None, region: str) -> None:
        self._identities = identities
        self._call = call
        self._region = region
        self._host = ""
        self._http: Http | None = None
        self._used: tuple[Place, Identity] | None = None
        self._signed_at: datetime | None = None
        self._cured: set[str] = set()

    async def authorize(self, request: Request, http: Http) -> dict[str, str]:
        """The headers that prove who asks. Raises `MissingCredentials` and what the source of the keys raises."""
        identities = self._identities
        place = identities.place(self._call)
        identity = await identities.ask(place, http, self._region)
        self._used, self._http = (place, identity), http
        if isinstance(identity, ApiKey):
            return {"Authorization": f"Bearer {identity.token}"}
        self._host = urlsplit(request.url).netloc
        self._signed_at = now = identities.clocks.now(self._host)
        return sign(
            request.method,
            request.url,
            request.headers,
            b"",
            credentials=identity,
            region=self._region,
            now=now,
            payload_hash=request.body.digest,
        )

    async def cures(self, error: BedrockStreamError, date: str | None) -> bool:
        """Whether one more attempt, signed anew, may succeed. `date` is the refusal's own `Date` header."""
        if isinstance(error, SignatureExpired) and self._signed_at is not None:
            return self._learn(error, date)
        if isinstance(error, ServiceError) and error.code in _STALE and "keys" not in self._cured:
            self._cured.add("keys")
            return await self._has_other_keys()
        return False

    def _learn(self, error: SignatureExpired, date: str | None) -> bool:
        clocks, host = self._identities.clocks, self._host
        assert self._signed_at is not None  # noqa: S101 - see `cures`
        age = (clocks.now(host) - self._signed_at).total_seconds()
        learned = clocks.learn(host, date, error.message)
        if learned and "clock" not in self._cured:
            self._cured.add("clock")
            return True
        skew = clocks.skew(host)
        error.explain(age, skew.total_seconds(), describe_refusal(read_refusal(error.message), skew))
        return False

    async def _has_other_keys(self) -> bool:
        assert self._used is not None and self._http is not None  # noqa: S101, PT018 - something had been signed
        place, refused = self._used
        self._identities.distrust(place, refused)
        try:
            place = self._identities.place(self._call)
            return await self._identities.ask(place, self._http, self._region) != refused
        except BedrockStreamError:
            return False  # the refusal itself says more
