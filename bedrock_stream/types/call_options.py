"""The keyword arguments of calls, as type checkers and editors see them, and the sets of words that some of them take.

`types.options` validates them. Each option has its meaning, values, default and source in the docstring below it. Pages
of AWS are below https://docs.aws.amazon.com/bedrock/latest/; the operation that most options belong to is
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from .messages import CachePoint, Guarded, Text, Ttl
from .settings import RetryPolicy, Target, Timeouts
from .tools import ToolLike

__all__ = ("Api", "CallOptions", "Effort", "EndpointName", "PlainOptions", "RawOptions", "Ttl", "Unsupported")

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How much a model reasons before it answers."""
Api: TypeAlias = Literal["converse", "invoke", "messages", "chat", "responses"]
"""The APIs that answer a conversation: Bedrock's own two, Anthropic's Messages, OpenAI's Chat Completions and
Responses."""
EndpointName: TypeAlias = Literal["runtime", "mantle"]
"""The endpoints that serve them: bedrock-runtime and bedrock-mantle."""
Unsupported: TypeAlias = Literal["error", "drop", "send"]
"""What happens to an option that a model is known to refuse."""


class RawOptions(TypedDict, total=False):
    """Keyword arguments of `invoke_stream` and `invoke`, whose body is the caller's own. None means omitted."""

    api_key: str | None
    """Bedrock API key for this call. Default: the client's credentials. Source: userguide/api-keys.html."""
    region: str | None
    """AWS region for this call, such as `us-east-1`. Default: the client's; see `Client`."""
    access_key_id: str | None
    """AWS access key id for this call; requires `secret_access_key`."""
    secret_access_key: str | None
    """AWS secret access key for this call; requires `access_key_id`."""
    session_token: str | None
    """AWS session token, which temporary credentials need beside the two keys."""
    timeouts: Timeouts | None
    """Time limits in seconds: `Timeouts(total=30)`. Those that are left out have the defaults of `Timeouts`, not the
    client's values. Default: the client's."""
    retry: RetryPolicy | None
    """Retry policy: `RetryPolicy(max_attempts=1)` sends a request once. Default: the client's."""
    project: str | None
    """Id of the Bedrock project that the call is billed to; on `mantle`, also of Claude's workspace. Default: none."""
    provider_options: Mapping[str, Any] | None
    """Any of these options as a dict; keywords take precedence over it."""


