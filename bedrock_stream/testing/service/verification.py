"""Authentication of requests: SigV4 signatures and bearer keys, with AWS's error messages.

The signature is computed from the received request: the raw target, the headers that the caller listed as signed, and
the body. The canonical headers are built here and not by the library's signer, so a header that the signer would leave
out verifies too.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal

from multidict import CIMultiDictProxy

from ...auth.sigv4 import SigningKeys, canonical_request, signing_key, string_to_sign
from .refusal import Refusal

__all__ = ("Guard", "Identity", "IncomingRequest", "Keys", "check_date")

_ALGORITHM = "AWS4-HMAC-SHA256"
_TOLERANCE = timedelta(minutes=5)
_BASIC_FORMAT = "%Y%m%dT%H%M%SZ"
# Proxies add this header after signing. Every other `x-amz*` header must be signed.
_NEVER_SIGNED = frozenset({"x-amzn-trace-id"})
_PARAMETER = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key that the emulator accepts, with an optional session token."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The authenticated caller."""

    auth: Literal["sigv4", "bearer"]
    access_key_id: str | None = None
    region: str | None = None
    service: str | None = None
    """The service that a signature is scoped to."""


@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """The parts of a received request that a signature covers."""

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header as it is signed: white space collapsed, repeated values joined by commas."""
        # The name of `Host` in HTTP/2, which some clients sign.
        name = "host" if name == ":authority" else name
        return ",".join(" ".join(value.split()) for value in self.headers.getall(name, ()))


@dataclass(frozen=True, slots=True)
class _Authorization:
    """A parsed `Authorization` header of SigV4."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str


