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
from .resolver import CredentialResolver
from .sigv4 import sign
from .skew import describe_refusal, read_refusal
from .sources import Http, KeySource

__all__ = ("Signer",)

_STALE = frozenset({"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId"})


class Signer:
    """Signs one attempt to one endpoint, as often as it is sent. `call` is the place of the call's own keys, if any."""

    __slots__ = ("_call", "_cured", "_host", "_http", "_region", "_resolver", "_signed_at", "_used")

    def __init__(self, resolver: CredentialResolver, call: KeySource | None, region: str) -> None:
        self._resolver = resolver
        self._call = call
        self._region = region
        self._host = ""
        self._http: Http | None = None
        self._used: tuple[KeySource, Identity] | None = None
        self._signed_at: datetime | None = None
        self._cured: set[str] = set()

    async def authorize(self, request: Request, http: Http) -> dict[str, str]:
        """The headers that prove who asks. Raises `MissingCredentials` and what the source of the keys raises."""
        resolver = self._resolver
        key_source = resolver.key_source(self._call)
        identity = await resolver.ask(key_source, http, self._region)
        self._used, self._http = (key_source, identity), http
        if isinstance(identity, ApiKey):
            return {"Authorization": f"Bearer {identity.token}"}
        self._host = urlsplit(request.url).netloc
        self._signed_at = now = resolver.clocks.now(self._host)
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

    async def can_recover(self, error: BedrockStreamError, date: str | None) -> bool:
        """Whether one more attempt, signed anew, may succeed. `date` is the refusal's own `Date` header."""
        if isinstance(error, SignatureExpired) and self._signed_at is not None:
            return self._learn(error, date)
        if isinstance(error, ServiceError) and error.code in _STALE and "keys" not in self._cured:
            self._cured.add("keys")
            return await self._has_other_keys()
        return False

    def _learn(self, error: SignatureExpired, date: str | None) -> bool:
        clocks, host = self._resolver.clocks, self._host
        assert self._signed_at is not None  # noqa: S101 - see `can_recover`
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
        key_source, refused = self._used
        self._resolver.distrust(key_source, refused)
        try:
            key_source = self._resolver.key_source(self._call)
            return await self._resolver.ask(key_source, self._http, self._region) != refused
        except BedrockStreamError:
            return False  # the refusal itself says more
