"""The read buffer of TLS connections on asyncio, and that other transports are left alone."""

from __future__ import annotations

import asyncio
import gc
import ssl
from asyncio import sslproto
from typing import Any

import pytest
import trustme

from bedrock_stream import Client
from bedrock_stream.testing import REGION, Emulator
from bedrock_stream.testing import text as say
from bedrock_stream.transport.tls_buffer import shrink_tls_buffer
from tests.conftest import KEYS


def buffers(context: ssl.SSLContext) -> list[int]:
    """Return the sizes of the read buffers of this context's TLS connections."""
    protocols: list[Any] = [held for held in gc.get_objects() if isinstance(held, sslproto.SSLProtocol)]
    return [len(protocol._ssl_buffer) for protocol in protocols if protocol._sslcontext is context]


async def test_an_open_tls_stream_holds_a_small_buffer_and_reads_large_bodies() -> None:
    words = "abcdefgh" * 100_000
    authority, certificate = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        Emulator(ssl=certificate, script=[[say([words])]]) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, ssl=context) as client,
        client.stream("amazon.nova-lite-v1:0", "Hi") as stream,
    ):
        await stream.open()
        sizes = buffers(context)
        assert (await stream.response()).text == words
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):  # uvloop has a TLS implementation of its own
        assert len(sizes) == 1
        assert sizes[0] <= 32 * 1024


@pytest.mark.parametrize("protocol", [None, object(), asyncio.Protocol()])
def test_a_transport_without_the_buffer_is_left_alone(protocol: Any) -> None:
    class Unknown(asyncio.Transport):
        _ssl_protocol = protocol

    transport = Unknown()
    shrink_tls_buffer(transport)
    assert transport._ssl_protocol is protocol
    assert vars(transport).keys() <= {"_extra"}
