"""The model for pydantic-ai, held against pydantic-ai's own on boto3: the same requests, the same answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    Tool,
    ToolOutput,
    UserError,
    VideoUrl,
    exceptions,
)
from pydantic_ai.direct import model_request
from pydantic_ai.messages import (
    AudioUrl,
    FilePart,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.bedrock import BedrockConverseModel
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.providers.bedrock import BedrockProvider
from pydantic_ai.settings import ToolOrOutput

from bedrock_stream import Client, errors
from bedrock_stream.integrations.pydantic_ai import BedrockStreamModel
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Step,
    citation,
    cut,
    end_block,
    event,
    http_error,
    metadata,
    reasoning,
    stall,
    start,
    stop,
    stream_error,
    text,
    tool_call,
)
from tests.support.clients import ONCE, client_of

NOVA = "us.amazon.nova-2-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "meta.llama3-1-8b-instruct-v1:0"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)

Program = Callable[[Model[Any]], Awaitable[Any]]


class City(BaseModel):
    name: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def people(city: str) -> dict[str, Any]:
    """How many people live in a city."""
    return {"city": city, "people": 700_000}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as running:
        yield running


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[Client]:
    async with client_of(emulator.url, retry=ONCE) as made:
        yield made


async def both(program: Program, model: str, *answers: list[Step]) -> tuple[list[Any], list[Any]]:
    """Run a program on pydantic-ai's own model and on ours. Return of each its results and the bodies it sent."""
    outcomes = []
    for ours in (False, True):
        async with Emulator() as emulator, client_of(emulator.url, retry=ONCE) as client:
            for answer in answers:
                emulator.script(*answer)
            if ours:
                made: Model[Any] = BedrockStreamModel(model, client=client)
                results = await program(made)
            else:
                runtime = boto3.client(
                    "bedrock-runtime",
                    region_name=REGION,
                    endpoint_url=emulator.url,
                    aws_access_key_id=ACCESS_KEY_ID,
                    aws_secret_access_key=SECRET_ACCESS_KEY,
                    config=Config(retries={"max_attempts": 0}),
                )
                results = await program(BedrockConverseModel(model, provider=BedrockProvider(bedrock_client=runtime)))
                runtime.close()
            outcomes.append([results, [without_defaults(json.loads(one.body)) for one in emulator.requests]])
    return outcomes[0], outcomes[1]


def without_defaults(value: Any) -> Any:
    """Return a body without what means the same when it is left out: empty objects, success, titles of schemas.

    The names of documents are each one's own.
    """
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: without_defaults(member) for name, member in value.items()}
    if members.get("status") == "success":
        del members["status"]
    members.pop("title", None)
    if "format" in members and "name" in members:
        del members["name"]
    return {name: member for name, member in members.items() if name in ("auto", "any") or member not in ({}, [])}


# ------------------------------------------------------------------------------------------------------- same programs


async def chat(model: Model[Any]) -> Any:
    agent = Agent(model, instructions="Be brief.", system_prompt="You are a guide.")
    first = await agent.run("Hello")
    second = await agent.run("And now?", message_history=first.all_messages())
    return [first.output, second.output, first.usage.input_tokens, second.usage.output_tokens]


async def streamed_chat(model: Model[Any]) -> Any:
    async with Agent(model, instructions="Be brief.").run_stream("Hello") as run:
        pieces = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
        return [pieces, run.usage.total_tokens, run.response.finish_reason]


async def with_tools(model: Model[Any]) -> Any:
    agent = Agent(model, tools=[weather, people])
    return (await agent.run("What is the weather in Oslo?")).output


async def streamed_with_tools(model: Model[Any]) -> Any:
    agent = Agent(model, tools=[weather, people])
    async with agent.run_stream("What is the weather in Oslo?") as run:
        return await run.get_output()


async def tool_output(model: Model[Any]) -> Any:
    return (await Agent(model, output_type=ToolOutput(City)).run("Oslo")).output


