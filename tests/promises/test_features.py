"""The promised features, as one table: every kind of credentials, on every route, for every family and feature.

Each request body is checked against an independent description: Converse's against botocore's service model, native
ones against the shapes below. The route of a call never changes what the caller's code receives.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Literal

import botocore.session
import msgspec
import pytest
from botocore.validate import ParamValidator

from bedrock_stream import (
    BlockStop,
    Client,
    Credentials,
    Document,
    Image,
    Message,
    MessageStop,
    Metadata,
    ReasoningDelta,
    Response,
    TextDelta,
    ToolCallEnd,
    ToolResult,
    errors,
    generate,
    stream,
)
from bedrock_stream.testing import (
    ACCESS_KEY_ID,
    API_KEY,
    REGION,
    SECRET_ACCESS_KEY,
    Emulator,
    Keys,
    ReceivedRequest,
    Step,
    citation,
    cut,
    flip_bit,
    http_error,
    metadata,
    reasoning,
    stop,
    stream_error,
    tool_call,
    unmodeled_error,
)
from bedrock_stream.testing import text as say
from tests.support.exhaustive import exhaustive

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "us.meta.llama3-2-3b-instruct-v1:0"
LLAMA_VISION = "us.meta.llama3-2-11b-instruct-v1:0"
COMMAND_R = "cohere.command-r-plus-v1:0"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
TOKEN = "session-token"
TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

# ------------------------------------------------------------------------------------------------------- authentication

_PAIR = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY}
_PAIR_ENVIRON = {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}

SIGN_IN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str], str]] = {
    "an API key as an option": ({}, {"provider_options": {"api_key": API_KEY}}, {}, "bearer"),
    "an API key of the client": ({"api_key": API_KEY}, {}, {}, "bearer"),
    "an API key in the environment": ({}, {}, {"AWS_BEARER_TOKEN_BEDROCK": API_KEY}, "bearer"),
    "an IAM key pair as options": ({}, {"provider_options": _PAIR}, {}, "sigv4"),
    "an IAM key pair of the client": ({"credentials": Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)}, {}, {}, "sigv4"),
    "an IAM key pair in the environment": ({}, {}, _PAIR_ENVIRON, "sigv4"),
    "temporary credentials as options": ({}, {"provider_options": {**_PAIR, "session_token": TOKEN}}, {}, "token"),
    "temporary credentials of the client": (
        {"credentials": Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, TOKEN)},
        {},
        {},
        "token",
    ),
    "temporary credentials in the environment": ({}, {}, {**_PAIR_ENVIRON, "AWS_SESSION_TOKEN": TOKEN}, "token"),
}


@asynccontextmanager
async def signed_in(way: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Emulator, Client, Any]]:
    """Yield an emulator that accepts these credentials alone, a client, and the options of its calls."""
    settings, options, environ, scheme = SIGN_IN[way]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    keys = None if scheme == "bearer" else Keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, TOKEN if scheme == "token" else None)
    async with (
        Emulator(credentials=keys, api_key=API_KEY if scheme == "bearer" else None) as emulator,
        Client(region=REGION, endpoint_url=emulator.url, **settings) as client,
    ):
        yield emulator, client, options


def check_signature(request: ReceivedRequest, way: str) -> None:
    scheme = SIGN_IN[way][3]
    assert request.auth == ("bearer" if scheme == "bearer" else "sigv4")
    assert request.headers.get("X-Amz-Security-Token") == (TOKEN if scheme == "token" else None)
    assert ("X-Amz-Date" in request.headers) == (scheme != "bearer")


# ------------------------------------------------------------------------------------------------------- request bodies


@cache
def _input_of(operation: str) -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(operation).input_shape


def _decoded(value: Any, shape: Any) -> Any:
    """Convert JSON to what botocore expects from its callers: bytes instead of base64."""
    if shape.type_name == "blob":
        return b64decode(value, validate=True)
    if getattr(shape, "is_document_type", False):
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        members = shape.members
        return {name: _decoded(item, members[name]) if name in members else item for name, item in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_decoded(item, shape.member) for item in value]
    return value


def check_converse(request: ReceivedRequest) -> None:
    """Check every member and its type against the service model."""
    assert request.operation is not None
    shape = _input_of(request.operation)
    report = ParamValidator().validate({"modelId": request.model, **_decoded(request.json, shape)}, shape)
    assert not report.has_errors(), report.generate_report()


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Ephemeral(Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Base64(Strict, tag="base64"):
    media_type: Literal["image/png", "application/pdf"]
    data: bytes


class PlainText(Strict, tag="text"):
    media_type: Literal["text/plain"]
    data: str


class Marked(Strict, kw_only=True):
    cache_control: Ephemeral | None = None


class ClaudeText(Marked, tag="text"):
    text: str
    citations: list[dict[str, Any]] = []


class ClaudeImage(Marked, tag="image"):
    source: Base64


class Enabled(Strict):
    enabled: bool


class ClaudeDocument(Marked, tag="document"):
    source: Base64 | PlainText
    title: str | None = None
    context: str | None = None
    citations: Enabled | None = None


class ClaudeThinking(Strict, tag="thinking"):
    thinking: str
    signature: str


class ClaudeRedacted(Strict, tag="redacted_thinking"):
    data: str


class ClaudeToolUse(Marked, tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]


class ClaudeToolResult(Marked, tag="tool_result"):
    tool_use_id: str
    content: str | list[ClaudeText | ClaudeImage] = ""
    is_error: bool = False


class ClaudeMessage(Strict):
    role: Literal["user", "assistant"]
    content: (
        str
        | list[
            ClaudeText
            | ClaudeImage
            | ClaudeDocument
            | ClaudeThinking
            | ClaudeRedacted
            | ClaudeToolUse
            | ClaudeToolResult
        ]
    )


class ClaudeTool(Marked):
    name: str
    input_schema: dict[str, Any]
    description: str | None = None


class Thinking(Strict):
    type: Literal["enabled"]
    budget_tokens: int


class ClaudeBody(Strict):
    anthropic_version: Literal["bedrock-2023-05-31"]
    max_tokens: int
    messages: list[ClaudeMessage]
    system: str | list[ClaudeText] = ""
    temperature: float | None = None
    stop_sequences: list[str] = []
    thinking: Thinking | None = None
    tools: list[ClaudeTool] = []


class OpenAIFunction(Strict):
    name: str
    arguments: str


class OpenAICall(Strict):
    id: str
    type: Literal["function"]
    function: OpenAIFunction


class OpenAIMessage(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[OpenAICall] = []
    tool_call_id: str = ""


class OpenAITool(Strict):
    type: Literal["function"]
    function: dict[str, Any]


class OpenAIBody(Strict):
    messages: list[OpenAIMessage]
    model: str = ""
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = []
    tools: list[OpenAITool] = []
    reasoning_effort: Literal["low", "medium", "high"] | None = None
    stream: bool | None = None
    stream_options: dict[str, bool] = {}


class LlamaBody(Strict):
    prompt: str
    max_gen_len: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    images: list[bytes] = []


_BODIES = {"anthropic": ClaudeBody, "openai": OpenAIBody, "meta": LlamaBody}


def check_body(request: ReceivedRequest) -> Any:
    """Check that the operation accepts the body; return it typed if it is native."""
    assert request.operation is not None
    assert request.model is not None
    if request.operation.startswith("Converse"):
        check_converse(request)
        return None
    shape = next(shape for maker, shape in _BODIES.items() if maker in request.model)
    return msgspec.convert(request.json, shape)


# ------------------------------------------------------------------------------------------------------------- features


class Feature(msgspec.Struct, frozen=True):
    """A request, the answer of the fake model, and the response that the caller must receive."""

    name: str
    prompt: Any = "Hello"
    options: dict[str, Any] = {}
    steps: tuple[Any, ...] = (say("Hello to you."),)
    text: str = "Hello to you."
    reasoning: str = ""
    call: tuple[str, dict[str, Any]] | None = None
    stop_reason: str = "end_turn"


TEXT = Feature("text", options={"system": "Be brief.", "temperature": 0.5, "max_tokens": 100})
TOOLS = Feature(
    "tools",
    prompt="How is the weather in Oslo?",
    options={"tools": [TOOL]},
    steps=(say("Let me look."), tool_call("get_weather", {"city": "Oslo"}, fragments=3)),
    text="Let me look.",
    call=("get_weather", {"city": "Oslo"}),
    stop_reason="tool_use",
)
REASONING = Feature(
    "reasoning",
    options={"reasoning": "low", "max_tokens": 4000},
    steps=(reasoning("They greet me."), say("Hello to you.")),
    reasoning="They greet me.",
)
IMAGE = Feature("an image", prompt=Message.user("What is this?", Image(PNG)))
DOCUMENT = Feature(
    "a document", prompt=Message.user("What is this?", Document(b"Lighthouses are tall.", "txt", name="Notes"))
)
PDF = Feature("a PDF", prompt=Message.user("What is this?", Document(b"%PDF-1.7 ...", name="Paper")))
CACHING = Feature(
    "caching",
    options={
        "system": "You know everything about lighthouses.",
        "anthropic_prompt_cache": True,
        "anthropic_prompt_cache_ttl": "1h",
        "anthropic_cache_messages": True,
    },
)

# Model, feature, the default route, and whether the other route exists.
TABLE: list[tuple[str, Feature, str, bool]] = [
    *(
        (prefix + CLAUDE, feature, "converse" if feature is TOOLS else "invoke", True)
        for prefix in ("", "us.", "eu.", "global.", "bedrock:global.")
        for feature in (TEXT, TOOLS, REASONING, IMAGE, DOCUMENT, PDF, CACHING)
    ),
    *(
        (model, feature, "converse" if feature is TOOLS else "invoke", True)
        for model in (GPT_OSS, "openai.gpt-oss-20b-1:0")
        for feature in (TEXT, TOOLS, REASONING)
    ),
    (LLAMA, TEXT, "invoke", True),
    (LLAMA_VISION, TOOLS, "converse", False),
    (LLAMA, DOCUMENT, "converse", False),
    (LLAMA_VISION, IMAGE, "invoke", True),
    (COMMAND_R, TEXT, "converse", False),
    (COMMAND_R, TOOLS, "converse", False),
    (COMMAND_R, DOCUMENT, "converse", False),
    *(("us.amazon.nova-2-lite-v1:0", feature, "converse", False) for feature in (TEXT, TOOLS, REASONING, IMAGE)),
]
ROWS = [
    (model, feature, forced, route if forced is None else "converse" if forced else "invoke")
    for model, feature, route, both in TABLE
    for forced in ((None, True, False) if both else (None, True))
]


def check_answer(response: Response, feature: Feature, route: str) -> None:
    assert response.route == route
    assert (response.text, response.reasoning) == (feature.text, feature.reasoning)
    assert [(call.name, call.input) for call in response.tool_calls] == ([feature.call] if feature.call else [])
    assert response.stop_reason == feature.stop_reason
    assert response.usage is not None
    assert response.usage.total_tokens
    assert response.usage.output_tokens
    assert response.request_id


def check_caching(request: ReceivedRequest) -> None:
    """Check the cache points of one hour after the system prompt and after the message."""
    body = request.json
    if request.operation in ("Converse", "ConverseStream"):
        marks = [body["system"][-1].get("cachePoint"), body["messages"][-1]["content"][-1].get("cachePoint")]
        assert marks == [{"type": "default", "ttl": "1h"}] * 2
    else:
        marks = [body["system"][-1].get("cache_control"), body["messages"][-1]["content"][-1].get("cache_control")]
        assert marks == [{"type": "ephemeral", "ttl": "1h"}] * 2


@pytest.mark.parametrize(("place", "way"), list(enumerate(SIGN_IN)), ids=list(SIGN_IN))
async def test_every_row_of_the_table_works_on_its_route(place: int, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step = exhaustive(whole=1, part=3)  # each row with a third of the ways, or with all
    async with signed_in(way, monkeypatch) as (emulator, client, call_options):
        for model, feature, forced, route in ROWS[place % step :: step]:
            options = {**feature.options, **call_options}
            if forced is not None:
                options["use_converse"] = forced
            emulator.requests.clear()
            emulator.script(*feature.steps)
            emulator.script(*feature.steps)
            call = client.stream(model, feature.prompt, **options)
            assert call.route == route, (model, feature.name)
            pieces = [piece async for piece in call.text_stream]
            assert "".join(pieces) == feature.text
            check_answer(await call.response(), feature, route)
            check_answer(await client.generate(model, feature.prompt, **options), feature, route)
            operations = ["ConverseStream", "Converse"]
            if route == "invoke":
                operations = ["InvokeModelWithResponseStream", "InvokeModel"]
            assert [request.operation for request in emulator.requests] == operations
            for request in emulator.requests:
                assert request.model == model.removeprefix("bedrock:")
                check_signature(request, way)
                check_body(request)
                if feature is CACHING:
                    check_caching(request)


async def test_module_level_calls_with_provider_options_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Module-level functions, `bedrock:` in front of the model, everything in `provider_options`."""
    model = "bedrock:anthropic.claude-sonnet-4-5-20250929-v1:0"
    session = {"access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY, "region": "us-west-2"}
    async with Emulator(region="us-west-2") as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
        assert (await generate(model, "Hello", provider_options={"api_key": API_KEY, "region": "us-west-2"})).text
        assert (await generate(model, "Hello", provider_options=session)).text
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", API_KEY)
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        assert "".join([piece async for piece in stream(model, "Hello").text_stream])
        thinking = {"reasoning_config": {"type": "enabled", "budget_tokens": 2000}}
        converse_options: dict[str, Any] = {"use_converse": True, "additional_model_request_fields": thinking}
        response = await generate(model, "Hello", max_tokens=4000, provider_options=converse_options)
        assert response.reasoning
        cached = {"anthropic_prompt_cache": True, "anthropic_prompt_cache_ttl": "1h"}
        response = await generate(model, "Hello", system="Be brief.", provider_options=cached)
        assert response.usage is not None
        assert response.usage.cache_write_tokens
    assert [request.auth for request in emulator.requests] == ["bearer", "sigv4", "bearer", "bearer", "bearer"]
    assert emulator.requests[3].json["additionalModelRequestFields"] == thinking
    for request in emulator.requests:
        check_body(request)


# --------------------------------------------------------------------------------------------------- equality of routes

ANSWERS: dict[str, tuple[Step, ...]] = {
    "text": (say(["Hel", "lo", " there"]),),
    "no text at all": (stop("end_turn"),),
    "reasoning": (reasoning(["They ", "greet."], signature="c2ln"), say("Hello.")),
    "hidden reasoning": (reasoning("", signature="c2ln"), say("Hello.")),
    "redacted reasoning": (reasoning(redacted=b"\x00\x01secret"), say("Hello.")),
    "several reasonings": (reasoning("One."), reasoning(redacted=b"xyz"), reasoning("Two."), say("Hello.")),
    "a tool call": (say("Look:"), tool_call("get_weather", {"city": "Ålesund ✓"}, id="call-1", fragments=4)),
    "a tool call without input": (tool_call("get_weather", id="call-1"),),
    "several tool calls": (
        reasoning("Both."),
        tool_call("get_weather", {"city": "Oslo"}, id="call-1"),
        tool_call("get_weather", {"city": "Rome"}, id="call-2"),
    ),
    "text between tool calls": (
        tool_call("get_weather", {"city": "Oslo"}, id="call-1"),
        say("And"),
        tool_call("get_weather", {"city": "Rome"}, id="call-2"),
    ),
    "the limit of tokens": (say("Hello"), stop("max_tokens")),
    "a stop sequence": (say("Hello"), stop("stop_sequence")),
    "counts": (
        say("Hello"),
        metadata(
            {
                "inputTokens": 5,
                "outputTokens": 7,
                "totalTokens": 23,
                "cacheReadInputTokens": 8,
                "cacheWriteInputTokens": 3,
                "cacheDetails": [{"ttl": "1h", "inputTokens": 3}],
            },
            latency_ms=42,
        ),
    ),
}
OPTIONS: dict[str, Any] = {"tools": [TOOL], "max_tokens": 4000}
BOTH = pytest.mark.parametrize("answer", ANSWERS)


def comparable(events: Sequence[Any]) -> list[Any]:
    """Return the events in a form that leaves out the raw stop reason, which may differ between routes."""
    seen: list[Any] = []
    for item in events:
        if isinstance(item, Metadata):
            seen.append(("usage", item.usage and counts(item.usage), item.latency_ms))
        elif isinstance(item, MessageStop):
            seen.append(("stop", item.stop_reason))
        else:
            seen.append(item)
    return seen


def counts(usage: Any) -> tuple[Any, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.cache_read_tokens or None,
        usage.cache_write_tokens or None,
    )


@BOTH
async def test_both_routes_of_claude_yield_the_same_events(emulator: Emulator, client: Client, answer: str) -> None:
    seen = []
    for route in (True, False):
        emulator.script(*ANSWERS[answer])
        call = client.stream(CLAUDE, "Hi", use_converse=route, **OPTIONS)
        seen.append(comparable([item async for item in call]))
    assert seen[0] == seen[1]


@BOTH
@pytest.mark.parametrize("whole", [True, False], ids=["generate", "stream"])
async def test_both_routes_of_claude_return_the_same_response(
    emulator: Emulator, client: Client, answer: str, whole: bool
) -> None:
    responses = []
    for route in (True, False):
        emulator.script(*ANSWERS[answer])
        if whole:
            responses.append(await client.generate(CLAUDE, "Hi", use_converse=route, **OPTIONS))
        else:
            responses.append(await client.stream(CLAUDE, "Hi", use_converse=route, **OPTIONS).response())
    converse, native = responses
    assert (converse.route, native.route) == ("converse", "invoke")
    for name in ("message", "text", "reasoning", "tool_calls", "citations", "stop_reason"):
        assert getattr(converse, name) == getattr(native, name), name
    assert counts(converse.usage) == counts(native.usage)


FAULTS: dict[str, tuple[tuple[Step, ...], type[errors.BedrockStreamError]]] = {
    "an error before the response": ((http_error(429, "ThrottlingException", "Slow down."),), errors.Throttled),
    "an expired token": ((http_error(403, "ExpiredTokenException", "Expired."),), errors.ExpiredToken),
    "an error in the stream": ((say(["Hel"]), stream_error("throttlingException", "Slow down.")), errors.Throttled),
    "a failing model": ((say(["Hel"]), stream_error("modelStreamErrorException", "Oh.")), errors.ModelStreamError),
    "an unmodeled error": (
        (say(["Hel"]), unmodeled_error("internalServerException", "Oh.")),
        errors.ServiceError,
    ),
    "a body that ends early": ((say(["Hel"]), cut()), errors.StreamInterrupted),
    "a torn body": ((say(["Hel"]), cut(torn=True)), errors.StreamInterrupted),
    "a torn frame": ((say(["Hel"]), cut(inside=20), say(["lo"])), errors.StreamInterrupted),
    "a damaged frame": ((say(["Hel"]), flip_bit(-1), say(["lo"])), errors.ChecksumMismatch),
    "a broken tool call": ((tool_call("get_weather", '{"city": "Os'), stop("max_tokens")), errors.ToolInputError),
}


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        (model, fault)
        for model in (CLAUDE, GPT_OSS, LLAMA)
        for fault in FAULTS
        if (model, fault) != (LLAMA, "a broken tool call")  # its native form has no tools
    ],
)
async def test_an_error_is_the_same_on_both_routes(emulator: Emulator, client: Client, fault: str, model: str) -> None:
    steps, kind = FAULTS[fault]
    options = OPTIONS if kind is errors.ToolInputError else {}
    seen = []
    for route in (True, False):
        emulator.script(*steps)
        call = client.stream(model, "Hi", use_converse=route, **options)
        received = ""
        with pytest.raises(kind) as caught:
            async for item in call:
                received += item.text if isinstance(item, TextDelta) else ""
        error = caught.value
        code = error.code if isinstance(error, errors.ServiceError) else ""
        partial = error.partial.text if error.partial is not None else None
        seen.append((type(error), code, received, partial, error.model, error.region, error.request_id is not None))
    assert seen[0] == seen[1]
    await emulator.wait_until_idle()


