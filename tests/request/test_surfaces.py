"""The API and the endpoint of a call: by the caller's words, by the model, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bedrock_stream import CachePoint, Client, Explanation, Message, Target, Text
from bedrock_stream.errors import ConfigurationError, UnsupportedOperation
from bedrock_stream.request.endpoints import BEDROCK_MANTLE, BEDROCK_RUNTIME
from bedrock_stream.request.models import describe
from bedrock_stream.request.surfaces import choose_count, choose_surface
from bedrock_stream.types.options import read_options
from tests.support.refusals import refused

CLAUDE = "anthropic.claude-opus-5-5"
PROFILE = f"us.{CLAUDE}"
DATED = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = f"arn:aws:bedrock:us-west-2:123456789012:inference-profile/{PROFILE}"
APP_ARN = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc"
GPT, GPT_PROFILE = "openai.gpt-6-sol", "global.openai.gpt-6-sol"
GPT_OSS = "openai.gpt-oss-120b"
GUARDRAIL = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
RUNTIME, MANTLE = "https://bedrock-runtime.us-west-2.amazonaws.com", "https://bedrock-mantle.us-west-2.api.aws"


def explain(model: str, prompt: Any = "hi", *, client: dict[str, Any] | None = None, **options: Any) -> Explanation:
    return Client(**{"region": "us-west-2", "api_key": "k", **(client or {})}).explain(model, prompt, **options)


# ------------------------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("model", "api", "endpoint", "url"),
    [
        (PROFILE, "messages", "runtime", f"{RUNTIME}/anthropic/v1/messages"),
        (ARN, "messages", "runtime", f"{RUNTIME}/anthropic/v1/messages"),
        (CLAUDE, "messages", "mantle", f"{MANTLE}/anthropic/v1/messages"),
        ("openai.gpt-oss-20b-1:0", "chat", "runtime", f"{RUNTIME}/openai/v1/chat/completions"),
        (GPT_PROFILE, "chat", "runtime", f"{RUNTIME}/openai/v1/chat/completions"),
        (GPT_OSS, "chat", "mantle", f"{MANTLE}/v1/chat/completions"),
        ("qwen.qwen3-235b-a22b-2507", "chat", "mantle", f"{MANTLE}/v1/chat/completions"),
        ("google.gemma-3-27b-it", "chat", "mantle", f"{MANTLE}/v1/chat/completions"),
        ("google.gemma-4-31b", "chat", "mantle", f"{MANTLE}/openai/v1/chat/completions"),
        ("xai.grok-4.6", "chat", "mantle", f"{MANTLE}/openai/v1/chat/completions"),
        (GPT_PROFILE, "responses", "runtime", f"{RUNTIME}/openai/v1/responses"),
        (GPT, "responses", "mantle", f"{MANTLE}/openai/v1/responses"),
        ("openai.gpt-5.6-luna", "responses", "mantle", f"{MANTLE}/openai/v1/responses"),
        (GPT_OSS, "responses", "mantle", f"{MANTLE}/v1/responses"),
    ],
)
def test_each_api_has_a_path_of_its_own(model: str, api: Any, endpoint: Any, url: str) -> None:
    told = explain(model, api=api, endpoint=endpoint)
    assert (told.url, told.route, told.reason) == (url, api, f"api={api!r}, endpoint={endpoint!r}")
    assert (told.body["model"], told.body["stream"]) == (model, True)
    assert told.headers["Accept"] == "text/event-stream"
    assert "X-Amzn-Bedrock-Accept" not in told.headers


@pytest.mark.parametrize(
    ("model", "url", "route"),
    [
        ("google.gemma-4-31b", f"{MANTLE}/openai/v1/chat/completions", "chat"),
        ("anthropic.claude-mythos-preview", f"{MANTLE}/anthropic/v1/messages", "messages"),
        ("anthropic.claude-mythos-9", f"{MANTLE}/anthropic/v1/messages", "messages"),
        ("openai.gpt-5.5", f"{MANTLE}/openai/v1/responses", "responses"),
        (GPT, f"{MANTLE}/openai/v1/responses", "responses"),
        ("xai.grok-4.3", f"{MANTLE}/openai/v1/chat/completions", "chat"),
    ],
)
def test_an_id_that_converse_does_not_serve_goes_to_mantle(model: str, url: str, route: str) -> None:
    told = explain(model)
    assert (told.url, told.route) == (url, route)
    assert told.reason.startswith(f"only bedrock-mantle serves {model}")


@pytest.mark.parametrize(
    ("model", "options", "route"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, "invoke"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"api": "converse"}, "converse"),
        (CLAUDE, {"api": "invoke", "use_converse": False, "endpoint": "runtime"}, "invoke"),
        ("openai.gpt-oss-120b-1:0", {}, "invoke"),
        ("amazon.nova-pro-v1:0", {"endpoint": "runtime"}, "converse"),
        ("us.openai.gpt-5.5", {}, "converse"),
        (GPT, {"use_converse": True}, "converse"),
        (GPT, {"endpoint": "runtime"}, "converse"),
        ("us.anthropic.claude-mythos-5", {}, "invoke"),
        (ARN, {}, "invoke"),
        (APP_ARN, {}, "converse"),
        ("someone.new-model", {}, "converse"),
    ],
)
def test_nothing_else_moves(model: str, options: dict[str, Any], route: str) -> None:
    told = explain(model, **options)
    assert told.route == route
    assert told.url.startswith(f"{RUNTIME}/model/")


@pytest.mark.parametrize(
    ("model", "api", "endpoint"),
    [
        (CLAUDE, "messages", BEDROCK_MANTLE),
        (PROFILE, "messages", BEDROCK_RUNTIME),
        ("anthropic.claude-opus-4-6-v1", "messages", BEDROCK_RUNTIME),
        ("anthropic.claude-3-haiku-20240307-v1:0", "messages", BEDROCK_RUNTIME),
        ("openai.gpt-oss-20b-1:0", "chat", BEDROCK_RUNTIME),
        (GPT_OSS, "chat", BEDROCK_MANTLE),
        (GPT_PROFILE, "chat", BEDROCK_RUNTIME),
        ("xai.grok-4.7", "chat", BEDROCK_RUNTIME),
        ("qwen.qwen3-32b-v1:0", "chat", BEDROCK_MANTLE),
        (GPT, "chat", BEDROCK_MANTLE),
        (GPT_OSS, "responses", BEDROCK_MANTLE),
        (GPT_PROFILE, "responses", BEDROCK_RUNTIME),
        (APP_ARN, "chat", BEDROCK_RUNTIME),
        ("someone.new-model", "chat", BEDROCK_RUNTIME),
    ],
)
def test_an_api_alone_has_the_endpoint_that_serves_it(model: str, api: str, endpoint: Any) -> None:
    surface = choose_surface(describe(model), read_options({"api": api}))
    assert (surface.api, surface.service) == (api, endpoint)


@pytest.mark.parametrize(
    ("model", "api"),
    [(CLAUDE, "messages"), (GPT, "responses"), (GPT_OSS, "chat"), ("qwen.qwen3-32b", "chat"), ("new.model", "chat")],
)
def test_mantle_alone_has_the_api_of_the_family(model: str, api: str) -> None:
    told = explain(model, endpoint="mantle")
    assert told.route == api
    assert "there" in told.reason or model == GPT


def test_messages_has_version_and_betas_in_headers() -> None:
    model = "anthropic.claude-haiku-4-5"
    for options in (
        {"anthropic_beta": ["a", "b"]},
        {"additional_model_request_fields": {"anthropic_beta": ["a", "b"]}},
        {"extra": {"anthropic_beta": ["a", "b"], "anthropic_version": "x"}, "anthropic_beta": ["c"]},
    ):
        told = explain(model, api="messages", endpoint="mantle", temperature=0.5, project="proj_1", **options)
        assert told.headers["anthropic-version"] == "2023-06-01"
        assert told.headers["anthropic-beta"] == "a,b"
        assert told.headers["anthropic-workspace"] == "proj_1"
        assert not {"anthropic_version", "anthropic_beta"} & told.body.keys()
        assert told.body["temperature"] == 0.5
        assert told.body["max_tokens"] > 0
    plain = explain(model, api="messages")
    assert not {"anthropic-beta", "anthropic-workspace", "OpenAI-Project"} & plain.headers.keys()


def test_messages_has_cache_points_and_tools_as_the_native_format() -> None:
    prompt = Message("user", [Text("long"), CachePoint(), Text("short")])
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    told = explain(CLAUDE, [prompt], api="messages", tools=[tool])
    assert told.body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert told.body["tools"][0]["name"] == "f"


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_effort_is_written_where_the_api_has_it(api: Any) -> None:
    for model, endpoint in ((GPT, "mantle"), (GPT_PROFILE, "runtime"), (GPT_OSS, "mantle")):
        body = explain(model, api=api, endpoint=endpoint, reasoning="low").body
        assert (body.get("reasoning_effort"), body.get("reasoning")) == (
            ("low", None) if api == "chat" else (None, {"effort": "low"})
        )


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize("required", [["a"], []])
def test_an_output_schema_is_written_where_the_api_has_it(required: list[str]) -> None:
    schema = {**CLOSED, "required": required}
    form = explain(GPT_OSS, api="chat", endpoint="mantle", output_schema=schema).body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"] == schema["properties"]
    assert form["json_schema"]["strict"] is bool(required)  # an optional member cannot be held to
    text = explain(GPT, output_schema=schema).body["text"]
    assert text["format"]["schema"] == form["json_schema"]["schema"]
    assert text["format"]["strict"] is bool(required)
    claude = explain("anthropic.claude-haiku-4-5", api="messages", output_schema=schema).body
    assert claude["output_config"]["format"]["type"] == "json_schema"


def test_store_is_false_unless_asked_for() -> None:
    assert explain(GPT).body["store"] is False
    body = explain(GPT, api="responses", store=True, previous_response_id="resp_1").body
    assert (body["store"], body["previous_response_id"]) == (True, "resp_1")
    assert explain(GPT, store=True).body["store"] is True  # the API was chosen by the model


def test_a_target_has_an_api_of_its_own() -> None:
    client = Client(region="us-west-2", api_key="k")
    target = Target(model=PROFILE, options={"api": "converse", "endpoint": None})
    stream = client.stream(CLAUDE, "hi", api="messages", endpoint="mantle", failover=[target])
    assert (stream.route, stream.target.endpoint_url) == ("messages", MANTLE)
    with refused("model", "bedrock-mantle does not take inference profiles", f"use '{CLAUDE}'"):
        client.stream(CLAUDE, "hi", api="messages", endpoint="mantle", failover=[Target(model=PROFILE)])


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("model", "options", "argument", "problem", "remedy"),
    [
        (CLAUDE, {"api": "completions"}, "api", "expected one of converse, invoke, messages, chat, responses", ""),
        (CLAUDE, {"endpoint": "bedrock"}, "endpoint", "expected one of runtime, mantle, got 'bedrock'", ""),
        (CLAUDE, {"api": ["chat"]}, "api", "got ['chat']", ""),
        (CLAUDE, {"use_converse": True, "api": "invoke"}, "use_converse", "cannot be combined", "omit one"),
        (CLAUDE, {"use_converse": False, "api": "converse"}, "use_converse", "cannot be combined", "omit one"),
        (CLAUDE, {"use_converse": True, "api": "messages"}, "use_converse", "cannot be combined", "omit one"),
        (CLAUDE, {"api": "converse", "endpoint": "mantle"}, "endpoint", "api='converse'", "use messages, chat or"),
        (CLAUDE, {"use_converse": False, "endpoint": "mantle"}, "endpoint", "use_converse=False", "use messages"),
        (ARN, {"endpoint": "mantle"}, "model", "does not take ARNs", f"use '{CLAUDE}'"),
        (APP_ARN, {"endpoint": "mantle"}, "model", "does not take ARNs", 'use endpoint="runtime"'),
        (PROFILE, {"endpoint": "mantle"}, "model", "does not take inference profiles", f"use '{CLAUDE}'"),
        (DATED, {"endpoint": "mantle"}, "model", f"got '{DATED}'", "use 'anthropic.claude-haiku-4-5', or"),
        (CLAUDE, {"endpoint": "mantle", "guardrail": GUARDRAIL}, "guardrail", "no guardrails", "runtime"),
        (GPT, {"guardrail": GUARDRAIL}, "guardrail", "no guardrails", "runtime"),
        (GPT_PROFILE, {"api": "responses", "guardrail": GUARDRAIL}, "guardrail", "does not apply", "chat"),
        (PROFILE, {"api": "messages", "guardrail": GUARDRAIL}, "guardrail", "does not have it", "converse"),
        (CLAUDE, {"api": "messages", "service_tier": "flex"}, "service_tier", "does not have it", "omit it"),
        (CLAUDE, {"api": "messages", "request_metadata": {"a": "b"}}, "request_metadata", "does not have", "omit"),
        (PROFILE, {"api": "messages", "project": "p"}, "project", "on bedrock-mantle alone", "mantle"),
        (CLAUDE, {"api": "chat"}, "api", f"Chat Completions does not serve {CLAUDE!r}", "use messages"),
        (GPT_OSS, {"api": "messages"}, "api", "the Messages API does not serve", "use chat or responses"),
        (APP_ARN, {"api": "responses"}, "model", "does not take application inference", "the inference profile"),
        (GPT_OSS, {"api": "chat", "store": True}, "store", "only the Responses API", 'api="responses"'),
        (CLAUDE, {"store": False}, "store", "only the Responses API", 'api="responses"'),
        (CLAUDE, {"api": "converse", "previous_response_id": "r"}, "previous_response_id", "only the", "responses"),
        (CLAUDE, {"previous_response_id": " "}, "previous_response_id", "is blank", "leave it out"),
        (CLAUDE, {"store": "yes"}, "store", "expected a bool, got 'yes'", ""),
        ("amazon.nova-pro-v1:0", {"api": "invoke"}, "api", "cannot be invoke", "omit it, or use invoke_stream"),
        (CLAUDE, {"api": "invoke", "response_field_paths": ["/a"]}, "api", "cannot be invoke", "omit it"),
        (CLAUDE, {"api": "messages", "tools": [{"toolSpec": {"name": "f"}}]}, "api", "cannot be messages", "another"),
        ("us.xai.grok-4.3", {}, "model", "bedrock-mantle only", 'its plain id with endpoint="mantle"'),
        ("xai.grok-4.3", {"endpoint": "runtime"}, "model", "bedrock-mantle only", "plain id"),
    ],
)
def test_what_does_not_go_together_is_refused_at_the_call(
    model: str, options: dict[str, Any], argument: str, problem: str, remedy: str
) -> None:
    client = Client(region="us-west-2", api_key="k")
    for call in (client.explain, client.stream):
        with refused(argument, problem, remedy):
            call(model, "hi", **options)


@pytest.mark.parametrize(
    ("client", "argument", "problem"),
    [
        ({"use_fips": True}, "use_fips", "has no FIPS endpoint"),
        ({"region": "cn-north-1"}, "region", "bedrock-mantle has no endpoint in 'cn-north-1'"),
        ({"region": "eusc-de-east-1"}, "region", "bedrock-mantle has no endpoint"),
        ({"region": "us-iso-east-1"}, "region", "bedrock-mantle has no endpoint"),
    ],
)
def test_mantle_is_refused_where_it_has_no_host(client: dict[str, Any], argument: str, problem: str) -> None:
    assert explain(PROFILE, client=client, api="messages", endpoint="runtime").url
    with pytest.raises(ConfigurationError) as caught:
        explain(CLAUDE, client=client, endpoint="mantle")
    assert caught.value.argument == argument
    assert problem in caught.value.problem


def test_the_service_decides_which_models_an_api_serves_if_told_so() -> None:
    assert explain(CLAUDE, api="chat", unsupported="send").route == "chat"
    assert explain(APP_ARN, api="responses", unsupported="send").route == "responses"
    with refused("guardrail", "no guardrails", "runtime"):  # it would not be applied
        explain(CLAUDE, endpoint="mantle", guardrail=GUARDRAIL, unsupported="send")


# ------------------------------------------------------------------------------------------------------------ endpoints


@pytest.mark.parametrize(
    ("client", "url"),
    [
        ({"region": "us-gov-west-1"}, "https://bedrock-mantle.us-gov-west-1.api.aws"),
        ({"region": "eu-central-1", "use_dual_stack": True}, "https://bedrock-mantle.eu-central-1.api.aws"),
        ({"endpoint_url": "https://own.example/base/"}, "https://own.example/base"),
        ({"endpoint_url": "https://own.example", "use_dual_stack": True}, None),
    ],
)
def test_the_host_of_mantle(client: dict[str, Any], url: str | None) -> None:
    told: Callable[[], Explanation] = lambda: explain(CLAUDE, client=client, endpoint="mantle")  # noqa: E731
    if url is None:  # for bedrock-runtime, so for a client
        with pytest.raises(ConfigurationError):
            told()
    else:
        assert told().url == f"{url}/anthropic/v1/messages"


def test_each_endpoint_has_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def urls() -> tuple[str, str]:
        return (
            explain(CLAUDE, endpoint="mantle").url.removesuffix("/anthropic/v1/messages"),
            explain(PROFILE, api="messages", endpoint="runtime").url.removesuffix("/anthropic/v1/messages"),
        )

    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_MANTLE", "https://mantle.example/m")
    assert urls() == ("https://mantle.example/m", RUNTIME)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
    assert urls() == ("https://mantle.example/m", "https://all.example")
    monkeypatch.delenv("AWS_ENDPOINT_URL_BEDROCK_MANTLE")
    assert urls() == ("https://all.example", "https://all.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://runtime.example")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert urls() == (MANTLE, "https://runtime.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_MANTLE", "http://mantle.example")
    with refused("AWS_ENDPOINT_URL_BEDROCK_MANTLE", "would send credentials unencrypted", "allow_http=True"):
        urls()


# ------------------------------------------------------------------------------------------------------------- counting


@pytest.mark.parametrize(
    ("model", "options", "api"),
    [
        (CLAUDE, {}, None),
        (PROFILE, {"api": "converse"}, None),
        (CLAUDE, {"api": "invoke"}, None),
        (CLAUDE, {"use_converse": False, "endpoint": "runtime"}, None),
        (CLAUDE, {"endpoint": "mantle"}, "messages"),
        (CLAUDE, {"api": "messages"}, "messages"),
        ("anthropic.claude-mythos-5", {}, "messages"),
        ("someone.new-model", {"api": "messages", "endpoint": "mantle"}, "messages"),
    ],
)
def test_tokens_are_counted_by_the_endpoint_that_can(model: str, options: dict[str, Any], api: str | None) -> None:
    surface, _ = choose_count(describe(model), read_options(options))
    assert (surface.api, surface.service) == (api, BEDROCK_RUNTIME if api is None else BEDROCK_MANTLE)


@pytest.mark.parametrize(
    ("model", "options", "argument", "problem", "remedy"),
    [
        (PROFILE, {"api": "messages", "endpoint": "runtime"}, "endpoint", "does not count tokens", "use mantle"),
        (PROFILE, {"api": "messages"}, "model", "does not take inference profiles", "runtime"),
        (GPT_OSS, {"endpoint": "mantle"}, "model", "for Claude alone", "use a Claude model"),
        (GPT, {}, "model", "for Claude alone", "use a Claude model"),
        (GPT_OSS, {"api": "chat"}, "api", "cannot count tokens", "use converse"),
        (CLAUDE, {"api": "converse", "endpoint": "mantle"}, "endpoint", "does not serve", "omit endpoint"),
    ],
)
async def test_counting_is_refused_where_nothing_counts(
    model: str, options: dict[str, Any], argument: str, problem: str, remedy: str
) -> None:
    client = Client(region="us-west-2", api_key="k")
    with refused(argument, problem, remedy) as caught:
        await client.count_tokens(model, "hi", **options)
    assert isinstance(caught.value, UnsupportedOperation)