class PlainOptions(RawOptions, total=False):
    """The options of a call but `output_schema`, from which type checkers derive the type of `Response.parsed`."""

    system: str | Sequence[str | Text | Guarded | CachePoint | Mapping[str, Any]] | None
    """System prompt: a str or a list of blocks; a dict is a block in Converse's own format. Default: none."""
    tools: Sequence[ToolLike] | None
    """Tools that the model may call: functions, model classes, `Tool`, `SystemTool` or dicts. Default: none. Source:
    userguide/tool-use.html."""
    tool_choice: Literal["auto", "any", "none"] | str | Mapping[str, Any] | None
    """`auto` (the service's default), `any`, `none`, the name of a tool, or a dict in Converse's own format. Support
    depends on the model. Source: APIReference/API_runtime_ToolChoice.html."""
    max_tokens: int | None
    """Maximum number of output tokens, including reasoning; at least 1. Default: the model's own."""
    temperature: float | None
    """Sampling temperature from 0 to 1. Default: the model's own. Source:
    APIReference/API_runtime_InferenceConfiguration.html."""
    top_p: float | None
    """Nucleus sampling: probability mass from 0 to 1. Default: the model's own."""
    top_k: int | None
    """Number of most likely tokens to sample from, at least 1, for models that support it. Default: the model's own."""
    stop_sequences: Sequence[str] | None
    """Non-empty texts that end the response; it does not contain them. Default: none."""
    reasoning: Effort | int | None
    """Effort (`none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`) or a budget in tokens; support depends on
    the model. Default: the model's own. Source: userguide/inference-reasoning.html."""
    effort: Effort | None
    """Another name of `reasoning` for its words; both at once are an error."""
    use_converse: bool | None
    """Another name of `api`: True of `converse`, False of `invoke`."""
    api: Api | None
    """API of the call: `converse`, `invoke` (the model's native format), `messages` (Claude), `chat` or `responses`
    (others). Default: chosen by model and options; `Client.explain()` returns the choice and its reason. Source:
    userguide/bedrock-mantle.html."""
    endpoint: EndpointName | None
    """Endpoint of the call: `runtime` serves every API, `mantle` only `messages`, `chat` and `responses`, for plain
    model ids without geo prefix. Default: `runtime`, but `mantle` for plain ids that only it serves by this API."""
    store: bool | None
    """True has the service keep the response for 30 days, for `previous_response_id`. Only with `api="responses"`.
    Default: False, which is sent. Source: userguide/inference-responses-api.html."""
    previous_response_id: str | None
    """Id of a stored response (its `extra["id"]`) that this call continues, in place of sending its conversation. Only
    with `api="responses"`. Default: none."""
    additional_model_request_fields: Mapping[str, Any] | None
    """Fields for the model that Converse does not define, sent unchanged. Default: none. Source:
    userguide/model-parameters.html."""
    response_field_paths: Sequence[str] | None
    """JSON Pointers such as `/stop_sequence` to native response fields, to return in `Response.additional_fields`.
    Converse only. Default: none."""
    prompt_cache: bool | Literal["auto"] | None
    """True sets cache points after the last tool and the system prompt, where the model takes them; `auto` also moves
    one with the conversation. Default: no cache points. Source: userguide/prompt-caching.html."""
    prompt_cache_ttl: Ttl | None
    """Lifetime of these cache points: `5m` or `1h`. Default: the service's, `5m`."""
    prompt_cache_messages: bool | int | None
    """Index of the message after which to set another cache point; True selects the last message. Default: none."""
    anthropic_prompt_cache: bool | None
    """Another name of `prompt_cache`, for True and False."""
    anthropic_prompt_cache_ttl: Ttl | None
    """Another name of `prompt_cache_ttl`."""
    anthropic_cache_messages: bool | int | None
    """Another name of `prompt_cache_messages`."""
    anthropic_beta: Sequence[str] | None
    """Names of beta features of Claude models, such as `interleaved-thinking-2025-05-14`. Default: none. Source:
    userguide/model-parameters-anthropic-claude-messages-request-response.html."""
    prompt_variables: Mapping[str, str] | None
    """Values for the variables of a prompt from Prompt management, whose ARN is the model. Default: none. Source:
    userguide/prompt-management.html."""
    guardrail: Mapping[str, Any] | None
    """Guardrail configuration: `guardrailIdentifier`, `guardrailVersion`, and optionally `trace` and
    `streamProcessingMode`. Default: none. Source:
    APIReference/API_runtime_GuardrailStreamConfiguration.html."""
    performance: Literal["standard", "optimized"] | str | None
    """Latency mode: `standard` or `optimized`. Default: the service's, `standard`. Source:
    userguide/latency-optimized-inference.html."""
    service_tier: Literal["priority", "default", "flex", "reserved"] | str | None
    """Service tier: `priority`, `default`, `flex` or `reserved`. Default: the service's, `default`. Source:
    userguide/service-tiers-inference.html."""
    request_metadata: Mapping[str, str] | None
    """Keys and values that the service adds to its invocation logs. Default: none. Source:
    userguide/model-invocation-logging.html."""
    extra: Mapping[str, Any] | None
    """Top-level fields to merge into the request body unchanged; they take precedence over all other options. Default:
    none."""
    failover: Sequence[Target] | None
    """Targets to use in this order if the first one fails before any of its response was delivered, in place of the
    client's. Default: the client's; an empty list means no failover."""
    keep: bool | None
    """True assembles a `Response`. False keeps the memory of a stream constant; `response()` and `partial` are not
    available then. Default: True."""
    show_retries: bool | None
    """True makes a stream yield a `Retrying` event before it waits for another attempt; `generate` refuses it.
    Default: False."""
    unsupported: Unsupported | None
    """What happens to an option that the model is known to refuse: `error` raises, `drop` leaves it out and logs that
    once, `send` lets the service decide. Default: the client's, else `BEDROCK_STREAM_UNSUPPORTED`, else `error`."""
    base_model: str | None
    """The model id behind an opaque id, such as the ARN of an application inference profile. Default: as in
    `Client(models=...)`."""


class CallOptions(PlainOptions, total=False):
    """Keyword arguments of `stream`, `generate` and the other calls. All are optional; None is the same as omitted.

    Invalid values raise `ConfigurationError` at the call. Options that a model does not support raise
    `UnsupportedOperation`.
    """

    output_schema: Mapping[str, Any] | type | None
    """JSON Schema as a dict, or a model class (pydantic, msgspec, dataclass, TypedDict), for structured output. With
    `output_schema=City`, the call returns a `Response[City]`, whose `parsed` is a `City` or None. Default: text.
    Source: userguide/structured-output.html."""