async def test_a_citation_is_the_same_on_both_routes(emulator: Emulator, client: Client) -> None:
    prompt = Message.user("What is tall?", Document(b"Lighthouses are tall.", "txt", name="Notes", citations=True))
    cited = (
        say("They are tall."),
        citation(
            title="Notes",
            sourceContent=[{"text": "Lighthouses are tall."}],
            documentChar={"documentIndex": 0, "start": 0, "end": 21},
        ),
    )
    responses = []
    for route in (True, False):
        emulator.script(*cited)
        responses.append(await client.stream(CLAUDE, prompt, use_converse=route).response())
    converse, native = responses
    assert converse.text == native.text == "They are tall."
    assert [item.title for item in converse.citations] == [item.title for item in native.citations] == ["Notes"]
    for response in responses:
        for route in (True, False):
            history = [prompt, response.message, Message.user("Really?")]
            assert (await client.generate(CLAUDE, history, use_converse=route)).text
            check_body(emulator.requests[-1])


@pytest.mark.parametrize("answer", ["text", "reasoning", "a tool call", "the limit of tokens"])
async def test_gpt_oss_yields_the_same_on_both_routes(emulator: Emulator, client: Client, answer: str) -> None:
    steps = [
        reasoning(step.pieces, signature=None) if type(step).__name__ == "Reasoning" else step  # type: ignore[union-attr]
        for step in ANSWERS[answer]
    ]
    seen, responses = [], []
    for route in (True, False):
        emulator.script(*steps)
        call = client.stream(GPT_OSS, "Hi", use_converse=route, **OPTIONS)
        events = [item async for item in call]
        responses.append(await call.response())
        seen.append(
            (
                "".join(item.text for item in events if isinstance(item, TextDelta)),
                "".join(item.text or "" for item in events if isinstance(item, ReasoningDelta)),
                [(item.name, item.input) for item in events if isinstance(item, ToolCallEnd)],
                [item.stop_reason for item in events if isinstance(item, MessageStop)],
                [counts(item.usage) for item in events if isinstance(item, Metadata)],
                sum(isinstance(item, BlockStop) for item in events),
            )
        )
    assert seen[0] == seen[1]
    assert responses[0].message == responses[1].message


