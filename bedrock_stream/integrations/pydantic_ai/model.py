"""The model: pydantic-ai's requests become calls of a `Client`, its answers pydantic-ai's parts.

Requests are written by `messages` and `settings`, answers read by `parts`. What Bedrock and its models take is known by
the client alone: the profile is made of its table, and what a model refuses is left out, as pydantic-ai's models do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse, check_allow_model_requests
from pydantic_ai.profiles import ModelProfile, ModelProfileSpec
from pydantic_ai.settings import ModelSettingName, ModelSettings
from pydantic_ai.tools import RunContext
from pydantic_ai.usage import RequestUsage

from ...client.client import Client
from ...errors import ToolInputError
from ...types.model_facts import ModelFacts
from ...types.response import Response
from .errors import model_errors
from .messages import Conversation, read_messages
from .parts import StreamOfParts, read_response
from .settings import call_options

__all__ = ("BedrockStreamModel",)


_LONG = 8192  # tokens; a longer response may take longer than the limit for its first byte, so it is streamed


class BedrockStreamModel(Model[Client]):
    """A Bedrock model for pydantic-ai.

    `model_name`: a model id, inference-profile id or ARN. `client`: a `Client`, shared with anything else; it is not
    closed here. Without one, a client is made from the environment. `profile`, `settings`: as for every model of
    pydantic-ai; see `BedrockStreamSettings`.

    Failures are raised as pydantic-ai's `ModelHTTPError` and `ModelAPIError`, with this library's error as the cause.
    """

    _unsupported_file_inputs = frozenset({"audio"})
    unsupported_settings: ClassVar[frozenset[ModelSettingName]] = frozenset(
        {
            "extra_headers",
            "frequency_penalty",
            "logit_bias",
            "max_retries",
            "parallel_tool_calls",
            "presence_penalty",
            "seed",
            "timeout",
        }
    )

    def __init__(
        self,
        model_name: str,
        *,
        client: Client | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        self._model_name = model_name
        self.client: Client = Client() if client is None else client
        """The client that sends the requests."""
        facts = self.client.facts(model_name)
        self._facts = facts

        def complete(default: ModelProfile) -> ModelProfile:
            known: Any = {**default, **_profile(facts)}
            if callable(profile):
                return profile(known)
            return cast("ModelProfile", {**known, **(profile or {})})

        super().__init__(settings=settings, profile=complete)

    @property
    def model_name(self) -> str:
        """The model id as it is sent."""
        return self._model_name

    @property
    def system(self) -> str:
        """The provider's name: histories of `BedrockConverseModel` continue here, and the other way round."""
        return "bedrock"

    @property
    def canonical_system(self) -> str:
        """Who verifies the signatures of reasoning."""
        return "anthropic" if self._facts.family == "claude" else self.system

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the whole response of the model."""
        conversation, options, _ = await self._prepare(messages, model_settings, model_request_parameters)
        with model_errors(self._model_name):
            try:
                response = await self._whole(options.pop("model"), conversation, options)
            except ToolInputError as error:
                if error.partial is None:
                    raise
                response = error.partial  # pydantic-ai reports the input to the model
        return read_response(response, self)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Stream the response of the model. The connection is closed on every way out."""
        conversation, options, parameters = await self._prepare(messages, model_settings, model_request_parameters)
        stream = self.client.stream(options.pop("model"), conversation.messages, **options, keep=False)
        async with stream:
            with model_errors(self._model_name):
                await stream.open()
            yield StreamOfParts(parameters, stream, self)

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        """Return how many input tokens the request has. Few models support this."""
        conversation, options, _ = await self._prepare(messages, model_settings, model_request_parameters)
        with model_errors(self._model_name):
            count = await self.client.count_tokens(options.pop("model"), conversation.messages, **options)
        return RequestUsage(input_tokens=count)

    async def _whole(self, model: str, conversation: Conversation, options: dict[str, Any]) -> Response:
        if self._facts.family == "claude" and (options.get("max_tokens") or 0) > _LONG:
            async with self.client.stream(model, conversation.messages, **options) as stream:
                return await stream.response()
        return await self.client.generate(model, conversation.messages, **options)

    async def _prepare(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> tuple[Conversation, dict[str, Any], ModelRequestParameters]:
        """Return the conversation, the options of the call with its model, and the parameters as they were resolved."""
        check_allow_model_requests()
        merged, parameters = self.prepare_request(settings, parameters)
        conversation = await read_messages(messages, parameters, self, self._facts.family)
        options = call_options(merged or {}, parameters, self._facts, self._model_name)
        if conversation.system:
            options["system"] = conversation.system
        return conversation, options, parameters


def _profile(facts: ModelFacts) -> dict[str, Any]:
    """Return a profile's keys for what a model takes."""
    return {
        "supports_tools": facts.tools,
        "supports_json_schema_output": facts.native_schema,
        "supports_image_input": facts.images,
        "supports_document_input": facts.documents,
        "supports_video_input": facts.video,
        "supports_thinking": facts.thinking not in ("none", "unknown"),
        "thinking_always_enabled": facts.thinking_off == "never",
        "supports_forced_tool_choice": "any" in facts.tool_choices,
        "supports_forced_tool_choice_with_thinking": facts.forced_with_thinking,
        "supports_cache": bool(facts.cache),
        "supported_cache_retentions": ("5m", "1h") if facts.cache_one_hour else ("5m",),
    }
