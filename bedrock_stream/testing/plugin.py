"""The pytest plugin: one fixture, `bedrock_emulator`.

pytest loads the plugin in every run in an environment that has this package installed, before coverage is measured. So
it imports nothing else until the fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .threaded import ThreadedEmulator

__all__ = ("bedrock_emulator", "pytest_configure")

# Variables that would select another endpoint or other credentials.
_REMOVED = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
_FIXED = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "bedrock_emulator(**arguments): arguments for the Emulator of the fixture bedrock_emulator"
    )


@pytest.fixture
def bedrock_emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedEmulator]:
    """Yield a local Amazon Bedrock Runtime; environment variables point every AWS client under test to it.

    It runs on a thread of its own, so it serves sync and async tests, blocking clients (boto3) and async ones, with
    pytest-asyncio, anyio's plugin or neither. `script(...)` sets the answer to the next request, `requests` has the
    received requests, and `open_streams` is the number of answers being written. Arguments are passed with the marker
    `bedrock_emulator(pace=0.01)`. Endpoint, region and example credentials are set for the test; the caller's own
    credentials and profiles are hidden. The fixture fails if the `testing` extra is not installed.

    Example: check that a backend closes its stream from Bedrock when its reader disconnects.

        from bedrock_stream import stream
        from bedrock_stream.testing import stall, text, visit
        from fastapi import FastAPI
        from fastapi.responses import StreamingResponse

        app = FastAPI()

        @app.get("/chat")
        async def chat():
            return StreamingResponse(stream("amazon.nova-lite-v1:0", "Hello").text_stream)

        async def test_a_disconnect_closes_the_stream(bedrock_emulator):
            bedrock_emulator.script(text("Hello"), stall())
            assert await visit(app, "/chat", leave_after=1) == b"Hello"
            await bedrock_emulator.wait_until_idle()
    """
    from ..errors import ConfigurationError
    from .threaded import ThreadedEmulator

    marker = request.node.get_closest_marker("bedrock_emulator")
    try:
        emulator = ThreadedEmulator(**(marker.kwargs if marker else {}))
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
    with emulator:
        for name in _REMOVED:
            monkeypatch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            # Clients would otherwise send requests for 127.0.0.1 to the proxy of HTTP_PROXY.
            hosts = os.environ.get(name)
            monkeypatch.setenv(name, f"{hosts},127.0.0.1" if hosts else "127.0.0.1")
        for name, value in {**_FIXED, **emulator.environ}.items():
            monkeypatch.setenv(name, value)
        yield emulator