# ------------------------------------------------------------------------------------------------------ the second turn

TURNS = [(first, second) for first in (True, False) for second in (True, False)]


def next_turn(prompt: str, response: Response) -> list[Message]:
    results = [ToolResult(call.id, {"degrees": 21}, "success") for call in response.tool_calls]
    return [Message.user(prompt), response.message, Message.user(*results, "And now?")]


@pytest.mark.parametrize("first", [True, False], ids=["from converse", "from native"])
@pytest.mark.parametrize("second", [True, False], ids=["to converse", "to native"])
@BOTH
async def test_every_message_of_claude_can_be_sent_back_on_either_route(
    emulator: Emulator, client: Client, answer: str, first: bool, second: bool
) -> None:
    emulator.script(*ANSWERS[answer])
    response = await client.stream(CLAUDE, "Hi", use_converse=first, **OPTIONS).response()
    history = next_turn("Hi", response)
    emulator.script(say("Well."))
    assert (await client.stream(CLAUDE, history, use_converse=second, **OPTIONS).response()).text == "Well."
    check_body(emulator.requests[-1])
    sent = emulator.requests[-1].body
    for call in response.tool_calls:
        assert call.id.encode() in sent
    if response.reasoning and "reasoning" in answer:
        assert b"They greet." in sent or b"One." in sent


