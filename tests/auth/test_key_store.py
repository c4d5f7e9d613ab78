"""The key store: every form it takes, what it refuses, and that it belongs to the process and to no context."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bedrock_stream import Client, Credentials, put_key
from bedrock_stream.auth.credentials import ApiKey
from bedrock_stream.auth.key_store import Keys, read_keys, stored_keys
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, REGION, SECRET_ACCESS_KEY, Emulator
from tests.support.refusals import refused

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


@pytest.fixture(autouse=True)
def _an_empty_store() -> Iterator[None]:
    yield
    put_key("aws_bedrock", None)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("key", Keys(ApiKey("key"))),
        ({"api_key": "key", "region": "eu-west-1"}, Keys(ApiKey("key"), "eu-west-1")),
        ({"access_key_id": "A", "secret_access_key": "s"}, Keys(Credentials("A", "s"))),
        (
            {"access_key_id": "A", "secret_access_key": "s", "session_token": "t", "region": "us-west-2"},
            Keys(Credentials("A", "s", "t"), "us-west-2"),
        ),
        ({"access_key_id": "A", "secret_access_key": "s", "session_token": None}, Keys(Credentials("A", "s"))),
        (Credentials("A", "s"), Keys(Credentials("A", "s"))),
    ],
)
def test_every_form_is_read(keys: Any, expected: Keys) -> None:
    put_key("aws_bedrock", keys)
    assert stored_keys() == expected
    put_key("aws_bedrock", None)
    assert stored_keys() is None
    assert read_keys({"aws_bedrock": keys}, "keys") == expected


@pytest.mark.parametrize(
    ("keys", "argument", "problem", "remedy"),
    [
        (5, "keys", "a int is none", "give an API key, or a mapping"),
        ({"access_key": "A"}, "keys", "'access_key' is unknown", "did you mean access_key_id?"),
        ({"nonsense": "A"}, "keys", "'nonsense' is unknown", "known are api_key"),
        ({"access_key_id": "A"}, "secret_access_key", "half of a key pair is missing", "give both keys, or neither"),
        ({"session_token": "t"}, "session_token", "it belongs to a key pair", "give both keys too"),
        ({"api_key": 5}, "keys['api_key']", "it is blank", "leave it out, or give a value"),
        (
            {"api_key": "k", "region": "eu west"},
            "keys['region']",
            "expected a region, got 'eu west'",
            "use a name like",
        ),
        (
            {"api_key": "k", "access_key_id": "A", "secret_access_key": "s"},
            "keys",
            "it holds an API key and IAM keys",
            "give one of them",
        ),
    ],
)
def test_what_cannot_be_keys_is_refused_by_name(keys: Any, argument: str, problem: str, remedy: str) -> None:
    with refused(argument, problem, remedy):
        put_key("aws_bedrock", keys)
    assert stored_keys() is None


def test_only_one_provider_is_served() -> None:
    with refused("provider", "'openai' is not served here", "use 'aws_bedrock'"):
        put_key("openai", "key")


async def test_keys_put_anywhere_count_everywhere() -> None:
    async def in_a_task() -> None:
        put_key("aws_bedrock", "from a task")

    await asyncio.create_task(in_a_task())
    assert stored_keys() == Keys(ApiKey("from a task"))
    await asyncio.to_thread(put_key, "aws_bedrock", "from a thread")
    assert stored_keys() == Keys(ApiKey("from a thread"))
    seen: list[Keys | None] = []
    thread = threading.Thread(target=lambda: seen.append(stored_keys()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert seen == [Keys(ApiKey("from a thread"))]


@pytest.mark.parametrize(
    ("keys", "scheme"),
    [
        (API_KEY, "bearer"),
        ({"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY, "region": REGION}, "sigv4"),
    ],
)
async def test_keys_from_the_store_are_sent(emulator: Emulator, keys: Any, scheme: str) -> None:
    put_key("aws_bedrock", keys)
    async with Client(endpoint_url=emulator.url) as client:
        assert (await client.generate(MODEL, "Hello")).text
    assert emulator.requests[0].auth == scheme


async def test_the_region_beside_the_keys_counts_while_the_keys_do(monkeypatch: pytest.MonkeyPatch) -> None:
    put_key("aws_bedrock", {"api_key": "key", "region": "eu-west-3"})
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    async with Client() as client, Client(api_key="own") as tenant:
        assert client.explain(MODEL, "Hello").region == "eu-west-3"
        assert client.explain(MODEL, "Hello", region="ap-south-1").region == "ap-south-1"
        assert tenant.explain(MODEL, "Hello").region == "us-west-2"
    async with Client(keys={"api_key": "key", "region": "sa-east-1"}) as client:
        assert client.explain(MODEL, "Hello").region == "sa-east-1"
