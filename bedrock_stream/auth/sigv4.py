"""AWS Signature Version 4 in the `Authorization` header, as its named stages.

    canonical_request -> string_to_sign -> signing_key -> signature

Pure: the time is an argument, nothing is awaited, nothing is logged. The URL must be exactly the one in the request
line, since its path is percent-encoded once more here (as every service except S3 does).
Source: "Signing AWS API requests" in the IAM User Guide.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit

__all__ = ("SigningKeys", "canonical_request", "hash_payload", "sign", "signing_key", "string_to_sign")

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Proxies and tracers add or change these in transit, which would invalidate a signature over them. The list is
# botocore's plus Accept-Encoding. All other headers are signed; AWS requires it for Host and X-Amz-* headers.
_UNSIGNED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)


class SigningKeys(Protocol):
    """The attributes of credentials that signing uses."""

    @property
    def access_key_id(self) -> str: ...
    @property
    def secret_access_key(self) -> str: ...
    @property
    def session_token(self) -> str | None: ...


def sign(
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    credentials: SigningKeys,
    region: str,
    service: str = "bedrock",
    now: datetime,
    payload_hash: str | None = None,
) -> dict[str, str]:
    """Return the headers to add: `X-Amz-Date`, `Authorization` and, with a session token, `X-Amz-Security-Token`.

    `url` is exactly as it will be sent. `headers` are pairs; a name may repeat. A missing `Host` is taken from the URL.
    `now` is timezone-aware, or naive UTC. `payload_hash` is the body's SHA-256 in hex, if the caller has it already; an
    `X-Amz-Content-SHA256` header takes precedence over both.

    >>> from bedrock_stream import Credentials
    >>> added = sign(
    ...     "POST", "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse", [], b"{}",
    ...     credentials=Credentials("AKIDEXAMPLE", "secret"), region="us-east-1", now=datetime(2025, 7, 1, 12),
    ... )
    >>> added["X-Amz-Date"], added["Authorization"][:50]
    ('20250701T120000Z', 'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20250701/u')
    """
    stamp, token = _stamp(now), credentials.session_token
    added = {"X-Amz-Date": stamp} | ({"X-Amz-Security-Token": token} if token else {})
    # The added headers replace existing ones: a retry may sign the headers of an earlier attempt again.
    merged = _merge(headers) | _merge(added.items())
    if "host" not in merged:
        merged["host"] = _host(url)
    # The header is optional for Bedrock; if it is present, its value is the last line of the canonical request.
    digest = merged.get("x-amz-content-sha256") or payload_hash or hash_payload(body)
    names = sorted(merged)
    scope = _scope(stamp, region, service)
    text = _string_to_sign(_canonical(method, url, merged, names, digest), stamp, scope)
    key = signing_key(credentials.secret_access_key, stamp[:8], region, service)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    added["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return added


def hash_payload(body: bytes) -> str:
    """Return the SHA-256 of a body in lower-case hex."""
    return sha256(body).hexdigest()


def canonical_request(method: str, url: str, headers: Iterable[tuple[str, str]], payload_hash: str) -> str:
    """Return the canonical request: method, path, query, headers, names of signed headers, and payload hash."""
    merged = _merge(headers)
    return _canonical(method, url, merged, sorted(merged), payload_hash)


def string_to_sign(canonical: str, *, now: datetime, region: str, service: str = "bedrock") -> str:
    """Return algorithm, date, scope and the canonical request's hash. `now` is timezone-aware, or naive UTC."""
    stamp = _stamp(now)
    return _string_to_sign(canonical, stamp, _scope(stamp, region, service))


@lru_cache(maxsize=256)
def signing_key(secret: str, date: str, region: str, service: str = "bedrock") -> bytes:
    """Return the key derived from the secret for one day (`YYYYMMDD`), region and service.

    The result is cached, since it takes four HMACs and is the same for the whole day.
    """
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _stamp(now: datetime) -> str:
    """Return the time as in `X-Amz-Date`; its first eight characters are the day, in UTC."""
    if now.tzinfo not in (None, UTC):
        now = now.astimezone(UTC)
    text = now.isoformat(timespec="seconds")  # not `strftime`, which looks at the time zone's file
    return f"{text[:4]}{text[5:7]}{text[8:13]}{text[14:16]}{text[17:19]}Z"


def _scope(stamp: str, region: str, service: str) -> str:
    return f"{stamp[:8]}/{region}/{service}/aws4_request"


def _string_to_sign(canonical: str, stamp: str, scope: str) -> str:
    return f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"


def _merge(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the signed headers by lower-case name.

    White space is trimmed and folded into one space; values of a repeated name are joined by commas in their order.
    """
    merged: dict[str, str] = {}
    for name, value in headers:
        name = name.strip().lower()
        if name not in _UNSIGNED:
            value = " ".join(value.split())
            merged[name] = f"{merged[name]},{value}" if name in merged else value
    return merged


def _canonical(method: str, url: str, merged: dict[str, str], names: list[str], payload_hash: str) -> str:
    # Each header line ends with a line feed, so an empty line separates the headers from the list of their names.
    parts = urlsplit(url)
    block = "".join([f"{name}:{merged[name]}\n" for name in names])
    path, query = _canonical_path(parts.path), _canonical_query(parts.query)
    return f"{method.upper()}\n{path}\n{query}\n{block}\n{';'.join(names)}\n{payload_hash}"


def _host(url: str) -> str:
    # As HTTP clients send it: without user information, and without the scheme's default port.
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port is not None and parts.port == _DEFAULT_PORTS.get(parts.scheme):
        host = host.rpartition(":")[0]
    return host


@lru_cache(maxsize=1024)
def _canonical_path(path: str) -> str:
    """Return the path with dot segments and empty segments removed, percent-encoded again: `%3A` becomes `%253A`."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in ("", "."):
            segments.append(segment)
    normalized = "/" + "/".join(segments)
    if segments and path.endswith("/"):  # unlike RFC 3986, AWS's signers add no slash after a final dot segment
        normalized += "/"
    return quote(normalized, safe="/~")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    # Sorted by encoded name, then by encoded value; only unreserved characters stay unencoded.
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = ((_encode_query(name), _encode_query(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encode_query(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="~")
