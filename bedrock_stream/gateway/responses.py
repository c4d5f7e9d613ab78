"""Non-streamed chat completions: a `Response` as the JSON of OpenAI's API."""

from __future__ import annotations

from time import time
from typing import Any

import msgspec

from ..integrations.protocols.openai import completion_id, finish_reason, reasoning_detail, usage_json
from ..types.messages import Reasoning
from ..types.response import Response

__all__ = ("completion_json",)


def completion_json(response: Response, model: str, answer_tool: str | None = None) -> dict[str, Any]:
    """Build the JSON body of a `POST /v1/chat/completions` response without streaming.

    `model`: the name that the client requested. `answer_tool`: the name of the tool whose input is the text of the
    message, where structured output is implemented with a tool; see `request.output_schema`.
    """
    broken = [call for call in response.broken_tool_calls if not call.server]
    # OpenAI's API carries arguments as text, so arguments that are not valid JSON are passed on unchanged.
    calls = [_call(call.id, call.name, msgspec.json.encode(call.input).decode()) for call in response.tool_calls]
    calls += [_call(call.id, call.name, call.raw) for call in broken if call.name != answer_tool]
    # The input of the answer tool is already the message's text, unless it is truncated.
    truncated = "".join(call.raw for call in broken if call.name == answer_tool)
    text = response.text or response.message.text or truncated
    # `content` and `refusal` are required and nullable; `tool_calls` is omitted if there are no calls.
    message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    details = [
        reasoning_detail(block.text, block.signature, block.redacted)
        for block in response.message.content
        if isinstance(block, Reasoning)
    ]
    if details:
        message |= {"reasoning_content": response.reasoning, "reasoning_details": details}
    reason = finish_reason(response.stop_reason, calls=bool(calls))
    return {
        "id": completion_id(),
        "object": "chat.completion",
        "created": int(time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage_json(response.usage),
    }


def _call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
