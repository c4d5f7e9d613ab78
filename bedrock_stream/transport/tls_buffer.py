"""Shrinks the read buffer of a TLS connection on asyncio: 256 KiB for each one, of which a record takes 16 KiB.

The buffer has no public name. Where the private ones are missing or mean something else, it is left as it is.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto
from typing import Any

__all__ = ("shrink_tls_buffer",)

_SIZE = 32 * 1024  # bytes; more than the largest record


def shrink_tls_buffer(transport: asyncio.Transport) -> None:
    """Shrink the buffer of a TLS transport of asyncio; does nothing to others."""
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    if not isinstance(protocol, sslproto.SSLProtocol):
        return
    state: Any = protocol
    buffer, view = getattr(state, "_ssl_buffer", None), getattr(state, "_ssl_buffer_view", None)
    if isinstance(buffer, bytearray) and isinstance(view, memoryview) and getattr(state, "max_size", 0) >= len(buffer):
        state.max_size = _SIZE
        state._ssl_buffer = bytearray(_SIZE)
        state._ssl_buffer_view = memoryview(state._ssl_buffer)
