"""Gather what arguments, environment and profile say, each setting by itself. Reads files, sends nothing."""

from __future__ import annotations

from collections.abc import Mapping

from ...auth.profiles import read_profile
from ...errors import ConfigurationError
from ...request.endpoints import Endpoint, find_region, resolve_endpoint
from ...transport.certificates import find_bundle
from ...transport.proxies import Proxy, find_proxy
from ...types.settings import check_region
from .facts import Settings

__all__ = ("read_settings",)

# Places of credentials in the environment; see `auth.lookup` and `auth.chain`.
_CREDENTIAL_VARIABLES = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


def read_settings(
    *, region: str | None, profile: str | None, endpoint_url: str | None, environ: Mapping[str, str]
) -> Settings:
    """Return the settings for a call, with the error of each that cannot be used."""
    try:
        settings = read_profile(environ, profile).settings
    except ConfigurationError:
        settings = {}  # the check of the credentials reads the profile again, and reports it
    name, source = find_region(region, environ, settings)
    region_error = endpoint_error = proxy_error = None
    try:
        check_region(name, source)
    except ConfigurationError as error:
        region_error = error
    endpoint: Endpoint | None = None
    try:
        found = resolve_endpoint(name, environ, settings, endpoint_url=endpoint_url)
        endpoint = None if region_error is not None and found.source == "region" else found
    except ConfigurationError as error:
        endpoint_error = error
    proxy: Proxy | None = None
    exempt_from = None
    try:
        proxy = None if endpoint is None else find_proxy(endpoint.url, None, environ)
        if endpoint is not None and proxy is None:
            exempt_from = _exempted(endpoint, environ)
    except ConfigurationError as error:
        proxy_error = error
    return Settings(
        region=name,
        region_source=source,
        region_error=region_error,
        endpoint=endpoint,
        endpoint_error=endpoint_error,
        proxy=proxy,
        proxy_error=proxy_error,
        exempt_from=exempt_from,
        bundles=find_bundle(environ, settings),
        also_set=tuple(variable for variable in _CREDENTIAL_VARIABLES if environ.get(variable, "").strip()),
    )


def _exempted(endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    """Return the variable with the proxy that would be used without NO_PROXY."""
    proxy = find_proxy(endpoint.url, None, {name: environ[name] for name in environ if name.lower() != "no_proxy"})
    return None if proxy is None else proxy.source
