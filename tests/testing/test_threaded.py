"""The emulator in a thread: blocking clients, tests without an event loop, tests with any event loop."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import anyio
import boto3
import pytest

from bedrock_stream import stream
from bedrock_stream.testing import CREDENTIALS, Emulator, ReceivedRequest, ThreadedEmulator, stall, text
from tests.support.emulator_client import HELLO, MODEL, open_request


def running() -> int:
    """Return the number of emulator threads."""
    return sum(thread.name == "bedrock emulator" for thread in threading.enumerate())


def generate_with_boto3(emulator: Emulator) -> str:
    """Return the text that boto3 receives from `converse`."""
    environ = emulator.environ
    settings: dict[str, Any] = {
        "endpoint_url": emulator.url,
        "region_name": environ["AWS_REGION"],
        "aws_access_key_id": environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environ["AWS_SECRET_ACCESS_KEY"],
    }
    with closing(boto3.client("bedrock-runtime", **settings)) as client:
        answer = client.converse(modelId=MODEL, **HELLO)
    return str(answer["output"]["message"]["content"][0]["text"])


def test_a_blocking_client_is_served_in_a_test_without_a_loop() -> None:
    with ThreadedEmulator(script=[text("Hi there")]) as emulator:
        assert generate_with_boto3(emulator) == "Hi there"
        assert [request.operation for request in emulator.block_for_requests(1)] == ["Converse"]
        emulator.block_until_idle()


async def test_a_blocking_client_is_served_on_the_tests_own_loop() -> None:
    async with ThreadedEmulator(script=[text("Hi there")]) as emulator:
        assert generate_with_boto3(emulator) == "Hi there"
        assert len(await emulator.wait_for_requests(1)) == 1


async def test_waiting_works_from_a_loop_and_from_blocking_code() -> None:
    with ThreadedEmulator(script=[[text("a"), stall()]]) as emulator:
        connection = await open_request(emulator)
        await emulator.wait_for_streams(1)
        emulator.block_for_streams(1)
        await connection.close()
        await emulator.wait_until_idle()
        with pytest.raises(TimeoutError):
            await emulator.wait_for_requests(2, timeout=0.01)
        with pytest.raises(TimeoutError):
            emulator.block_for_requests(2, timeout=0.01)


def test_no_thread_is_left_after_closing() -> None:
    emulator = ThreadedEmulator(script=[stall()])
    with emulator:
        assert running() == 1
    assert running() == 0
    emulator.shut()
    with pytest.raises(RuntimeError, match="not running"):
        emulator.block_until_idle()
    with emulator:
        assert emulator.url


def test_a_port_in_use_raises_and_leaves_no_thread() -> None:
    with ThreadedEmulator() as emulator, pytest.raises(OSError, match="address already in use"):
        ThreadedEmulator(port=int(emulator.url.rpartition(":")[2])).open()
    assert running() == 0


def test_a_script_runs_in_the_emulators_thread() -> None:
    threads: list[str] = []

    def script(request: ReceivedRequest) -> None:
        threads.append(threading.current_thread().name)

    with ThreadedEmulator(script=script) as emulator:
        generate_with_boto3(emulator)
    assert threads == ["bedrock emulator"]


def test_environ_points_the_shared_client_to_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> str:
        async with stream(MODEL, "Hello") as answer:
            return (await answer.response()).text

    for credentials, auth in [(CREDENTIALS, "sigv4"), (None, "bearer")]:
        with (
            ThreadedEmulator(script=[text("in")], region="eu-west-1", credentials=credentials) as emulator,
            monkeypatch.context() as patch,
        ):
            for name, value in emulator.environ.items():
                patch.setenv(name, value)
            assert anyio.run(ask) == "in"
            assert emulator.requests[0].auth == auth
