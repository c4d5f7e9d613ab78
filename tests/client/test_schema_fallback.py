"""The fallback from a native output schema to a tool, once the service has refused the schema."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bedrock_stream import Attempt, Client, RetryPolicy, Tool, errors
from bedrock_stream.testing import REGION, Emulator, http_error, stream_error, tool_call
from bedrock_stream.testing import text as say
from bedrock_stream.types.model_facts import ModelFacts
from tests.conftest import KEYS

FACTS = ModelFacts(family="claude", native="anthropic", native_schema=True)
REFUSALS = [
    "The model returned the following errors: output_config.format: Extra inputs are not permitted",
    "This model doesn't support the outputConfig field. Remove outputConfig and try again.",
]
# A refusal is remembered for the process, so each test has a model of its own, which is not a real one.
_numbers = itertools.count(100)


class City(msgspec.Struct):
    name: str


ANSWER = [tool_call("structured_output", {"name": "Oslo"})]
RETRY = RetryPolicy(max_attempts=1)


@asynccontextmanager
async def client_for(
    script: Any, facts: ModelFacts = FACTS, **options: Any
) -> AsyncIterator[tuple[Emulator, Client, str]]:
    model = f"us.anthropic.claude-sonnet-4-5-20250929-v1:{next(_numbers)}"
    async with (
        Emulator(script=script) as emulator,
        Client(
            region=REGION,
            endpoint_url=emulator.url,
            credentials=KEYS,
            models={model: facts},
            **{"retry": RETRY, **options},
        ) as client,
    ):
        yield emulator, client, model


def forms(emulator: Emulator) -> list[str]:
    """Return the form of the schema in each request."""
    return [_form(msgspec.json.decode(request.body)) for request in emulator.requests]


def _form(body: dict[str, Any]) -> str:
    if "outputConfig" in body:
        return "native"
    return "tool" if "toolConfig" in body else "none"


@pytest.mark.parametrize("words", REFUSALS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_refused_schema_is_sent_as_a_tool_and_the_model_is_remembered(words: str, streaming: bool) -> None:
    seen: list[Attempt] = []
    script = [http_error(400, "ValidationException", words), ANSWER, ANSWER]
    async with client_for(script, retry=RetryPolicy(max_attempts=1, on_retry=seen.append)) as (emulator, client, model):
        for _ in range(2):
            if streaming:
                async with client.stream(model, "q", output_schema=City) as stream:
                    response = await stream.response()
            else:
                response = await client.generate(model, "q", output_schema=City)
            assert response.parsed == City(name="Oslo")
            assert response.tool_calls == ()
        assert forms(emulator) == ["native", "tool", "tool"]
        assert [type(attempt.error) for attempt in seen] == [errors.ValidationFailed]
        assert client.explain(model, "q", output_schema=City).changes == (
            "output_schema is sent as a tool, since the service refused the schema of this model",
        )


async def test_a_refusal_in_the_stream_before_any_event_counts_too() -> None:
    async with client_for([[stream_error("validationException", REFUSALS[1])], ANSWER]) as (emulator, client, model):
        async with client.stream(model, iter([{"role": "user", "content": "q"}]), output_schema=City) as stream:
            response = await stream.response()
            assert len(stream.attempts) == 2
        assert response.parsed == City(name="Oslo")
        assert forms(emulator) == ["native", "tool"]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("output_config.format.schema: For 'integer' type, property 'minimum' is not supported", {}),
        ("output_config.effort: Input should be 'low', 'medium' or 'high'", {}),
        (REFUSALS[0], {"tools": [Tool(name="f")]}),
    ],
)
async def test_other_refusals_are_raised(words: str, options: dict[str, Any]) -> None:
    async with client_for([http_error(400, "ValidationException", words), [say('{"name": "Oslo"}')]]) as made:
        emulator, client, model = made
        with pytest.raises(errors.ValidationFailed):
            await client.generate(model, "q", output_schema=City, **options)
        assert len(emulator.requests) == 1
        assert (await client.generate(model, "q", output_schema=City)).parsed == City(name="Oslo")
        assert forms(emulator) == ["native", "native"]


async def test_a_refused_tool_is_not_sent_again() -> None:
    refusal = http_error(400, "ValidationException", REFUSALS[1])
    async with client_for([refusal, refusal]) as (emulator, client, model):
        with pytest.raises(errors.ValidationFailed):
            await client.generate(model, "q", output_schema=City)
        assert forms(emulator) == ["native", "tool"]


@pytest.mark.parametrize("options", [{}, {"use_converse": False}])
@pytest.mark.parametrize("native", [True, False], ids=["native", "tool"])
async def test_the_emulators_own_answer_matches_the_schema(native: bool, options: dict[str, Any]) -> None:
    facts = msgspec.structs.replace(FACTS, native_schema=native)
    async with client_for(None, facts) as (_, client, model):
        response = await client.generate(model, "Norway's capital?", output_schema=City, **options)
    assert isinstance(response.parsed, City)
    assert response.parse_error is None
