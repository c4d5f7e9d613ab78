"""Models, requests and the service's words for the tests of refusals."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bedrock_stream.testing import Emulator
from tests.support.emulator_client import assistant, post, user

SONNET_3 = "anthropic.claude-3-sonnet-20240229-v1:0"
SONNET_4 = "us.anthropic.claude-sonnet-4-20250514-v1:0"
OPUS_41 = "us.anthropic.claude-opus-4-1-20250805-v1:0"
SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_45 = "global.anthropic.claude-opus-4-5-20251101-v1:0"
OPUS_46 = "global.anthropic.claude-opus-4-6-v1"
SONNET_46 = "us.anthropic.claude-sonnet-4-6"
OPUS_48 = "global.anthropic.claude-opus-4-8"
SONNET_5 = "us.anthropic.claude-sonnet-5"
OPUS_5 = "us.anthropic.claude-opus-5"
FABLE_5 = "us.anthropic.claude-fable-5"
FABLE_51 = "us.anthropic.claude-fable-5-1"
OPUS_55 = "global.anthropic.claude-opus-5-5"
SONNET_55 = "global.anthropic.claude-sonnet-5-5"
HAIKU_55 = "us.anthropic.claude-haiku-5-5"
NEWER_CLAUDE = "us.anthropic.claude-saga-7"
NOVA = "us.amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
NOVA_MICRO = "amazon.nova-micro-v1:0"
TITAN = "amazon.titan-text-express-v1"
GPT_6, GPT_6_ASTRA, GPT_OSS = "us.openai.gpt-6-sol", "us.openai.gpt-6-astra", "openai.gpt-oss-20b-1:0"
GROK, KIMI_3, GLM_5, GLM_53 = "global.xai.grok-4.7", "us.moonshotai.kimi-k3", "zai.glm-5", "us.zai.glm-5.3"
DEEPSEEK_R1, DEEPSEEK, QWEN = "us.deepseek.r1-v1:0", "deepseek.v3.2", "qwen.qwen3-32b-v1:0"
LLAMA, LLAMA_3 = "us.meta.llama3-3-70b-instruct-v1:0", "meta.llama3-70b-instruct-v1:0"
LLAMA_4 = "us.meta.llama4-scout-17b-instruct-v1:0"
MISTRAL_7B, MISTRAL_2402 = "mistral.mistral-7b-instruct-v0:2", "mistral.mistral-large-2402-v1:0"
MISTRAL_3, PIXTRAL = "mistral.mistral-large-3-675b-instruct", "us.mistral.pixtral-large-2502-v1:0"
WRITER, JAMBA, NEMOTRON = "us.writer.palmyra-x5-v1:0", "ai21.jamba-1-5-large-v1:0", "nvidia.nemotron-super-3-120b"
GPT_NEXT = "openai.gpt-7-next"
UNKNOWN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"

CLAUDES = "The model returned the following errors: "
"""The text before Anthropic's sentences on Converse."""
DEPRECATED = "`{}` is deprecated for this model."
BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
ONLY_1 = "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."
NO_BUDGET = (
    '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" '
    "to control thinking behavior."
)
NEVER_OFF = '"thinking.type.disabled" is not supported for this model.'
NEVER_FORCED = 'tool_choice: type "tool" and "any" are not supported for this model.'
FORCED = "Thinking may not be enabled when tool_choice forces tool use."
NO_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."
LOW_TO_HIGH = "output_config.effort: Input should be 'low', 'medium' or 'high'"
NO_FORMAT = "output_config.format: Extra inputs are not permitted"
NO_STRICT = "tools.0.custom.strict: Extra inputs are not permitted"
NO_VIDEO = (
    "This model doesn't support the video content block that you provided. Update the content block and try again."
)
NO_CITATIONS = "This model doesn't support citations."
BLANK_STOP = "stop_sequences: each stop sequence must contain non-whitespace"
WHITE_SPACE = "messages: final assistant content cannot end with trailing whitespace"
UNSIGNED = "messages.1.content.0.thinking.signature: Field required"
SAME_NAMES = "Messages can't contain duplicate document names."
AFTER_REASONING = "Cache point cannot be inserted after reasoning block."
NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model that supports "
    "system messages."
)
MIXED = "messages.2.content: Conversation blocks and tool result blocks cannot be provided in the same turn."

