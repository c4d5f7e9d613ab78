"""The paths of the newer surfaces: who may call them, which endpoint has them, and which models each serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bedrock_stream.errors import ConfigurationError
from bedrock_stream.testing import API_KEY, Emulator, http_error, text
from tests.support.emulator_client import post
from tests.support.surface_client import (
    CHAT,
    CLAUDE,
    GPT,
    GPT_OSS,
    MESSAGES,
    PATHS,
    RESPONSES,
    body_for,
    call,
    document,
    error,
)

COUNT = MESSAGES + "/count_tokens"
OPENAI_CHAT, OPENAI_RESPONSES = "/openai" + CHAT, "/openai" + RESPONSES
LISTS = ("/v1/models", "/openai/v1/models", "/anthropic/v1/models")
every_path = pytest.mark.parametrize("path", [*PATHS, OPENAI_CHAT, OPENAI_RESPONSES])


# -------------------------------------------------------------------------------------------------------------- callers


@every_path
@pytest.mark.parametrize(("service", "status"), [("bedrock", 200), ("bedrock-mantle", 200), ("s3", 403)])
async def test_signatures_are_for_either_endpoint(path: str, service: str, status: int) -> None:
    async with Emulator() as emulator:
        response = await call(emulator, path, service=service)
    assert response.status == status, response.body
    if status == 403:
        assert "correct service: 'bedrock'" in error(response)[1]["message"]
        assert error(response)[1]["type"] == "authentication_error"
    assert emulator.requests[0].service == (service if status == 200 else None)


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        (MESSAGES, {"x-api-key": API_KEY}, 200),
        (MESSAGES, {"x-api-key": "wrong"}, 403),
        (MESSAGES, {"authorization": "Bearer wrong"}, 403),
        (CHAT, {"x-api-key": API_KEY}, 403),
        (CHAT, {"authorization": "Bearer wrong"}, 403),
        (RESPONSES, {"authorization": "Basic wrong"}, 403),
    ],
)
async def test_keys(path: str, sent: dict[str, str], status: int) -> None:
    async with Emulator() as emulator:
        response = await call(emulator, path, headers=sent)
        assert response.status == status
        assert emulator.requests[0].auth == ("bearer" if status == 200 else None)
    if status == 403:
        assert isinstance(error(response)[1]["message"], str)


async def test_a_signature_for_mantle_is_refused_on_other_paths() -> None:
    async with Emulator() as emulator:
        response = await call(emulator, "/model/a/converse", {}, service="bedrock-mantle")
    assert response.error[:2] == (403, "InvalidSignatureException")


# ---------------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("path", ["/anthropic/v1/messages/batches", "/openai/v1/files", "/v1/embeddings"])
async def test_an_unknown_path_is_http_200_on_runtime_and_404_on_mantle(path: str) -> None:
    async with Emulator() as emulator:
        runtime = await call(emulator, path, service="bedrock")
        assert runtime.status == 200
        assert json.loads(runtime.body)["Output"]["__type"].endswith("UnknownOperationException")
        for service in ("bedrock-mantle", None):
            status, found = error(await call(emulator, path, service=service))
            assert (status, found["type"]) == (404, "not_found_error")
    assert {request.operation for request in emulator.requests} == {None}


async def test_an_emulator_of_one_endpoint_has_its_paths_alone() -> None:
    async with Emulator(endpoint="runtime") as runtime:
        for path in (CHAT, RESPONSES, COUNT):
            response = await call(runtime, path)
            assert (response.status, b"UnknownOperation" in response.body) == (200, True)
        assert (await call(runtime, MESSAGES, service="bedrock-mantle")).status == 403
        assert (await call(runtime, MESSAGES, service="bedrock")).status == 200
        assert (await post(runtime)).status == 200
    async with Emulator(endpoint="mantle") as mantle:
        assert (await call(mantle, CHAT)).status == 200
        assert (await post(mantle)).status == 404


@pytest.mark.parametrize("endpoint", ["Mantle", 1])
def test_another_endpoint_is_refused(endpoint: Any) -> None:
    with pytest.raises(ConfigurationError, match="endpoint: expected 'runtime', 'mantle' or None, got"):
        Emulator(endpoint=endpoint)


@pytest.mark.parametrize("path", LISTS)
async def test_lists_of_models(path: str) -> None:
    async with Emulator() as emulator, Emulator(models=[GPT, CLAUDE]) as small, Emulator(models=[]) as empty:
        listed = document(await call(emulator, path, method="GET", service="bedrock-mantle"))
        assert {CLAUDE, GPT, GPT_OSS} <= {model["id"] for model in listed["data"]}
        found = document(await call(small, path, method="GET"))
        assert [model["id"] for model in found["data"]] == [CLAUDE, GPT]
        none = document(await call(empty, path, method="GET"))
        assert none["data"] == []
    if path.startswith("/anthropic/"):
        assert (found["first_id"], found["last_id"], found["has_more"]) == (CLAUDE, GPT, False)
        assert (none["first_id"], none["last_id"]) == (None, None)
    else:
        assert (found["object"], found["data"][0]["owned_by"]) == ("list", "anthropic")
    assert emulator.requests[0].operation == "ListModels"


async def test_a_list_takes_its_turn_in_a_script() -> None:
    async with Emulator(script=[http_error(500, None, "Oh"), text("Hello")]) as emulator:
        assert (await call(emulator, LISTS[0], method="GET")).status == 500
        assert (await call(emulator, LISTS[0], method="GET")).status == 200


# --------------------------------------------------------------------------------------------------------------- models


ROUTES: list[tuple[str, str | None, str, int]] = [
    # path, service, model, status
    (OPENAI_CHAT, "bedrock-mantle", "google.gemma-4-31b", 200),
    (CHAT, "bedrock-mantle", "google.gemma-4-31b", 400),
    (CHAT, None, "google.gemma-4-31b", 400),  # a path that only mantle has
    (OPENAI_CHAT, "bedrock-mantle", "google.gemma-3-27b-it", 400),
    (OPENAI_CHAT, None, "google.gemma-3-27b-it", 400),  # neither endpoint has it there
    (CHAT, "bedrock-mantle", "google.gemma-3-27b-it", 200),
    (OPENAI_CHAT, "bedrock-mantle", GPT_OSS, 400),
    (OPENAI_CHAT, "bedrock", "openai.gpt-oss-20b-1:0", 200),  # runtime
    (OPENAI_RESPONSES, "bedrock", "openai.gpt-oss-20b-1:0", 400),  # runtime has no Responses for it
    (RESPONSES, "bedrock", GPT_OSS, 200),
    (OPENAI_CHAT, "bedrock-mantle", "xai.grok-4.6", 200),
    (OPENAI_CHAT, "bedrock", "global." + GPT, 200),
    (OPENAI_CHAT, "bedrock-mantle", "global." + GPT, 400),  # ids are plain on mantle
    (CHAT, None, "meta.llama3-1-8b-instruct-v1:0", 400),
    (CHAT, None, "of-nobody", 200),
    (MESSAGES, "bedrock-mantle", "us." + CLAUDE, 400),
    (MESSAGES, "bedrock", "us." + CLAUDE, 200),
    (MESSAGES, "bedrock-mantle", "anthropic.claude-3-haiku-20240307-v1:0", 400),
    (MESSAGES, "bedrock", "anthropic.claude-3-haiku-20240307-v1:0", 200),
    (MESSAGES, "bedrock-mantle", "anthropic.claude-haiku-4-5", 200),
]


@pytest.mark.parametrize(("path", "service", "model", "status"), ROUTES)
async def test_each_path_serves_its_models(path: str, service: str | None, model: str, status: int) -> None:
    async with Emulator() as emulator:
        response = await call(emulator, path, body_for(path, model=model), service=service)
    assert response.status == status, response.body
    if status == 400:
        assert error(response)[1]["message"] == f"The model '{model}' isn't supported on this route."


@pytest.mark.parametrize(("path", "model"), [(CHAT, CLAUDE), (OPENAI_RESPONSES, CLAUDE), (MESSAGES, GPT), (COUNT, GPT)])
async def test_a_model_of_another_api_is_refused(path: str, model: str) -> None:
    async with Emulator() as emulator:
        status, found = error(await call(emulator, path, body_for(path, model=model)))
    assert (status, found["message"]) == (400, f"The model '{model}' does not support the '{path}' API.")


@every_path
async def test_a_model_that_does_not_exist(path: str) -> None:
    async with Emulator(models=["a"]) as emulator:
        status, found = error(await call(emulator, path))
    assert (status, found["type"]) == (404, "not_found_error")


@every_path
@pytest.mark.parametrize("body", [[], {}, {"model": 3}])
async def test_a_body_without_a_model(path: str, body: Any) -> None:
    async with Emulator() as emulator:
        status, found = error(await call(emulator, path, body))
    assert (status, found["type"]) == (400, "invalid_request_error")


async def test_environ_points_to_it_for_both_endpoints() -> None:
    async with Emulator() as emulator:
        for name in ("RUNTIME", "MANTLE"):
            assert emulator.environ[f"AWS_ENDPOINT_URL_BEDROCK_{name}"] == emulator.url