async def attachments(model: Model[Any]) -> Any:
    prompt: Any = [
        TextContent("What is this?"),
        BinaryContent(PNG, media_type="image/png"),
        BinaryContent(b"a,b", media_type="text/csv"),
        ImageUrl("s3://bucket/image.png"),
        DocumentUrl("s3://bucket/paper.pdf"),
        VideoUrl("s3://bucket/film.mp4"),
    ]
    return (await Agent(model).run(prompt)).output


@pytest.mark.parametrize("model", [NOVA, CLAUDE])
@pytest.mark.parametrize("program", [chat, streamed_chat, with_tools, streamed_with_tools, tool_output])
async def test_a_program_sends_and_gets_the_same(program: Program, model: str) -> None:
    theirs, ours = await both(program, model)
    assert ours == theirs


async def test_attachments_are_sent_the_same() -> None:
    theirs, ours = await both(attachments, NOVA, [text("A picture.")])
    assert ours == theirs


@pytest.mark.parametrize("streamed", [False, True])
async def test_reasoning_is_kept_and_goes_back_the_same(streamed: bool) -> None:
    async def program(model: Model[Any]) -> Any:
        agent = Agent(model, tools=[weather])
        parts: list[Any] = []
        async with agent.iter("What is the weather in Oslo?") as run:
            async for node in run:
                if streamed and Agent.is_model_request_node(node):
                    async with node.stream(run.ctx) as stream:
                        async for _ in stream:
                            pass
                if Agent.is_call_tools_node(node):
                    parts += node.model_response.parts
        return [
            (type(part).__name__, getattr(part, "content", None), getattr(part, "signature", None)) for part in parts
        ]

    answers: tuple[list[Step], ...] = (
        [
            reasoning("I look it up.", signature="c2ln"),
            reasoning(redacted=b"aGlkZGVu"),
            tool_call("weather", {"city": "Oslo"}, fragments=3),
        ],
        [text("It rains.")],
    )
    theirs, ours = await both(program, CLAUDE, *answers)
    assert ours == theirs
    assert any(kind == "ThinkingPart" and signature == "c2ln" for kind, _, signature in ours[0])
    assert '"redactedContent": "YUdsa1pHVnU="' in json.dumps(ours[1][1])


SETTINGS: Any = {
    "max_tokens": 500,
    "temperature": 0.5,
    "top_p": 0.9,
    "stop_sequences": ["END"],
    "service_tier": "flex",
    "bedrock_guardrail_config": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"},
    "bedrock_performance_configuration": {"latency": "standard"},
    "bedrock_request_metadata": {"team": "a"},
    "bedrock_additional_model_response_fields_paths": ["/stop_sequence"],
    "bedrock_additional_model_requests_fields": {"inferenceConfig": {"topK": 5}},
    "bedrock_prompt_variables": {"name": {"text": "Ann"}},
}


async def test_settings_of_the_other_model_mean_the_same() -> None:
    async def program(model: Model[Any]) -> Any:
        return (await Agent(model, model_settings=SETTINGS).run("Hello")).output

    theirs, ours = await both(program, NOVA, [text("Hi")])
    assert ours == theirs


@pytest.mark.parametrize(
    "choice",
    [None, "auto", "required", ["weather"], ["weather", "people"], ToolOrOutput(function_tools=["weather"])],
)
async def test_a_tool_choice_is_sent_the_same(choice: Any) -> None:
    async def program(model: Model[Any]) -> Any:
        settings: Any = {} if choice is None else {"tool_choice": choice}
        messages: list[Any] = [ModelRequest.user_text_prompt("Hello")]
        tools = [Tool(function).tool_def for function in (weather, people)]
        return (
            await model_request(
                model,
                messages,
                model_settings=settings,
                model_request_parameters=ModelRequestParameters(function_tools=tools),
            )
        ).text

    theirs, ours = await both(program, NOVA, [text("Hi")])
    assert ours == theirs


