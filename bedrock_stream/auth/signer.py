"""Authorize the attempts of one call: each attempt gets a new signature.

Two refusals are recovered from, once each, whether they are received as an HTTP status or as the first frame: a wrong
clock, whose offset is learned for the host; and expired credentials, if their source now returns others.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from ..errors import BedrockStreamError, ServiceError, SignatureExpired
from ..request.http import Request
from .credentials import ApiKey, Authorization, Credentials, Identity
from .resolver import CredentialResolver
from .sigv4 import sign
from .skew import describe_refusal, read_refusal
from .sources import Http, KeySource

__all__ = ("Signer",)

# Bedrock's codes, then those of STS, for an expired token and for an access key that is unknown or was rotated.
_STALE_CREDENTIALS = frozenset(
    {"ExpiredTokenException", "UnrecognizedClientException", "ExpiredToken", "InvalidClientTokenId"}
)


class Signer:
    """Signs the attempts of one call to one endpoint. `call` is the source of the call's own credentials, if any.

    `prepare` gets the credentials, which may take long; `authorize` signs with them just before a request is sent.
    """

    __slots__ = (
        "_call",
        "_ends",
        "_host",
        "_http",
        "_limit",
        "_recovered",
        "_region",
        "_resolver",
        "_service",
        "_signed_at",
        "_used",
    )

    def __init__(
        self, resolver: CredentialResolver, call: KeySource | None, region: str, service: str = "bedrock"
    ) -> None:
        self._resolver = resolver
        self._call = call
        self._region = region
        self._service = service  # the name that is signed
        self._host = ""
        self._http: Http | None = None
        self._limit: float | None = None
        self._used: tuple[KeySource, Identity] | None = None
        self._ends: datetime | None = None  # of the credentials, if that was ahead when they were prepared
        self._signed_at: datetime | None = None
        self._recovered: set[str] = set()

    async def prepare(self, request: Request, http: Http, limit: float | None) -> None:
        """Get the credentials for a request within `limit` seconds.

        Raises `MissingCredentials`, `CredentialsUnavailable` and the source's own errors.
        """
        resolver = self._resolver
        self._host, self._http, self._limit = urlsplit(request.url).netloc, http, limit
        key_source = resolver.key_source(self._call)
        identity = await resolver.resolve(key_source, http, self._region, host=self._host, limit=limit)
        self._used = key_source, identity
        ends = identity.expires_at if isinstance(identity, Credentials) else None
        self._ends = None if ends is None or ends <= resolver.clocks.now(self._host) else ends

    @property
    def is_ready(self) -> bool:
        """Whether the credentials have not expired since they were prepared."""
        return self._ends is None or self._ends > self._resolver.clocks.now(self._host)

    def authorize(self, request: Request) -> Authorization:
        """Return the headers that authorize a request with the credentials that were prepared."""
        assert self._used is not None  # noqa: S101 - set by `prepare`
        identity = self._used[1]
        if isinstance(identity, ApiKey):
            # With an API key there is no date, no security token and no content hash, so clocks do not matter.
            return Authorization({"Authorization": f"Bearer {identity.token}"})
        self._signed_at = now = self._resolver.clocks.now(self._host)
        return Authorization(
            sign(
                request.method,
                request.url,
                request.headers,
                b"",
                credentials=identity,
                region=self._region,
                service=self._service,
                now=now,
                payload_hash=request.body.digest,
            )
        )

    async def can_recover(self, error: BedrockStreamError, date: str | None) -> bool:
        """Return whether another attempt with a new signature may succeed. `date` is the refusal's `Date` header."""
        if isinstance(error, SignatureExpired) and self._signed_at is not None:
            return self._learn_clock(error, date)
        if isinstance(error, ServiceError) and error.code in _STALE_CREDENTIALS and "keys" not in self._recovered:
            self._recovered.add("keys")
            return await self._has_new_credentials()
        return False

    def _learn_clock(self, error: SignatureExpired, date: str | None) -> bool:
        clocks, host = self._resolver.clocks, self._host
        assert self._signed_at is not None  # noqa: S101 - checked in `can_recover`
        age = (clocks.now(host) - self._signed_at).total_seconds()
        learned = clocks.learn(host, date, error.message)
        if learned and "clock" not in self._recovered:
            self._recovered.add("clock")
            return True
        skew = clocks.skew(host)
        error.explain(age, skew.total_seconds(), describe_refusal(read_refusal(error.message), skew))
        return False

    async def _has_new_credentials(self) -> bool:
        assert self._used is not None and self._http is not None  # noqa: S101, PT018 - set by `prepare`
        key_source, refused = self._used
        resolver, host, limit = self._resolver, self._host, self._limit
        try:
            await resolver.invalidate(key_source, refused, host=host, limit=limit)
            key_source = resolver.key_source(self._call)
            return await resolver.resolve(key_source, self._http, self._region, host=host, limit=limit) != refused
        except BedrockStreamError:
            return False  # the service's refusal is the more useful error
