"""What the probes have found out, as values. None of them holds a secret. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from ...errors import BedrockStreamError, ConfigurationError
from ...request.endpoints import Endpoint
from ...transport.certificates import Bundle
from ...transport.proxies import Proxy
from ...types.events import Usage

__all__ = ("Answer", "Certificate", "Identity", "Reach", "Settings", "Stage", "Trouble")

Stage: TypeAlias = Literal["dns", "connect", "proxy", "tls", "http"]
"""Where the way to the endpoint ends."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What arguments, environment and profile say. Each error is of the setting beside it."""

    region: str
    """As it is set, even if it is not valid."""
    region_source: str
    region_error: ConfigurationError | None = None
    endpoint: Endpoint | None
    endpoint_error: ConfigurationError | None = None
    proxy: Proxy | None = None
    proxy_error: ConfigurationError | None = None
    exempt_from: str | None = None
    """The variable with a proxy that NO_PROXY exempts the endpoint from."""
    bundles: tuple[Bundle, ...] = ()
    also_set: tuple[str, ...] = ()
    """Variables with credentials, in their order of precedence."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials in use, or why none were found."""

    place: str | None = None
    """Where they are configured; None if nothing is."""
    scheme: str = ""
    """`bearer` or `sigv4`."""
    key: str = ""
    """The access key id, masked."""
    temporary: bool = False
    expires_at: datetime | None = None
    region: str | None = None
    """The region that a short-term API key is for."""
    error: BedrockStreamError | None = None


class Certificate(msgspec.Struct, frozen=True):
    """A completed TLS handshake."""

    version: str
    issuer: str


class Trouble(msgspec.Struct, frozen=True):
    """A failure on the way to the endpoint."""

    stage: Stage
    reason: str
    verify_code: int = 0
    """OpenSSL's code for a certificate that is not trusted."""
    error: ConfigurationError | None = None
    """The setting that is to blame."""


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How the endpoint was reached with a request that is not signed and costs nothing."""

    addresses: tuple[str, ...] = ()
    """Of the endpoint, or of the proxy."""
    certificate: Certificate | None = None
    """None if it was not seen, as behind a proxy."""
    trouble: Trouble | None = None
    status: int | None = None
    is_aws: bool = False
    """Whether the response has a request id of AWS."""
    seconds: float = 0.0
    offset: float | None = None
    """Seconds that the service's clock is ahead of the local one; None without a `Date`."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The paid call."""

    max_tokens: int
    first_event: float | None = None
    """Seconds, as the next two."""
    first_content: float | None = None
    total: float | None = None
    usage: Usage | None = None
    request_id: str | None = None
    error: BedrockStreamError | None = None
