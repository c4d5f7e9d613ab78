"""The key store: every accepted form, refused values, and its scope, which is the process and not a context."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bedrock_stream import Client, Credentials, put_key
from bedrock_stream.auth.credentials import ApiKey
from bedrock_stream.auth.key_store import StoredKeys, get_stored_keys, parse_keys
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, REGION, SECRET_ACCESS_KEY, Emulator
from tests.support.refusals import refused

pytestmark = pytest.mark.usefixtures("empty_key_store")

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("key", StoredKeys(ApiKey("key"))),
        ({"api_key": "key", "region": "eu-west-1"}, StoredKeys(ApiKey("key"), "eu-west-1")),
        ({"access_key_id": "A", "secret_access_key": "s"}, StoredKeys(Credentials("A", "s"))),
        (
            {"access_key_id": "A", "secret_access_key": "s", "session_token": "t", "region": "us-west-2"},
            StoredKeys(Credentials("A", "s", "t"), "us-west-2"),
        ),
        ({"access_key_id": "A", "secret_access_key": "s", "session_token": None}, StoredKeys(Credentials("A", "s"))),
        (Credentials("A", "s"), StoredKeys(Credentials("A", "s"))),
    ],
)
def test_every_form_is_parsed(keys: Any, expected: StoredKeys) -> None:
    put_key("aws_bedrock", keys)
    assert get_stored_keys() == expected
    put_key("aws_bedrock", None)
    assert get_stored_keys() is None
    assert parse_keys({"aws_bedrock": keys}, "keys") == expected


@pytest.mark.parametrize(
    ("keys", "argument", "problem", "remedy"),
    [
        (5, "keys", "expected a str or a mapping, got int", ""),
        ({"access_key": "A"}, "keys", "unknown key 'access_key'", "did you mean access_key_id?"),
        ({"nonsense": "A"}, "keys", "unknown key 'nonsense'", "known are api_key"),
        ({"access_key_id": "A"}, "secret_access_key", "half of a key pair is missing", "pass both keys, or neither"),
        ({"session_token": "t"}, "session_token", "is set without access_key_id", "pass both keys too"),
        ({"api_key": 5}, "keys['api_key']", "expected a str, got int", "leave it out, or pass a value"),
        (
            {"api_key": "k", "region": "eu west"},
            "keys['region']",
            "expected a region, got 'eu west'",
            "use a name like",
        ),
        (
            {"api_key": "k", "access_key_id": "A", "secret_access_key": "s"},
            "keys",
            "contains both an API key and an IAM key pair",
            "pass one of them",
        ),
    ],
)
def test_invalid_keys_are_refused_and_named(keys: Any, argument: str, problem: str, remedy: str) -> None:
    with refused(argument, problem, remedy):
        put_key("aws_bedrock", keys)
    assert get_stored_keys() is None


def test_only_one_provider_is_supported() -> None:
    with refused("provider", "'openai' is not supported", "use 'aws_bedrock'"):
        put_key("openai", "key")


async def test_the_store_is_shared_by_all_tasks_and_threads() -> None:
    async def in_a_task() -> None:
        put_key("aws_bedrock", "from a task")

    await asyncio.create_task(in_a_task())
    assert get_stored_keys() == StoredKeys(ApiKey("from a task"))
    await asyncio.to_thread(put_key, "aws_bedrock", "from a thread")
    assert get_stored_keys() == StoredKeys(ApiKey("from a thread"))
    seen: list[StoredKeys | None] = []
    thread = threading.Thread(target=lambda: seen.append(get_stored_keys()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert seen == [StoredKeys(ApiKey("from a thread"))]


@pytest.mark.parametrize(
    ("keys", "scheme"),
    [
        (API_KEY, "bearer"),
        ({"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY, "region": REGION}, "sigv4"),
    ],
)
async def test_stored_keys_are_used_for_requests(emulator: Emulator, keys: Any, scheme: str) -> None:
    put_key("aws_bedrock", keys)
    async with Client(endpoint_url=emulator.url) as client:
        assert (await client.generate(MODEL, "Hello")).text
    assert emulator.requests[0].auth == scheme


async def test_the_region_stored_with_the_keys_is_used_while_the_keys_are(monkeypatch: pytest.MonkeyPatch) -> None:
    put_key("aws_bedrock", {"api_key": "key", "region": "eu-west-3"})
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    async with Client() as client, Client(api_key="own") as tenant:
        assert client.explain(MODEL, "Hello").region == "eu-west-3"
        assert client.explain(MODEL, "Hello", region="ap-south-1").region == "ap-south-1"
        assert tenant.explain(MODEL, "Hello").region == "us-west-2"
    async with Client(keys={"api_key": "key", "region": "sa-east-1"}) as client:
        assert client.explain(MODEL, "Hello").region == "sa-east-1"
