"""Whom TLS trusts: a context of the caller's, a bundle that is named somewhere, else what aiohttp trusts by itself.

    ssl= > AWS_CA_BUNDLE > the profile's ca_bundle > REQUESTS_CA_BUNDLE > SSL_CERT_FILE, SSL_CERT_DIR

A bundle is read once for a client and its loops, in a thread: some hold hundreds of certificates. The last two are
OpenSSL's own variables, which it reads whenever a context is made. But aiohttp made its own when it was imported, so a
variable that is set later would not count; here it does.
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
    """Certificates of authorities: a PEM file, or a directory that `c_rehash` has been over."""

    path: str
    source: str
    """The variable or setting that names it."""
    alone: bool = True
    """Trust nobody else. OpenSSL's own variables replace one of its places and leave the other."""


def find_bundle(environ: Mapping[str, str], settings: Mapping[str, str]) -> tuple[Bundle, ...]:
    """The bundles to trust; none where nobody names one. A blank variable counts as absent."""
    if environ.get("AWS_CA_BUNDLE"):
        return (Bundle(environ["AWS_CA_BUNDLE"], "AWS_CA_BUNDLE"),)
    if settings.get("ca_bundle"):
        return (Bundle(settings["ca_bundle"], "ca_bundle of the profile"),)
    if environ.get("REQUESTS_CA_BUNDLE"):
        return (Bundle(environ["REQUESTS_CA_BUNDLE"], "REQUESTS_CA_BUNDLE"),)
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    return tuple(Bundle(environ[name], name, alone=False) for name in names if environ.get(name))


def make_context(bundles: tuple[Bundle, ...]) -> ssl.SSLContext:
    """A context that trusts these bundles. Reads files. Raises `ConfigurationError` for one that cannot be read."""
    if bundles[0].alone:
        context = _read(bundles[0], ssl.create_default_context)
    else:
        context = ssl.create_default_context()
        for bundle in bundles:
            _read(bundle, context.load_verify_locations)
    context.set_alpn_protocols(("http/1.1",))
    return context


def _read(bundle: Bundle, load: Callable[..., _T]) -> _T:
    try:
        place = "capath" if Path(bundle.path).is_dir() else "cafile"
        return load(**{place: bundle.path})
    except (OSError, ValueError) as error:  # a path with a NUL in it is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            bundle.source, f"{bundle.path!r} cannot be read as certificates: {reason}", "name a PEM file, or unset it"
        ) from None


class Certificates:
    """The TLS context of one client."""

    __slots__ = ("_context", "_find", "_lock", "_made")

    def __init__(self, explicit: ssl.SSLContext | None, find: Callable[[], tuple[Bundle, ...]]) -> None:
        if explicit is not None and not isinstance(explicit, ssl.SSLContext):
            raise ConfigurationError(
                "ssl", f"a {type(explicit).__name__} is no context", "give what ssl.create_default_context() returns"
            )
        self._find = find
        self._context = explicit
        self._made = explicit is not None
        self._lock = threading.Lock()

    async def context(self) -> ssl.SSLContext | None:
        """The context; None stands for aiohttp's own. Raises `ConfigurationError`."""
        if not self._made:
            bundles = self._find()
            if bundles:
                await asyncio.to_thread(self._make, bundles)
            else:
                self._made = True
        return self._context

    def _make(self, bundles: tuple[Bundle, ...]) -> None:
        with self._lock:  # whoever comes second, on whatever loop, finds it made
            if not self._made:
                self._context = make_context(bundles)
                self._made = True
