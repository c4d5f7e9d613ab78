"""What every test stands on: an environment without AWS in it, an emulator, and a client that talks to it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import traceback
from asyncio.constants import DEBUG_STACK_DEPTH
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bedrock_stream import Client, Credentials, RetryPolicy
from bedrock_stream.testing import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Emulator

KEYS = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
QUICK_RETRIES = RetryPolicy(base=0, cap=0)
"""As many attempts as by default, without the long waits between them."""


# What touches sockets runs on both loops that people use.
ON_EVERY_LOOP = {
    "client/test_attempts.py",
    "client/test_client.py",
    "client/test_failover.py",
    "client/test_stats.py",
    "client/test_stream.py",
    "promises/test_event_loop.py",
    "promises/test_fault_table.py",
    "promises/test_memory_of_streams.py",
    "promises/test_networks.py",
    "promises/test_soak.py",
    "promises/test_ways_out.py",
    "transport/test_slots.py",
    "transport/test_transport.py",
}
TESTS = Path(__file__).parent


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.relative_to(TESTS).as_posix() in ON_EVERY_LOOP:
        try:
            import uvloop
        except ImportError:
            return loops
        loops["uvloop"] = uvloop.new_event_loop
    return loops


def _extract_cheaply(frames: Iterable[tuple[FrameType, int]], **_options: Any) -> traceback.StackSummary:
    """Return the innermost frames. Their source lines are read only when they are printed."""
    stack = traceback.StackSummary()
    for frame, line in islice(frames, DEBUG_STACK_DEPTH):
        code = frame.f_code
        stack.append(traceback.FrameSummary(code.co_filename, line, code.co_name, lookup_line=False))
    return stack


def pytest_configure() -> None:
    """Adapt the debug mode of event loops to tests that keep all cores busy.

    The stacks that it records for each task, future and callback are made cheap: the original checks every source file
    on disk each time, which took more than half of the CPU time of all tests. Tracebacks of exceptions are not affected.
    Warnings of slow callbacks are dropped, since they depend on how busy the machine is.
    """
    traceback.StackSummary.extract = _extract_cheaply  # type: ignore[method-assign, assignment]
    logging.getLogger("asyncio").addFilter(lambda record: not str(record.msg).startswith("Executing %s took"))


# In debug mode, of a client that did not like a server's certificate.
_OF_A_SERVER = "Error on transport creation for incoming connection"


class _Complaints(logging.Handler):
    """What a loop or a connection says only to a log: a task that was lost, an exception that nobody retrieved."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if not said.startswith(_OF_A_SERVER):
            self.said.append(said)


@pytest.fixture(scope="session", autouse=True)
def _modules_and_tests_are_not_garbage() -> Iterator[None]:
    """Exempt what exists after collection from garbage collection, so that `gc.collect` in a test is fast."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def complaints() -> Iterator[list[str]]:
    """Nothing may be complained of behind a test's back; a test that means to, clears the list.

    Windows' own loop complains of every connection that its other side resets, so there it may.
    """
    handler = _Complaints()
    loggers = [logging.getLogger(name) for name in ("asyncio", "aiohttp")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.said
    for logger in loggers:
        logger.removeHandler(handler)
    assert handler.said == [] or sys.platform == "win32"


@pytest.fixture(autouse=True)
def _no_aws_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have keys, profiles and proxies of their own; no test may see them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SSL_CERT_")) or name.upper().endswith(("_PROXY", "_CA_BUNDLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    once = RetryPolicy(max_attempts=1)  # what becomes of one attempt; tests of trying again make their own client
    async with Client(region=REGION, endpoint_url=emulator.url, credentials=KEYS, retry=once) as made:
        yield made