async def test_no_tool_may_be_called() -> None:
    async def program(model: Model[Any]) -> Any:
        return (await Agent(model, tools=[weather], model_settings={"tool_choice": "none"}).run("Hello")).output

    theirs, ours = await both(program, NOVA, [text("Hi")])
    assert ours == theirs


async def test_a_failed_tool_is_told_the_same() -> None:
    def fails(city: str) -> str:
        """Always asks for another city."""
        raise ModelRetry(f"not {city}")

    async def program(model: Model[Any]) -> Any:
        return (await Agent(model, tools=[fails], retries=2).run("Hello")).output

    answers: tuple[list[Step], ...] = ([tool_call("fails", {"city": "Oslo"})], [text("Sorry.")])
    theirs, ours = await both(program, NOVA, *answers)
    assert ours == theirs


# ----------------------------------------------------------------------------------------------------------- structure


async def test_native_output_is_asked_of_a_model_that_has_it(emulator: Emulator, client: Client) -> None:
    emulator.script(text('{"name": "Oslo", "people": 700000}'))
    agent = Agent(BedrockStreamModel(CLAUDE, client=client), output_type=NativeOutput(City))
    assert (await agent.run("Oslo")).output == City(name="Oslo", people=700_000)
    assert b"json_schema" in emulator.requests[0].body
    with pytest.raises(UserError, match="not supported by this model"):
        await Agent(BedrockStreamModel(NOVA, client=client), output_type=NativeOutput(City)).run("Oslo")


async def test_prompted_output_is_in_the_system_prompt(emulator: Emulator, client: Client) -> None:
    emulator.script(text('{"name": "Oslo", "people": 700000}'))
    agent = Agent(BedrockStreamModel(NOVA, client=client), output_type=PromptedOutput(City))
    assert (await agent.run("Oslo")).output.name == "Oslo"
    assert b"people" in json.dumps(json.loads(emulator.requests[0].body)["system"]).encode()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_input_that_is_not_json_goes_back_to_the_model(
    streamed: bool, emulator: Emulator, client: Client
) -> None:
    emulator.script(tool_call("weather", '{"city": "Os'))
    emulator.script(text("Sorry."))
    agent = Agent(BedrockStreamModel(NOVA, client=client), tools=[weather], retries=1)
    if streamed:
        async with agent.run_stream("Hello") as run:
            output = await run.get_output()
    else:
        output = (await agent.run("Hello")).output
    assert output == "Sorry."
    sent = json.loads(emulator.requests[1].body)["messages"]
    assert sent[1]["content"][0]["toolUse"]["input"] == {
        "INVALID_JSON": '{"city": "Os' if streamed else json.dumps('{"city": "Os')
    }
    assert sent[2]["content"][0]["toolResult"]["status"] == "error"


async def test_citations_and_images_are_kept(emulator: Emulator, client: Client) -> None:
    answer: list[Step] = [
        text("It rains."),
        citation(title="Report", source="doc"),
        end_block(),
        event("contentBlockStart", {"contentBlockIndex": 1, "start": {"image": {"format": "png"}}}),
        event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"image": {"source": {"bytes": "iVBORw=="}}}}),
        event("contentBlockStop", {"contentBlockIndex": 1}),
        stop(),
    ]
    emulator.script(*answer)
    model = BedrockStreamModel(NOVA, client=client)
    async with Agent(model).run_stream("Hello") as run:
        await run.get_output()
        said, image = run.response.parts
    assert isinstance(said, TextPart)
    assert said.provider_details == {"citations": [{"title": "Report", "source": "doc"}]}
    assert isinstance(image, FilePart)
    assert (image.content.data, image.content.media_type) == (b"\x89PNG", "image/png")


