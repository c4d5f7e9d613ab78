"""The client: arguments refused at the call, endpoint and credentials, and many event loops."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

import bedrock_stream
from bedrock_stream import Client, Credentials, Message, Text, Timeouts, errors, generate, stream
from bedrock_stream.testing import ACCESS_KEY_ID, API_KEY, SECRET_ACCESS_KEY, Emulator, ThreadedEmulator, stall
from bedrock_stream.testing import text as say
from tests.conftest import KEYS

MODEL = "amazon.nova-lite-v1:0"

# ---------------------------------------------------------------------------------------------------- refused arguments

BAD_CALLS: list[tuple[dict[str, Any], str]] = [
    ({"model": ""}, "model: '' is not a model id"),
    ({"model": "bedrock:"}, "model: 'bedrock:' is not a model id"),
    ({"model": "a\nb"}, r"model: 'a\\nb' contains white space or control characters; remove them"),
    ({"model": 7}, "model: expected a str, got int"),
    ({"model": "m" * 2049}, "model: expected at most 2048 characters, got 2049"),
    ({"prompt": ""}, "prompt: expected a non-empty str, got ''"),
    ({"prompt": []}, "prompt: has no messages"),
    ({"prompt": 7}, "prompt: expected a str, a Message or a sequence of messages, got int"),
    ({"prompt": [{"role": "user", "content": [{"text": ""}]}]}, r"messages\[0\].content\[0\]: expected non-empty text"),
    ({"max_tokens": 0}, "max_tokens: expected a positive int, got 0; omit it to use the model's default"),
    ({"max_tokens": "5"}, "max_tokens: expected a positive int, got '5'"),
    ({"max_token": 5}, "max_token: unknown option; did you mean max_tokens?"),
    ({"temperature": 2}, "temperature: expected a number from 0 to 1, got 2"),
    ({"tools": [{"description": "no name"}]}, r"tools\[0\]: has no name"),
    ({"region": "evil.example.com/"}, "region: expected a region, got 'evil.example.com/'"),
    ({"api_key": " "}, "api_key: is blank"),
    ({"access_key_id": "AKID"}, "secret_access_key: half of a key pair is missing"),
    ({"session_token": "t"}, "session_token: is set without access_key_id and secret_access_key; pass both keys too"),
    ({"model": ".."}, "model: '..' is not a model id"),
    ({"secret_access_key": "s"}, "access_key_id: half of a key pair is missing"),
    ({"use_converse": False}, "use_converse: cannot be False: 'amazon.nova-lite-v1:0' has no native format"),
    ({"extra": {"a": {1, 2}, "b": object()}}, "request: the body cannot be encoded as JSON"),
    ({"timeouts": 5}, r"timeouts: expected Timeouts\(...\), got 5"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_CALLS, ids=[sentence[:40] for _, sentence in BAD_CALLS])
async def test_a_bad_argument_is_refused_at_the_call(arguments: dict[str, Any], sentence: str) -> None:
    call = {"model": MODEL, "prompt": "Hi", **arguments}
    async with Client(region="us-east-1", credentials=KEYS) as client:
        with pytest.raises(errors.ConfigurationError, match=sentence):
            client.stream(**call)
        with pytest.raises(errors.ConfigurationError, match=sentence):
            await client.generate(**call)


BAD_CLIENTS: list[tuple[dict[str, Any], str]] = [
    ({"max_connections": 0}, "max_connections: expected a positive int, got 0"),
    ({"max_connections": True}, "max_connections: expected a positive int, got True"),
    ({"region": "us east"}, "region: expected a region, got 'us east'"),
    ({"credentials": "AKID"}, "credentials: expected Credentials, a source or a callable, got str"),
    ({"api_key": ""}, "api_key: is blank"),
    ({"endpoint_url": "bedrock.example.com"}, "endpoint_url: expected an endpoint URL, got 'bedrock.example.com'"),
    ({"endpoint_url": "http://bedrock.example.com"}, "would send credentials unencrypted"),
    ({"endpoint_url": "https://example.com", "use_fips": True}, "a custom endpoint cannot be combined with FIPS"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_CLIENTS, ids=[sentence[:40] for _, sentence in BAD_CLIENTS])
def test_a_bad_argument_of_a_client_is_refused_at_construction(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=sentence):
        Client(**arguments)


# --------------------------------------------------------------------------------------------- endpoint and credentials


async def test_prefixes_of_other_tools_are_removed_from_the_model_id(emulator: Emulator, client: Client) -> None:
    for prefix in ("", "bedrock:", "amazon_bedrock:"):
        await client.generate(prefix + MODEL, "Hi")
    assert {request.model for request in emulator.requests} == {MODEL}


async def test_the_region_of_a_call_is_signed() -> None:
    async with (
        Emulator(region="eu-west-1") as emulator,
        Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS) as client,
    ):
        assert (await client.generate(MODEL, "Hi", region="eu-west-1")).text
        with pytest.raises(errors.InvalidSignature) as caught:
            await client.generate(MODEL, "Hi")
        assert caught.value.region == "us-east-1"


async def test_credentials_of_a_call_take_precedence_over_the_clients(emulator: Emulator) -> None:
    async with Client(region="us-east-1", endpoint_url=emulator.url, api_key="wrong") as client:
        with pytest.raises(errors.AccessDenied):
            await client.generate(MODEL, "Hi")
        await client.generate(MODEL, "Hi", api_key=API_KEY)
        await client.generate(
            MODEL, "Hi", provider_options={"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY}
        )
    assert [request.auth for request in emulator.requests] == [None, "bearer", "sigv4"]


async def test_a_provider_is_called_for_each_request(emulator: Emulator) -> None:
    threads: list[int] = []

    def provider() -> Credentials:
        threads.append(threading.get_ident())
        return KEYS

    async with Client(region="us-east-1", endpoint_url=emulator.url, credentials=provider) as client:
        await client.generate(MODEL, "Hi")
        await client.stream(MODEL, "Hi").response()
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_missing_credentials_name_every_place_that_was_searched(emulator: Emulator) -> None:
    async with Client(region="us-east-1", endpoint_url=emulator.url) as client:
        with pytest.raises(errors.MissingCredentials) as caught:
            await client.stream(MODEL, "Hi").open()
    for place in ("api_key", "access_key_id", "credentials", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"):
        assert place in str(caught.value)
    assert emulator.requests == []


async def test_secrets_are_not_in_errors_or_reprs(emulator: Emulator) -> None:
    secret = "s3cr3t-s3cr3t-s3cr3t"
    async with Client(
        region="us-east-1", endpoint_url=emulator.url, credentials=Credentials("AKIDEXAMPLE", secret, secret)
    ) as client:
        call = client.stream(MODEL, "Hi")
        with pytest.raises(errors.ServiceError) as caught:
            await call.open()
        shown = [repr(call), repr(client), repr(caught.value), str(caught.value), repr(caught.value.__dict__)]
        with pytest.raises(errors.ConfigurationError) as refused:
            client.stream(MODEL, "Hi", session_token=secret.encode())  # type: ignore[arg-type]
    assert secret not in "".join([*shown, str(refused.value)])


async def test_the_environment_configures_the_module_level_functions(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
    emulator.script(say(["streamed"]))
    emulator.script(say("generated"))
    async with stream(MODEL, Message.user(Text("Hi"))) as response:
        assert await anext(response.text_stream) == "streamed"
    assert (await generate(MODEL, "Hi")).text == "generated"
    assert [request.auth for request in emulator.requests] == ["bearer", "bearer"]


async def test_timeouts_of_a_call_replace_those_of_the_client(emulator: Emulator, client: Client) -> None:
    call = client.stream(MODEL, "Hi", timeouts=Timeouts(connect=3))
    assert call._call.timeouts.connect == 3
    assert client.stream(MODEL, "Hi")._call.timeouts == Timeouts()


# ---------------------------------------------------------------------------------------------------------- event loops


def test_one_client_serves_consecutive_loops() -> None:
    with ThreadedEmulator() as emulator:
        client = Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS)
        for _ in range(10):
            assert asyncio.run(client.generate(MODEL, "Hi")).text
            assert len(client._transports) == 0


def test_one_client_serves_two_loops_in_two_threads() -> None:
    texts: list[str] = []

    async def work(client: Client) -> None:
        for _ in range(5):
            texts.append((await client.stream(MODEL, "Hi").response()).text)  # noqa: PERF401 - the calls are sequential

    with ThreadedEmulator() as emulator:
        client = Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS)
        threads = [threading.Thread(target=lambda: asyncio.run(work(client))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(texts) == 10
    assert len(client._transports) == 0


def test_closing_a_client_closes_streams_on_loops_of_other_threads() -> None:
    opened, closed = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    async def read(client: Client) -> None:
        call = client.stream(MODEL, "Hi")
        await anext(call)
        opened.set()
        while not closed.is_set():
            await asyncio.sleep(0.01)
        try:
            await call.response()
        except errors.ClientClosed as error:
            raised.append(error)

    with ThreadedEmulator(script=[[say("One "), stall()]]) as emulator:
        client = Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS)
        thread = threading.Thread(target=lambda: asyncio.run(read(client)))
        thread.start()
        opened.wait()

        async def close() -> None:
            await client.aclose()
            closed.set()

        asyncio.run(close())
        thread.join()
    assert len(raised) == 1


def test_a_loop_that_was_closed_without_cleanup_is_forgotten() -> None:
    with ThreadedEmulator() as emulator:
        client = Client(region="us-east-1", endpoint_url=emulator.url, credentials=KEYS)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.generate(MODEL, "Hi"))
        (transport,) = client._transports
        loop.run_until_complete(transport.close())
        loop.close()
        asyncio.run(client.generate(MODEL, "Hi"))
        assert len(client._transports) == 0


SCRIPT = """
import asyncio
from bedrock_stream import stream

