"""The pytest plugin: one fixture, `bedrock_emulator`.

pytest loads it early, in every run of everybody who has this package installed. So it imports nothing until the fixture
runs: it costs nothing where it is not used, and code whose coverage is measured is not imported before that begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .threaded import ThreadedEmulator

__all__ = ("bedrock_emulator", "pytest_configure")

# What would lead a client elsewhere, or have it prove itself in another way.
_MISLEADING = (
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
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "bedrock_emulator(**arguments): arguments of the Emulator behind the fixture of that name"
    )


@pytest.fixture
def bedrock_emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedEmulator]:
    """A local Amazon Bedrock Runtime, and an environment in which every AWS client of the code under test goes there.

    It listens on a thread of its own, so it serves plain tests and async ones, blocking clients (boto3) and async ones,
    under pytest-asyncio, anyio's plugin or neither. `script(...)` says what the next request gets, `requests` what
    came, `open_streams` how many answers are being read; the marker `bedrock_emulator(pace=0.01)` gives arguments.
    Endpoint, region and example keys are set for the test, and the caller's own keys and profiles hidden. Without the
    `testing` extra the fixture fails, and says what to install: a test that is skipped proves nothing.

    Does a backend stop asking Bedrock when its reader leaves?

        from bedrock_stream import stream
        from bedrock_stream.testing import stall, text, visit
        from fastapi import FastAPI
        from fastapi.responses import StreamingResponse

        app = FastAPI()

        @app.get("/chat")
        async def chat():
            return StreamingResponse(stream("amazon.nova-lite-v1:0", "Hello").text_stream)

        async def test_a_reader_who_leaves_ends_the_stream(bedrock_emulator):
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
        for name in _MISLEADING:
            monkeypatch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            others = os.environ.get(name)
            monkeypatch.setenv(name, f"{others},127.0.0.1" if others else "127.0.0.1")
        for name, value in {**_FIXED, **emulator.environ}.items():
            monkeypatch.setenv(name, value)
        yield emulator