@pytest.mark.parametrize("first", [True, False], ids=["from converse", "from native"])
@pytest.mark.parametrize("second", [True, False], ids=["to converse", "to native"])
@pytest.mark.parametrize("answer", ["text", "reasoning", "a tool call", "the limit of tokens"])
async def test_every_message_of_gpt_oss_can_be_sent_back_on_either_route(
    emulator: Emulator, client: Client, answer: str, first: bool, second: bool
) -> None:
    emulator.script(*ANSWERS[answer])
    response = await client.generate(GPT_OSS, "Hi", use_converse=first, **OPTIONS)
    history = next_turn("Hi", response)
    emulator.script(say("Well."))
    assert (await client.stream(GPT_OSS, history, use_converse=second, **OPTIONS).response()).text == "Well."
    check_body(emulator.requests[-1])


@pytest.mark.parametrize(("first", "second"), TURNS)
async def test_every_message_of_llama_can_be_sent_back_on_either_route(
    emulator: Emulator, client: Client, first: bool, second: bool
) -> None:
    emulator.script(say("Hello."))
    response = await client.generate(LLAMA, "Hi", use_converse=first)
    assert (await client.generate(LLAMA, next_turn("Hi", response), use_converse=second)).text
    check_body(emulator.requests[-1])


@pytest.mark.parametrize("model", [COMMAND_R, "amazon.nova-lite-v1:0", "mistral.mistral-large-2407-v1:0", GPT_OSS])
async def test_a_conversation_with_claude_continues_with_another_model(
    emulator: Emulator, client: Client, model: str
) -> None:
    emulator.script(*ANSWERS["a tool call"])
    response = await client.generate(CLAUDE, "Hi", **OPTIONS)
    results = Message.user(*(ToolResult(call.id, {"degrees": 21}) for call in response.tool_calls))
    assert (await client.generate(model, [Message.user("Hi"), response.message, results], **OPTIONS)).text
    check_body(emulator.requests[-1])


async def test_a_tool_result_that_is_a_list_is_sent_to_converse_as_text(emulator: Emulator, client: Client) -> None:
    """Check a tool result that is a JSON list: Converse accepts JSON objects only."""
    emulator.script(tool_call("get_weather", {"city": "Oslo"}, id="call-1"))
    response = await client.generate(CLAUDE, "Hi", **OPTIONS)
    result = Message.user(ToolResult("call-1", [1, {"a": None}]))
    await client.generate(CLAUDE, [Message.user("Hi"), response.message, result], use_converse=True, **OPTIONS)
    (sent,) = emulator.requests[-1].json["messages"][-1]["content"]
    assert sent["toolResult"]["content"] == [{"text": '[1,{"a":null}]'}]