class Guard:
    """The authentication of requests by access key (`keys`) or bearer key (`api_key`). None disables one of them."""

    def __init__(self, keys: SigningKeys | None, api_key: str | None, region: str, service: str = "bedrock") -> None:
        self._keys = keys
        self._api_key = api_key
        self._region = region
        self._service = service

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of the accepted access key, else of the bearer key.

        Never of both, because clients prefer the bearer key.
        """
        if self._keys is None:
            return {} if self._api_key is None else {"AWS_BEARER_TOKEN_BEDROCK": self._api_key}
        pair = {
            "AWS_ACCESS_KEY_ID": self._keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._keys.secret_access_key,
        }
        return {**pair, **({"AWS_SESSION_TOKEN": self._keys.session_token} if self._keys.session_token else {})}

    def verify(
        self, request: IncomingRequest, now: datetime, *, other_service: str | None = None, by_api_key: bool = False
    ) -> Identity:
        """Authenticate a request at the time `now`. Raises `Refusal` (403).

        A signature may be scoped to `other_service` too. With `by_api_key` the bearer key may be in `x-api-key`.
        """
        header = request.headers.get("Authorization", "").strip()
        scheme, _, rest = header.partition(" ")
        if not header and by_api_key and "x-api-key" in request.headers:
            return self._verify_bearer(request.header("x-api-key"))
        if not header:
            raise Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if scheme.lower() == "bearer":
            return self._verify_bearer(rest.strip())
        if scheme != _ALGORITHM:
            raise _incomplete(f"Unsupported Authorization header: scheme {scheme!r} is not {_ALGORITHM}.")
        authorization = _parse(rest)
        keys = self._find_keys(authorization, request)
        self._check_scope(authorization, request, (self._service, other_service))
        check_date(request.header("x-amz-date"), now)
        _check_signed_headers(authorization, request.headers)
        _check_signature(authorization, request, keys)
        return Identity("sigv4", authorization.access_key_id, authorization.region, authorization.service)

    def _verify_bearer(self, key: str) -> Identity:
        # This error has no type header, and its body spells `Message`.
        if self._api_key is None or not hmac.compare_digest(key.encode(), self._api_key.encode()):
            message = "Authentication failed: Please make sure your API Key is valid."
            raise Refusal(403, None, message, member="Message")
        return Identity("bearer")

    def _find_keys(self, authorization: _Authorization, request: IncomingRequest) -> SigningKeys:
        keys = self._keys
        token = request.header("x-amz-security-token")
        # AWS has one message for an unknown access key and for a session token that does not match.
        if keys is None or authorization.access_key_id != keys.access_key_id or token != (keys.session_token or ""):
            raise Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        return keys

    def _check_scope(
        self, authorization: _Authorization, request: IncomingRequest, services: tuple[str | None, ...]
    ) -> None:
        # Credential scope: date/region/service/aws4_request, with the date of `X-Amz-Date`.
        if authorization.region != self._region:
            raise _bad_signature(f"Credential should be scoped to a valid region, not '{authorization.region}'. ")
        if authorization.service not in services:
            raise _bad_signature(f"Credential should be scoped to correct service: '{self._service}'. ")
        sent = request.header("x-amz-date")
        if authorization.date != sent[:8]:
            raise _bad_signature(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{authorization.date}' != '{sent[:8]}', from '{sent}'."
            )


def _parse(parameters: str) -> _Authorization:
    values = dict(_PARAMETER.findall(parameters))
    for name in ("Credential", "Signature", "SignedHeaders"):
        if name not in values:
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    scope = values["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise _incomplete("Credential must have exactly 5 slash-delimited elements, and end in 'aws4_request'.")
    access_key_id, date, region, service, _ = scope
    return _Authorization(access_key_id, date, region, service, values["SignedHeaders"], values["Signature"])


def check_date(sent: str, server: datetime) -> None:
    """Check a signature's date against the server's time. Raises `Refusal` (403)."""
    try:
        date = datetime.strptime(sent, _BASIC_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{sent}'.") from None
    server = server.astimezone(UTC).replace(microsecond=0)
    oldest, newest = server - _TOLERANCE, server + _TOLERANCE
    clock = server.strftime(_BASIC_FORMAT)
    if date < oldest:
        limit = oldest.strftime(_BASIC_FORMAT)
        raise _bad_signature(f"Signature expired: {sent} is now earlier than {limit} ({clock} - 5 min.)")
    if date > newest:
        limit = newest.strftime(_BASIC_FORMAT)
        raise _bad_signature(f"Signature not yet current: {sent} is still later than {limit} ({clock} + 5 min.)")


def _check_signed_headers(authorization: _Authorization, headers: Mapping[str, str]) -> None:
    signed = authorization.signed_headers.split(";")
    if signed != sorted({name.lower() for name in signed}):
        raise _incomplete("'SignedHeaders' must be lower-case names, sorted, without repetition.")
    if not {"host", ":authority"}.intersection(signed):
        raise _bad_signature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    # AWS requires that every `x-amz*` header is signed.
    required = {name.lower() for name in headers if name.lower().startswith("x-amz")} - _NEVER_SIGNED
    if missing := required.difference(signed):
        names = ", ".join(sorted(missing))
        raise _bad_signature(f"There were headers present in the request which were not signed: {names}")


def _check_signature(authorization: _Authorization, request: IncomingRequest, keys: SigningKeys) -> None:
    # The content hash header is optional; if it is present, it must be the body's hash.
    digest = sha256(request.body).hexdigest()
    if request.header("x-amz-content-sha256") not in ("", digest):
        raise _bad_signature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    # The library canonicalizes method, path and query; the headers are those that were received.
    url = request.target if "://" in request.target else f"http://{request.headers.get('Host', '')}{request.target}"
    head = canonical_request(request.method, url, [("host", "")], digest).split("\n")[:3]
    block = [f"{name}:{request.header(name)}" for name in authorization.signed_headers.split(";")]
    canonical = "\n".join([*head, *block, "", authorization.signed_headers, digest])
    date = datetime.strptime(request.header("x-amz-date"), _BASIC_FORMAT).replace(tzinfo=UTC)
    text = string_to_sign(canonical, now=date, region=authorization.region, service=authorization.service)
    key = signing_key(keys.secret_access_key, authorization.date, authorization.region, authorization.service)
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), authorization.signature.encode()):
        raise _bad_signature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        )


def _bad_signature(message: str) -> Refusal:
    return Refusal(403, "InvalidSignatureException", message)


def _incomplete(message: str) -> Refusal:
    return Refusal(403, "IncompleteSignatureException", message)
