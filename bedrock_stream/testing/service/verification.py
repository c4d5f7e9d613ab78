"""Who is calling? SigV4 and the bearer key, refused in the words of AWS's front door.

The signature is computed from what really arrived: the raw target, the headers that the caller listed, the body. The
header block is put together here and not by the signer, so a name that our signer would leave out still verifies.
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

__all__ = ("Arrived", "Guard", "Keys", "Proof", "check_date")

_ALGORITHM = "AWS4-HMAC-SHA256"
_TOLERANCE = timedelta(minutes=5)
_BASIC_FORMAT = "%Y%m%dT%H%M%SZ"
# Proxies on the way add it behind the signer's back; every other header of AWS's own must be signed.
_NEVER_SIGNED = frozenset({"x-amzn-trace-id"})
_PARAMETER = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")


@dataclass(frozen=True, slots=True)
class Keys:
    """A key pair that the emulator knows, and its session token where it has one."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """How a caller proved who they are."""

    auth: Literal["sigv4", "bearer"]
    access_key_id: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """The parts of a request that a signature is about."""

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    body: bytes

    def header(self, name: str) -> str:
        """A header as it is signed: values folded, repeated ones joined by commas."""
        return ",".join(" ".join(value.split()) for value in self.headers.getall(name, ()))


@dataclass(frozen=True, slots=True)
class _Claim:
    """The parts of an `Authorization` header."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: str
    signature: str


class Guard:
    """Knows the right keys. None for either means that nobody gets in that way."""

    def __init__(self, keys: SigningKeys | None, api_key: str | None, region: str, service: str = "bedrock") -> None:
        self._keys = keys
        self._api_key = api_key
        self._region = region
        self._service = service

    @property
    def environ(self) -> dict[str, str]:
        """The variables that prove a caller: the key pair, or else the bearer key, which clients would prefer."""
        if self._keys is None:
            return {} if self._api_key is None else {"AWS_BEARER_TOKEN_BEDROCK": self._api_key}
        pair = {
            "AWS_ACCESS_KEY_ID": self._keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._keys.secret_access_key,
        }
        return {**pair, **({"AWS_SESSION_TOKEN": self._keys.session_token} if self._keys.session_token else {})}

    def verify(self, arrived: Arrived, now: datetime) -> Proof:
        """Raises `Refusal` (403) where the caller is not who they say."""
        authorization = arrived.headers.get("Authorization", "").strip()
        scheme, _, rest = authorization.partition(" ")
        if not authorization:
            raise Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        if scheme.lower() == "bearer":
            return self._verify_bearer(rest.strip())
        if scheme != _ALGORITHM:
            raise _incomplete(f"Unsupported Authorization header: scheme {scheme!r} is not {_ALGORITHM}.")
        claim = _parse(rest)
        keys = self._known(claim, arrived)
        self._check_scope(claim, arrived)
        check_date(arrived.header("x-amz-date"), now)
        _check_signed_headers(claim, arrived.headers)
        _check_signature(claim, arrived, keys)
        return Proof("sigv4", claim.access_key_id, claim.region)

    def _verify_bearer(self, key: str) -> Proof:
        if self._api_key is None or not hmac.compare_digest(key.encode(), self._api_key.encode()):
            message = "Authentication failed: Please make sure your API Key is valid."
            raise Refusal(403, None, message, member="Message")
        return Proof("bearer")

    def _known(self, claim: _Claim, arrived: Arrived) -> SigningKeys:
        keys = self._keys
        token = arrived.header("x-amz-security-token")
        if keys is None or claim.access_key_id != keys.access_key_id or token != (keys.session_token or ""):
            raise Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        return keys

    def _check_scope(self, claim: _Claim, arrived: Arrived) -> None:
        if claim.region != self._region:
            raise _bad_signature(f"Credential should be scoped to a valid region, not '{claim.region}'. ")
        if claim.service != self._service:
            raise _bad_signature(f"Credential should be scoped to correct service: '{self._service}'. ")
        sent = arrived.header("x-amz-date")
        if claim.date != sent[:8]:
            raise _bad_signature(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{claim.date}' != '{sent[:8]}', from '{sent}'."
            )


def _parse(parameters: str) -> _Claim:
    found = dict(_PARAMETER.findall(parameters))
    for name in ("Credential", "Signature", "SignedHeaders"):
        if name not in found:
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
    scope = found["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise _incomplete("Credential must have exactly 5 slash-delimited elements, and end in 'aws4_request'.")
    access_key_id, date, region, service, _ = scope
    return _Claim(access_key_id, date, region, service, found["SignedHeaders"], found["Signature"])


def check_date(sent: str, server: datetime) -> None:
    """Hold a signature's date against the front door's clock. Raises `Refusal` (403)."""
    try:
        moment = datetime.strptime(sent, _BASIC_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{sent}'.") from None
    server = server.astimezone(UTC).replace(microsecond=0)
    oldest, newest = server - _TOLERANCE, server + _TOLERANCE
    clock = server.strftime(_BASIC_FORMAT)
    if moment < oldest:
        limit = oldest.strftime(_BASIC_FORMAT)
        raise _bad_signature(f"Signature expired: {sent} is now earlier than {limit} ({clock} - 5 min.)")
    if moment > newest:
        limit = newest.strftime(_BASIC_FORMAT)
        raise _bad_signature(f"Signature not yet current: {sent} is still later than {limit} ({clock} + 5 min.)")


def _check_signed_headers(claim: _Claim, headers: Mapping[str, str]) -> None:
    signed = claim.signed_headers.split(";")
    if signed != sorted({name.lower() for name in signed}):
        raise _incomplete("'SignedHeaders' must be lower-case names, sorted, without repetition.")
    if "host" not in signed:
        raise _bad_signature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    ours = {name.lower() for name in headers if name.lower().startswith("x-amz")} - _NEVER_SIGNED
    if missing := ours.difference(signed):
        names = ", ".join(sorted(missing))
        raise _bad_signature(f"There were headers present in the request which were not signed: {names}")


def _check_signature(claim: _Claim, arrived: Arrived, keys: SigningKeys) -> None:
    digest = sha256(arrived.body).hexdigest()
    if arrived.header("x-amz-content-sha256") not in ("", digest):
        raise _bad_signature("The provided 'x-amz-content-sha256' header does not match what was computed.")
    # Method, path and query in canonical form; the header block is ours (see above).
    url = arrived.target if "://" in arrived.target else f"http://{arrived.headers.get('Host', '')}{arrived.target}"
    head = canonical_request(arrived.method, url, [("host", "")], digest).split("\n")[:3]
    block = [f"{name}:{arrived.header(name)}" for name in claim.signed_headers.split(";")]
    canonical = "\n".join([*head, *block, "", claim.signed_headers, digest])
    moment = datetime.strptime(arrived.header("x-amz-date"), _BASIC_FORMAT).replace(tzinfo=UTC)
    text = string_to_sign(canonical, now=moment, region=claim.region, service=claim.service)
    key = signing_key(keys.secret_access_key, claim.date, claim.region, claim.service)
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise _bad_signature(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        )


def _bad_signature(message: str) -> Refusal:
    return Refusal(403, "InvalidSignatureException", message)


def _incomplete(message: str) -> Refusal:
    return Refusal(403, "IncompleteSignatureException", message)
