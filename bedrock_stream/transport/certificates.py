"""Which CA certificates TLS trusts: the caller's context, a configured bundle, else the default of aiohttp.

    ssl= > AWS_CA_BUNDLE > the profile's ca_bundle > REQUESTS_CA_BUNDLE > SSL_CERT_FILE, SSL_CERT_DIR

A bundle is read once per client, for all of its event loops, and in a thread, since it may hold hundreds of
certificates. OpenSSL reads the last two variables whenever a context is created. But aiohttp creates its default
context at import and ignores a variable that is set later, so they are applied here.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from ..errors import ConfigurationError

__all__ = ("Bundle", "Certificates", "find_bundle", "make_context")

_T = TypeVar("_T")


class Bundle(msgspec.Struct, frozen=True):
    """CA certificates: a PEM file, or a directory prepared by `c_rehash`."""

    path: str
    source: str
    """The variable or setting that it comes from."""
    alone: bool = True
    """True replaces the default certificates. SSL_CERT_FILE and SSL_CERT_DIR add to them."""


def find_bundle(environ: Mapping[str, str], settings: Mapping[str, str]) -> tuple[Bundle, ...]:
    """Return the configured bundles, or an empty tuple. A blank variable counts as absent."""
    if environ.get("AWS_CA_BUNDLE"):
        return (Bundle(environ["AWS_CA_BUNDLE"], "AWS_CA_BUNDLE"),)
    if settings.get("ca_bundle"):
        return (Bundle(settings["ca_bundle"], "ca_bundle of the profile"),)
    if environ.get("REQUESTS_CA_BUNDLE"):
        return (Bundle(environ["REQUESTS_CA_BUNDLE"], "REQUESTS_CA_BUNDLE"),)
    # OpenSSL's own variables: each replaces one default location and leaves the other, so both may apply.
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    return tuple(Bundle(environ[name], name, alone=False) for name in names if environ.get(name))


def make_context(bundles: tuple[Bundle, ...]) -> ssl.SSLContext:
    """Create a context that trusts these bundles. Reads files. Raises `ConfigurationError` for an unreadable one."""
    if bundles[0].alone:
        context = _read(bundles[0], ssl.create_default_context)
    else:
        context = ssl.create_default_context()
        for bundle in bundles:
            _read(bundle, context.load_verify_locations)
    context.set_alpn_protocols(("http/1.1",))  # aiohttp does not speak HTTP/2
    return context


def _read(bundle: Bundle, load: Callable[..., _T]) -> _T:
    try:
        parameter = "capath" if Path(bundle.path).is_dir() else "cafile"
        return load(**{parameter: bundle.path})
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            bundle.source, f"{bundle.path!r} cannot be read as certificates: {reason}", "use a PEM file, or unset it"
        ) from None


class Certificates:
    """The TLS context of one client, created on first use."""

    __slots__ = ("_context", "_find", "_lock", "_ready")

    def __init__(self, explicit: ssl.SSLContext | None, find: Callable[[], tuple[Bundle, ...]]) -> None:
        if explicit is not None and not isinstance(explicit, ssl.SSLContext):
            raise ConfigurationError(
                "ssl",
                f"expected an ssl.SSLContext, got {type(explicit).__name__}",
                "pass the return value of ssl.create_default_context()",
            )
        self._find = find
        self._context = explicit
        self._ready = explicit is not None
        self._lock = threading.Lock()

    async def context(self) -> ssl.SSLContext | None:
        """Return the context, or None for aiohttp's default. Raises `ConfigurationError` for an unreadable bundle."""
        if not self._ready:
            bundles = self._find()
            if bundles:
                await asyncio.to_thread(self._make, bundles)
            else:
                self._ready = True
        return self._context

    def _make(self, bundles: tuple[Bundle, ...]) -> None:
        with self._lock:  # the loops of other threads wait for the first one and reuse its context
            if not self._ready:
                self._context = make_context(bundles)
                self._ready = True
