"""`stream` and `generate` with the process's shared client.

The client is imported and made at the first call, so `from bedrock_stream import stream` does not load aiohttp. Where
the first call must not wait for that, make a `Client` beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Unpack

    from ..types.call_options import PlainOptions
    from ..types.messages import Prompt
    from ..types.response import Response, Schema
    from .client import Client
    from .stream import Stream

__all__ = ("generate", "stream")

_shared: Client | None = None


def stream(
    model: str,
    prompt: Prompt,
    *,
    output_schema: type[Schema] | Mapping[str, Any] | None = None,
    **options: Unpack[PlainOptions],
) -> Stream[Schema]:
    """Stream a response of a Bedrock model, with the process's shared client.

        async with stream("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Hello") as answer:
            async for event in answer:
                ...

    Nothing is sent before the first await. Region, endpoint and credentials are those of the environment; see `Client`.
    `model`: a model id, inference-profile id or ARN. `prompt`: a str, one `Message`, or a sequence of `Message` or
    dicts `{"role": ..., "content": ...}`. `bedrock_stream.CallOptions` describes each option; None means omitted.

    For the model (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html):
        `system`: a str, or a list of str, `Text`, `Guarded`, `CachePoint`. `output_schema`: a JSON Schema or a type,
        for `Response.parsed`. `tools`: functions, `Tool`, `SystemTool`, types or dicts. `tool_choice`: `auto`, `any`,
        `none` or a tool's name. `max_tokens`, `temperature` and `top_p` (0 to 1), `top_k`, `stop_sequences`.
        `reasoning`: an effort (`none`, `low`, `medium`, `high`, ...) or tokens; `effort`: a word only.
        `prompt_cache`: True or `auto`; `prompt_cache_ttl`: `5m` or `1h`; `prompt_cache_messages`: an index.
        `unsupported`: `error`, `drop` or `send`, for what the model refuses. `base_model`: what an opaque id is.
    For the call:
        `api_key`, or `access_key_id` with `secret_access_key` and `session_token`; `region`. `timeouts`: `Timeouts`.
        `retry`: a `RetryPolicy`. `failover`: a sequence of `Target`. `keep`: False to assemble no `Response`.
        `show_retries`: True to receive `Retrying` events.
        `api`: `converse`, `invoke`, `messages`, `chat` or `responses`; `endpoint`: `runtime` or `mantle`.
        `use_converse`: True is `converse`, False `invoke`. `provider_options`: a dict of any options.
    For Bedrock:
        `guardrail`, `performance`, `service_tier`, `project`, `request_metadata`, `prompt_variables`,
        `response_field_paths`, `additional_model_request_fields`, `anthropic_beta`, `extra` (merged into the body).
        `store` and `previous_response_id`, with `api="responses"`.

    Raises `ConfigurationError` at once for an argument that cannot be used; reading the stream raises `ServiceError`,
    `StreamInterrupted`, `TransportError` and the other classes of `bedrock_stream.errors`.
    """
    from ..types.options import mask_secrets

    try:
        return _client().stream(model, prompt, output_schema=output_schema, **options)
    finally:
        mask_secrets(options)  # see there


async def generate(
    model: str,
    prompt: Prompt,
    *,
    output_schema: type[Schema] | Mapping[str, Any] | None = None,
    **options: Unpack[PlainOptions],
) -> Response[Schema]:
    """Return the whole response of a Bedrock model, with the process's shared client.

    Arguments, options and errors are those of `stream`.
    """
    from ..types.options import mask_secrets

    call = _client().generate(model, prompt, output_schema=output_schema, **options)
    mask_secrets(options)
    return await call


def _client() -> Client:
    global _shared
    if _shared is None:
        from .client import Client

        _shared = Client()
    return _shared