async def test_redacted_reasoning_of_any_bytes_survives(emulator: Emulator, client: Client) -> None:
    for streamed in (False, True):
        emulator.script(reasoning(redacted=b"\x00\xff"), text("Hi"))
        emulator.script(text("Again"))
        agent = Agent(BedrockStreamModel(CLAUDE, client=client, settings={"max_tokens": 100}))
        if streamed:
            async with agent.run_stream("Hello") as run:
                await run.get_output()
                history = run.all_messages()
        else:
            history = (await agent.run("Hello")).all_messages()
        await agent.run("More", message_history=history)
        assert b'"redactedContent":"AP8="' in emulator.requests[-1].body


async def test_reasoning_of_another_provider_keeps_its_text_alone(emulator: Emulator, client: Client) -> None:
    thought = ThinkingPart("A thought.", signature="theirs", provider_name="openai")
    history: list[Any] = [
        ModelRequest.user_text_prompt("Hello"),
        ModelResponse([thought, TextPart("Hi")], provider_name="openai", model_name="gpt"),
    ]
    await Agent(BedrockStreamModel(CLAUDE, client=client)).run("More", message_history=history)
    assert b"theirs" not in emulator.requests[0].body


# --------------------------------------------------------------------------------------------------- settings and facts


@pytest.mark.parametrize(
    ("model", "thinking", "field"),
    [
        (NOVA, "high", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA, "xhigh", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        (NOVA, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA, True, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (LLAMA, "low", None),
    ],
)
async def test_thinking_becomes_the_effort_of_the_model(
    model: str, thinking: Any, field: Any, emulator: Emulator, client: Client
) -> None:
    emulator.script(text("Hi"))
    await Agent(BedrockStreamModel(model, client=client, settings={"thinking": thinking})).run("Hello")
    assert json.loads(emulator.requests[0].body).get("additionalModelRequestFields") == field


@pytest.mark.parametrize(
    "settings",
    [
        {"cache": True},
        {"cache": "1h"},
        {"bedrock_cache_messages": "1h", "bedrock_cache_instructions": True},
        {"bedrock_stream_options": {"prompt_cache": "auto", "prompt_cache_ttl": "1h"}},
    ],
)
async def test_cache_points_are_set(settings: Any, emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hi"))
    agent = Agent(BedrockStreamModel(CLAUDE, client=client), instructions="Long. " * 3000, model_settings=settings)
    lifetime: Any = "1h" if "1h" in json.dumps(settings) else "5m"
    await agent.run(["Hello " * 3000, CachePoint(ttl=lifetime), "More"])
    body = json.loads(emulator.requests[0].body)
    point = {"cachePoint": {"type": "default", **({"ttl": "1h"} if lifetime == "1h" else {})}}
    of_the_caller = {"cachePoint": {"type": "default", "ttl": lifetime}}
    assert body["system"][-1] == point
    assert body["messages"][0]["content"][1:4:2] == [of_the_caller, point]


async def test_the_prefix_alone_is_cached_on_demand(emulator: Emulator, client: Client) -> None:
    emulator.script(text("Hi"))
    settings: Any = {"cache": {"messages": False}}
    agent = Agent(BedrockStreamModel(CLAUDE, client=client), instructions="Long. " * 3000, model_settings=settings)
    await agent.run("Hello " * 3000)
    body = json.loads(emulator.requests[0].body)
    assert "cachePoint" in body["system"][-1]
    assert "cachePoint" not in body["messages"][0]["content"][-1]


async def test_an_inference_profile_is_called_as_the_model_behind_it(emulator: Emulator, client: Client) -> None:
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    settings: Any = {"bedrock_inference_profile": profile, "bedrock_service_tier": {"type": "priority"}}
    emulator.script(text("Hi"))
    await Agent(BedrockStreamModel(NOVA, client=client, settings=settings)).run("Hello")
    assert emulator.requests[0].model == profile
    assert json.loads(emulator.requests[0].body)["serviceTier"] == {"type": "priority"}


async def test_usage_is_counted_and_unknown_usage_is_marked(emulator: Emulator, client: Client) -> None:
    counts = {
        "inputTokens": 1,
        "outputTokens": 2,
        "totalTokens": 10,
        "cacheReadInputTokens": 3,
        "cacheWriteInputTokens": 4,
    }
    agent = Agent(BedrockStreamModel(NOVA, client=client))
    emulator.script(text("Hi"), stop(), metadata(counts))
    usage = (await agent.run("Hello")).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (8, 2, 3, 4)
    emulator.script(text("Hi"), stop(), metadata(None))
    async with agent.run_stream("Hello") as run:
        await run.get_output()
        assert run.usage.unmeasured_requests == 1


async def test_tokens_are_counted(emulator: Emulator, client: Client) -> None:
    model = BedrockStreamModel(CLAUDE, client=client)
    messages: list[Any] = [ModelRequest.user_text_prompt("Hello")]
    assert (await model.count_tokens(messages, None, ModelRequestParameters())).input_tokens > 0


async def test_a_profile_of_the_caller_takes_precedence(client: Client) -> None:
    assert BedrockStreamModel(NOVA, client=client).profile["supports_thinking"]
    assert not BedrockStreamModel(NOVA, client=client, profile={"supports_thinking": False}).profile[
        "supports_thinking"
    ]

    def with_window(known: Any) -> Any:
        return {**known, "context_window": 5}

    changed = BedrockStreamModel(NOVA, client=client, profile=with_window)
    assert (changed.context_window, changed.profile["supports_thinking"]) == (5, True)


async def test_a_model_makes_a_client_of_the_environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-emulator")
    model = BedrockStreamModel(NOVA)
    async with model.client:
        assert (model.model_name, model.system, model.canonical_system) == (NOVA, "bedrock", "bedrock")


@pytest.mark.parametrize(
    "file",
    [
        AudioUrl("https://example.com/a.mp3"),
        BinaryContent(b"a", media_type="audio/mpeg"),
        UploadedFile(file_id="s3://b/a.mp3", provider_name="bedrock", media_type="audio/mpeg"),
    ],
)
async def test_audio_is_refused(file: Any, client: Client) -> None:
    with pytest.raises(UserError, match="cannot be sent to Bedrock"):
        await model_request(
            BedrockStreamModel(NOVA, client=client),
            [ModelRequest.user_text_prompt(["Listen.", file])],  # type: ignore[arg-type]
        )


async def test_files_of_a_tool_and_uploaded_files_are_sent(emulator: Emulator, client: Client) -> None:
    uploaded = UploadedFile(file_id="s3://bucket/image.png", provider_name="bedrock", media_type="image/png")
    history: list[Any] = [
        ModelRequest.user_text_prompt("Hello"),
        ModelResponse([ToolCallPart("look", None, "t1")]),
        ModelRequest([ToolReturnPart("look", [uploaded, "seen"], "t1")]),
    ]
    emulator.script(text("Hi"))
    await model_request(BedrockStreamModel(NOVA, client=client), history)
    result = json.loads(emulator.requests[0].body)["messages"][2]["content"][0]["toolResult"]
    assert result["content"][0]["image"]["source"] == {"s3Location": {"uri": "s3://bucket/image.png"}}
    assert result["content"][1] == {"text": "seen"}


# ------------------------------------------------------------------------------------------------- failures and streams


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "ThrottlingException", exceptions.ModelRateLimitError),
        (400, "ValidationException", exceptions.ModelRequestRejectedError),
        (403, "AccessDeniedException", exceptions.ModelAuthenticationError),
        (404, "ResourceNotFoundException", exceptions.ModelNotFoundError),
        (503, "ServiceUnavailableException", exceptions.ModelUnavailableError),
        (500, "InternalServerException", exceptions.ModelServerError),
        (418, "TeapotException", exceptions.ModelHTTPError),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_refusal_is_an_error_of_pydantic_ai(
    status: int, code: str, kind: Any, streamed: bool, emulator: Emulator, client: Client
) -> None:
    emulator.script(http_error(status, code, "not now"))
    agent = Agent(BedrockStreamModel(NOVA, client=client))
    with pytest.raises(kind) as caught:
        if streamed:
            async with agent.run_stream("Hello"):
                pass
        else:
            await agent.run("Hello")
    error = caught.value
    assert isinstance(error, exceptions.ModelHTTPError)
    assert (error.status_code, error.provider_error_code, error.in_stream) == (status, code, False)
    assert isinstance(error.__cause__, errors.ServiceError)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (stream_error("throttlingException", "slow down"), exceptions.ModelRateLimitError),
        (cut(), exceptions.ModelConnectionError),
        (event("contentBlockDelta", b"[]"), exceptions.ModelAPIError),
    ],
)
async def test_a_failure_in_a_stream_is_an_error_of_pydantic_ai(
    failure: Step, kind: Any, emulator: Emulator, client: Client
) -> None:
    emulator.script(text("Hi"), failure)
    with pytest.raises(kind):
        async with Agent(BedrockStreamModel(NOVA, client=client)).run_stream("Hello") as run:
            await run.get_output()


