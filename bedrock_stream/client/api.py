"""`stream` and `generate` with the process's shared client.

The client is imported and made at the first call, so `from bedrock_stream import stream` does not load aiohttp. Where
the first call must not wait for that, make a `Client` beforehand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Unpack

    from ..types.messages import Prompt
    from ..types.options import CallOptions
    from ..types.response import Response
    from .client import Client
    from .stream import Stream

__all__ = ("generate", "stream")

_shared: Client | None = None


def stream(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Stream:
    """Stream a response of a Bedrock model, with the process's shared client.

        async with stream("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "Hello") as answer:
            async for event in answer:
                ...

    Nothing is sent before the first await. Region, endpoint and credentials are those of the environment; see `Client`.

    Arguments:
        `model`: a model id, inference-profile id or ARN. A leading `bedrock:` or `amazon_bedrock:` is dropped.
        `prompt`: a str, one `Message`, or a sequence of `Message` or dicts `{"role": ..., "content": ...}`.

    Options for the model:
        `system`: a str, or a list of str, `Text`, `Guarded`, `CachePoint`.
        `tools`: functions, `Tool`, `SystemTool`, types or dicts. `tool_choice`: `auto`, `any`, `none` or a tool's name.
        `max_tokens`, `temperature`, `top_p`, `top_k`, `stop_sequences`.
        `reasoning`: an effort (`none`, `low`, `medium`, `high`, ...) or a budget in tokens. `effort`: the same, as a
        word only.
        `output_schema`: a JSON Schema or a type; the result is in `Response.parsed`.
        `prompt_cache`: True sets cache points after tools and system prompt; `auto` also in the conversation.
        `prompt_cache_ttl`: `5m` or `1h`. `prompt_cache_messages`: the index of a message to set a further point after.
        `unsupported`: `error`, `drop` or `send`, for options that the model is known to refuse.
        `base_model`: the id of the model behind an opaque id, such as an application inference profile.

    Options for the call:
        `api_key`, or `access_key_id` with `secret_access_key` and `session_token`; `region`.
        `timeouts`: `Timeouts`, in seconds. `retry`: a `RetryPolicy`. `failover`: a sequence of `Target`.
        `keep`: False for flat memory, without a `Response`. `show_retries`: True for `Retrying` events before retries.
        `use_converse`: True or False to choose the API; left out, the library chooses.

    Options for Bedrock:
        `guardrail`, `performance`, `service_tier`, `project`, `request_metadata`, `prompt_variables`,
        `response_field_paths`, `additional_model_request_fields`, `anthropic_beta`, and `extra`, which is merged into
        the body as it is. `provider_options` is a dict of any of these.

    Returns a `Stream`. Raises `ConfigurationError` at once for an argument that cannot be used; reading the stream
    raises `ServiceError`, `StreamInterrupted`, `TransportError` and the other classes of `bedrock_stream.errors`.
    """
    from ..types.options import mask_secrets

    try:
        return _client().stream(model, prompt, **options)
    finally:
        mask_secrets(options)  # see there


async def generate(model: str, prompt: Prompt, **options: Unpack[CallOptions]) -> Response:
    """Return the whole response of a Bedrock model, with the process's shared client.

    Arguments, options and errors are those of `stream`.
    """
    from ..types.options import mask_secrets

    call = _client().generate(model, prompt, **options)
    mask_secrets(options)
    return await call


def _client() -> Client:
    global _shared
    if _shared is None:
        from .client import Client

        _shared = Client()
    return _shared