HI = user({"text": "Hi"})
POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
POINT_5M: dict[str, Any] = {"cachePoint": {"type": "default", "ttl": "5m"}}
IMAGE: dict[str, Any] = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
S3_IMAGE: dict[str, Any] = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}
VIDEO: dict[str, Any] = {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}
SIGNED: dict[str, Any] = {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}}
PLAIN: dict[str, Any] = {"reasoningContent": {"reasoningText": {"text": "Hm"}}}
REDACTED: dict[str, Any] = {"reasoningContent": {"redactedContent": "AAAA"}}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def field(name: str) -> str:
    return f"This model doesn't support the {name} field. Remove {name} and try again."


def extraneous(key: str, path: str = "#") -> str:
    end = "please reformat your input and try again."
    return f"Malformed input request: {path}: extraneous key [{key}] is not permitted, {end}"


def body(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [user(*content or ({"text": "Hi"},))], **more}


def config(**members: Any) -> dict[str, Any]:
    return body(inferenceConfig=members)


def fields(**members: Any) -> dict[str, Any]:
    return body(additionalModelRequestFields=members)


def thinking(kind: str, **members: Any) -> dict[str, Any]:
    budget = {"budget_tokens": 1024} if kind == "enabled" else {}
    return {"thinking": {"type": kind, **budget, **members}}


def effort(word: str, **members: Any) -> dict[str, Any]:
    return fields(output_config={"effort": word}, **members)


def tools(choice: str | None = None, **members: Any) -> dict[str, Any]:
    spec = {"name": "f", "inputSchema": {"json": {"type": "object"}}, **members}
    chosen = {} if choice is None else {"toolChoice": {choice: {"name": "f"} if choice == "tool" else {}}}
    return {"toolConfig": {"tools": [{"toolSpec": spec}], **chosen}}


def schema(value: Any = CLOSED) -> dict[str, Any]:
    structure = {"jsonSchema": {"schema": json.dumps(value), "name": "a"}}
    return body(outputConfig={"textFormat": {"type": "json_schema", "structure": structure}})


def document(name: str = "A", kind: str = "txt", **members: Any) -> dict[str, Any]:
    return {"document": {"name": name, "format": kind, "source": {"bytes": "AAAA"}, **members}}


def turns(*content: Any) -> dict[str, Any]:
    """A conversation with a turn of the assistant in the middle."""
    return {"messages": [HI, assistant(*content), HI]}


def prefill(*content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [HI, assistant(*content or ({"text": "So"},))], **more}


def called(*beside: Any, call: str = "t1", content: Any = ({"text": "ok"},), **more: Any) -> dict[str, Any]:
    use = {"toolUse": {"toolUseId": call, "name": "f", "input": {}}}
    result = {"toolResult": {"toolUseId": call, "content": list(content), **more}}
    return {"messages": [HI, assistant(use), user(result, *beside)], **tools()}


NINE = "abcDEF123"
OPEN = {"type": "object", "properties": {"a": {"type": "integer"}}}
NUMBER = {**CLOSED, "properties": {"a": {"type": "integer", "minimum": 0}}}
CITED: dict[str, Any] = {"citations": {"enabled": True}}
NONE_FIELD = {"tool_choice": {"type": "none"}}


class Case(NamedTuple):
    """A refused request, its message, and a request that is taken."""

    model: str
    refused: dict[str, Any]
    message: str
    taken: tuple[str, dict[str, Any]]


async def check(case: Case, operation: str) -> None:
    """Send both requests of a case as plain HTTP and compare the message byte for byte."""
    async with Emulator() as emulator:
        response = await post(emulator, case.refused, operation, case.model)
        assert response.error == (400, "ValidationException", {"message": case.message})
        model, taken = case.taken
        response = await post(emulator, taken, operation, model)
        assert response.status == 200, response.body
