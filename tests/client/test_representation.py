"""What a client shows of itself, and what a missing `async` raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bedrock_stream import AssumeRole, Client, Stream, ToolRun
from bedrock_stream.testing import Emulator
from tests.conftest import KEYS

MODEL = "amazon.nova-lite-v1:0"
US_EAST_1 = "region='us-east-1', endpoint='https://bedrock-runtime.us-east-1.amazonaws.com'"


def weather(city: str) -> str:
    """Tell the weather."""
    return city


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({}, f"{US_EAST_1}, credentials='the environment'"),
        (
            {"region": "eu-west-1", "api_key": "a-secret-key"},
            "region='eu-west-1', endpoint='https://bedrock-runtime.eu-west-1.amazonaws.com', credentials=\"the client",
        ),
        ({"credentials": KEYS}, f'{US_EAST_1}, credentials="the client\'s credentials"'),
        (
            {"credentials": AssumeRole("arn:aws:iam::123456789012:role/x")},
            f'{US_EAST_1}, credentials="the client\'s credentials: AssumeRole of arn:aws:iam::123456789012:role/x"',
        ),
        ({"profile": "work"}, "invalid profile, credentials=\"profile 'work'\""),
        ({"endpoint_url": "http://127.0.0.1:9"}, "endpoint='http://127.0.0.1:9', credentials='the environment'"),
    ],
    ids=["nothing", "a key", "credentials", "a role", "a profile that does not exist", "an endpoint"],
)
def test_a_client_shows_where_it_calls_and_as_whom(arguments: dict[str, Any], shown: str) -> None:
    client = Client(**arguments)
    assert shown in repr(client)
    assert repr(client).startswith("Client(")
    assert repr(client).endswith(", open_streams=0)")
    assert "secret" not in repr(client)


def test_a_client_that_could_not_be_made_has_a_representation_for_debuggers() -> None:
    assert repr(Client.__new__(Client)) == "Client(not made)"


async def test_a_client_shows_how_many_streams_are_open(client: Client, emulator: Emulator) -> None:
    async with client.stream(MODEL, "Hi") as stream:
        await stream.open()
        assert "open_streams=1)" in repr(client)
    assert "open_streams=0)" in repr(client)


async def test_a_for_or_with_without_async_says_what_to_write(client: Client) -> None:
    stream: Any = client.stream(MODEL, "Hi")
    run: Any = client.run_tools(MODEL, "Hi", tools=[weather])
    reads: list[Callable[[], Any]] = [
        lambda: iter(stream),
        lambda: list(stream),
        lambda: [*stream.text_stream],
        lambda: next(iter(stream.tool_stream)),
        lambda: iter(run),
        lambda: iter(client.invoke_stream(MODEL, {})),  # type: ignore[call-overload]
    ]
    for read in reads:
        with pytest.raises(TypeError, match=r"expected `async for`, got .*; write `async for item in stream:`"):
            read()
    anything: Any
    for anything in (stream, run, client):
        with (
            pytest.raises(TypeError, match=r"expected `async with`, got `with`; write `async with \.\.\. as name:`"),
            anything,
        ):
            pass
    # It is still the mistake of the library's own family where an argument is expected.
    with pytest.raises(ValueError, match="prompt: expected a str, a Message or a sequence of messages, got Stream"):
        client.stream(MODEL, stream)
    assert isinstance(stream, Stream)
    assert isinstance(run, ToolRun)
    assert not hasattr(stream, "__await__")
    await run.aclose()
