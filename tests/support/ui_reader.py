"""What the AI SDK makes of a UI message stream: a small reader, written from `processUIMessageStream` of version 6."""

from __future__ import annotations

import json
from typing import Any

from tests.support.web_app import parts

__all__ = ("assembled", "read_ui_message")


def read_ui_message(body: bytes) -> dict[str, Any]:
    """Return the UI message that a page holds after a stream."""
    return assembled([part for part in parts(body.decode()) if part != "[DONE]"])


def assembled(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"id": "made-by-the-page", "role": "assistant", "parts": []}
    found: list[dict[str, Any]] = message["parts"]
    active: dict[str, dict[str, Any]] = {}
    raw_inputs: dict[str, str] = {}

    def tool(id: str) -> dict[str, Any]:
        return next(part for part in reversed(found) if part.get("toolCallId") == id)

    for chunk in chunks:
        match chunk["type"]:
            case "start" | "finish" | "message-metadata":
                message["id"] = chunk.get("messageId", message["id"])
                if chunk.get("messageMetadata") is not None:
                    message["metadata"] = {**message.get("metadata", {}), **chunk["messageMetadata"]}
            case "start-step":
                found.append({"type": "step-start"})
            case "text-start" | "reasoning-start" as kind:
                part = {"type": kind.removesuffix("-start"), "text": "", "state": "streaming"}
                active[chunk["id"]] = part
                found.append(part)
            case "text-delta" | "reasoning-delta":
                active[chunk["id"]]["text"] += chunk["delta"]
            case "text-end" | "reasoning-end":
                part = active.pop(chunk["id"])
                part["state"] = "done"
                if "providerMetadata" in chunk:
                    part["providerMetadata"] = chunk["providerMetadata"]
            case "tool-input-start":
                raw_inputs[chunk["toolCallId"]] = ""
                found.append({**_tool(chunk), "state": "input-streaming"})
            case "tool-input-delta":
                raw_inputs[chunk["toolCallId"]] += chunk["inputTextDelta"]
            case "tool-input-available":
                tool(chunk["toolCallId"]).update(_tool(chunk), state="input-available", input=chunk["input"])
            case "tool-input-error":
                failed = {"state": "output-error", "rawInput": chunk["input"], "errorText": chunk["errorText"]}
                tool(chunk["toolCallId"]).update(_tool(chunk), **failed)
            case "tool-output-available":
                tool(chunk["toolCallId"]).update(state="output-available", output=chunk["output"])
            case "tool-output-error":
                tool(chunk["toolCallId"]).update(state="output-error", errorText=chunk["errorText"])
            case "file" | "source-url" | "source-document":
                found.append(chunk)
    decoded: dict[str, Any] = json.loads(json.dumps(message))
    return decoded


def _tool(chunk: dict[str, Any]) -> dict[str, Any]:
    executed = {"providerExecuted": True} if chunk.get("providerExecuted") else {}
    return {"type": f"tool-{chunk['toolName']}", "toolCallId": chunk["toolCallId"], **executed}
