"""Turn the responses of credential services into `Credentials`, and keep secrets out of the error texts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import msgspec

from ..errors import ConfigurationError, CredentialsUnavailable
from .credentials import Credentials

__all__ = ("ERROR_CODE", "MAX_RESPONSE_BYTES", "REQUEST_ID", "make_credentials", "parse_document", "redact")

MAX_RESPONSE_BYTES = 64 * 1024
"""The largest body that is parsed; a response with credentials has about one to two kilobytes."""

# Codes and ids from a response are shown in errors only if they have these forms.
ERROR_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

_MAX_MESSAGE_LENGTH = 500
_SHORTEST_SECRET = 4  # characters; a shorter one, which only tests have, is part of ordinary words


class _Document(msgspec.Struct):
    # The members are PascalCase on the wire, in container and in instance metadata.
    Code: str | None = None
    Message: str | None = None
    AccessKeyId: str | None = None
    SecretAccessKey: str | None = None
    Token: str | None = None
    Expiration: datetime | None = None


def parse_document(source: str, body: bytes, secrets: Iterable[str] = ()) -> Credentials:
    """Parse the JSON document with credentials that container and instance metadata endpoints return.

    `secrets` were sent in the request and may be repeated in a message. Raises `CredentialsUnavailable`.
    """
    document = None
    if len(body) <= MAX_RESPONSE_BYTES:
        with contextlib.suppress(ValueError, RecursionError):  # not chained: the decoder's error could show the body
            document = msgspec.json.decode(body, type=_Document)
    if document is None:
        error = CredentialsUnavailable(source, "the response is not a JSON document with credentials")
        error.retryable = True  # such as a proxy's page; a service asked again may return a document
        raise error
    # IMDS reports a failure with status 200 and another `Code`; container endpoints leave `Code` out.
    if document.Code not in (None, "", "Success"):
        hidden = (*secrets, document.SecretAccessKey or "", document.Token or "")
        reason = redact(f"the service returned {document.Code}: {document.Message}", hidden)
        raise CredentialsUnavailable(source, reason)
    return make_credentials(source, document.AccessKeyId, document.SecretAccessKey, document.Token, document.Expiration)


def make_credentials(
    source: str,
    access_key_id: str | None,
    secret_access_key: str | None,
    token: str | None,
    expires_at: datetime | None,
) -> Credentials:
    """Build credentials from a source's response. Raises `CredentialsUnavailable` if they are missing or invalid."""
    if not access_key_id or not secret_access_key:
        raise CredentialsUnavailable(source, "the response has no credentials")
    if expires_at is not None and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)  # AWS writes times in UTC
    try:
        return Credentials(access_key_id, secret_access_key, token or None, expires_at)
    except ConfigurationError as error:
        reason = f"the response has unusable credentials: {error.argument}: {error.problem}"
    raise CredentialsUnavailable(source, reason)


def redact(text: str, secrets: Iterable[str], length: int | None = _MAX_MESSAGE_LENGTH) -> str:
    """Return the beginning of a text, or all of it, without these secrets, whether raw or URL-encoded."""
    for secret in secrets:
        if len(secret) < _SHORTEST_SECRET:
            continue
        for form in (secret, quote_plus(secret), quote(secret, safe="")):
            text = text.replace(form, "...")
    return text[:length]
