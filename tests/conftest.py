"""Fixtures and hooks for all tests: an environment without AWS settings, an emulator, and a client for it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from bedrock_stream import Client, Credentials, RetryPolicy
from bedrock_stream.testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator
from tests.support.debug_mode import record_cheaply
from tests.support.exhaustive import exhaustive

# Hundreds of child processes would each compile the package again where the environment forbids to write bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A time limit for each example fails on a busy machine; pytest's own limit catches what hangs.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

KEYS = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
QUICK_RETRIES = RetryPolicy(base=0, cap=0)
"""As many attempts as by default, without the long waits between them."""


# Tests that use sockets run on asyncio's own event loop and on uvloop.
ON_EVERY_LOOP = {
    "client/test_attempts.py",
    "client/test_client.py",
    "client/test_failover.py",
    "client/test_patience.py",
    "client/test_stats.py",
    "client/test_stream.py",
    "client/test_wire_observers.py",
    "promises/test_cut_connections.py",
    "promises/test_event_loop.py",
    "promises/test_fault_table.py",
    "promises/test_loops_and_silence.py",
    "promises/test_memory_of_streams.py",
    "promises/test_networks.py",
    "promises/test_soak.py",
    "promises/test_ways_out.py",
    "transport/test_connections.py",
    "transport/test_slots.py",
    "transport/test_transport.py",
}
TESTS = Path(__file__).parent


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.relative_to(TESTS).as_posix() in ON_EVERY_LOOP:
        try:
            import uvloop
        except ImportError:
            return factories
        factories["uvloop"] = uvloop.new_event_loop
    return factories


def pytest_configure() -> None:
    """Adapt the debug mode of event loops to tests that keep all cores busy.

    Warnings of slow callbacks are dropped, since they depend on how busy the machine is.
    """
    record_cheaply()
    logging.getLogger("asyncio").addFilter(lambda record: not str(record.msg).startswith("Executing %s took"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than cores: many tests wait for a child process, a browser or a time limit.

    Where all cases are tried, the cores are busy without it.
    """
    return (os.cpu_count() or 1) + exhaustive(whole=0, part=1)


# Logged in debug mode by a server whose certificate the client rejected.
_REJECTED_CERTIFICATE = "Error on transport creation for incoming connection"


class _ErrorLog(logging.Handler):
    """Collector of errors that are only logged: a task that was destroyed, an exception that was never retrieved."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if not message.startswith(_REJECTED_CERTIFICATE):
            self.messages.append(message)


@pytest.fixture(scope="module", autouse=True)
def _freeze_collected_objects() -> None:
    """Exempt what earlier test modules left from garbage collection, so that `gc.collect` in a test is fast."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def complaints() -> Iterator[list[str]]:
    """Fail a test during which the event loop or aiohttp logged an error; a test that expects one clears the list.

    Not checked on Windows, whose event loop logs an error for every connection that the peer resets.
    """
    handler = _ErrorLog()
    loggers = [logging.getLogger(name) for name in ("asyncio", "aiohttp")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.messages
    for logger in loggers:
        logger.removeHandler(handler)
    assert handler.messages == [] or sys.platform == "win32"


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide credentials, profiles, proxies and CA bundles that the environment of the test run may name."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_CERT_")) or name.upper().endswith(("_PROXY", "_CA_BUNDLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses before a credential service is asked again. Their lengths have a test of their own."""
    monkeypatch.setattr("bedrock_stream.auth.outages._PAUSE", 0.001)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    once = RetryPolicy(max_attempts=1)  # tests of retries make their own client
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=once) as client:
        yield client