async def test_a_fallback_model_takes_over(emulator: Emulator, client: Client) -> None:
    emulator.script(http_error(503, "ServiceUnavailableException", "later"))
    emulator.script(text("Hi"))
    models = [BedrockStreamModel(name, client=client, settings={"max_tokens": 50}) for name in (NOVA, CLAUDE)]
    assert (await Agent(FallbackModel(*models)).run("Hello")).output == "Hi"


async def test_a_bad_setting_is_a_configuration_error(client: Client) -> None:
    settings: Any = {"bedrock_stream_options": {"temprature": 1}}
    with pytest.raises(errors.ConfigurationError, match="did you mean temperature"):
        await Agent(BedrockStreamModel(NOVA, client=client, settings=settings)).run("Hello")


async def test_text_is_there_when_it_comes_and_leaving_frees_the_connection(emulator: Emulator, client: Client) -> None:
    emulator.script(start(), text("Hi"), stall())
    async with Agent(BedrockStreamModel(NOVA, client=client)).run_stream("Hello") as run:
        async for piece in run.stream_text(delta=True, debounce_by=None):
            assert piece == "Hi"
            break
        assert emulator.open_streams == 1
    await emulator.wait_until_idle()
    assert client.stats().open_streams == 0


async def test_a_cancelled_run_frees_the_connection(emulator: Emulator, client: Client) -> None:
    emulator.script(start(), text("Hi"), stall())
    seen = asyncio.Event()

    async def read() -> None:
        async with Agent(BedrockStreamModel(NOVA, client=client)).run_stream("Hello") as run:
            async for _ in run.stream_text(delta=True, debounce_by=None):
                seen.set()

    task = asyncio.create_task(read())
    await seen.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await emulator.wait_until_idle()