async def main():
    async for text in stream("some.model", "Hi").text_stream:
        print(text, end="")
    async for event in stream("some.model", "Hi"):
        first = event  # read to the end; nothing is closed explicitly

asyncio.run(main())
"""


@pytest.mark.parametrize("run", ["asyncio.run", "uvloop.run"])
def test_a_plain_script_runs_without_a_warning(run: str) -> None:
    if run == "uvloop.run":
        pytest.importorskip("uvloop")
    code = SCRIPT.replace("asyncio.run", run).replace("import asyncio", f"import {run.partition('.')[0]}")
    with ThreadedEmulator() as emulator:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.url,
            "AWS_BEARER_TOKEN_BEDROCK": API_KEY,
            "AWS_CONFIG_FILE": os.devnull,
        }
        process = subprocess.run(  # noqa: S603 - this interpreter runs a fixed script
            [sys.executable, "-X", "dev", "-W", "error", "-c", code],
            env=environ,
            capture_output=True,
            timeout=50,
            text=True,
        )
    # asyncio's debug mode reports slow steps, as the first one, which imports the client.
    warnings = [line for line in process.stderr.splitlines() if not line.startswith("Executing <")]
    assert warnings == []
    assert "emulator" in process.stdout


def test_the_version_has_three_parts() -> None:
    assert bedrock_stream.__version__.count(".") == 2