async def test_a_stream_can_be_cancelled(emulator: Emulator, client: Client) -> None:
    emulator.script(start(), text("Hi"), stall())
    model = BedrockStreamModel(NOVA, client=client)
    messages: list[Any] = [ModelRequest.user_text_prompt("Hello")]
    async with model.request_stream(messages, None, ModelRequestParameters()) as stream:
        iterator = aiter(stream)
        await anext(iterator)
        waiting = asyncio.create_task(anext(iterator, None))
        await asyncio.sleep(0)
        await stream.cancel()
        while await waiting is not None:
            waiting = asyncio.create_task(anext(iterator, None))
        assert stream.get().state == "interrupted"
        assert (stream.model_name, stream.provider_name) == (NOVA, "bedrock")
        assert stream.provider_url == emulator.url
        assert stream.timestamp.tzinfo is not None
    await emulator.wait_until_idle()


async def test_a_part_that_needs_preparing_is_named(client: Client) -> None:
    from pydantic_ai.messages import RetryFeedbackPart

    part = RetryFeedbackPart.__new__(RetryFeedbackPart)
    with pytest.raises(UserError, match="RetryFeedbackPart cannot be sent"):
        await BedrockStreamModel(NOVA, client=client).request([ModelRequest([part])], None, ModelRequestParameters())
