"""Facts of an answer, independent of its format: token counts, latency and ids.

All of them are computed from the request and the steps, so the same request always gets the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from ..steps import Metadata, Reasoning, Step, Stop, Text, ToolUse
from .tokens import count_input

__all__ = (
    "CREATED", "FIRST_TOKEN_MS", "Cached", "Facts", "count_tokens", "last_metadata", "reasoning_tokens", "stop_of",
)  # fmt: skip

CREATED = 1751371200
"""The time of every answer, 2025-07-01T12:00:00Z; a constant, so that answers repeat exactly."""

_COUNTED = ("messages", "system", "toolConfig")
_ECHOED = ("performanceConfig", "serviceTier")
FIRST_TOKEN_MS, _TOKEN_MS = 100, 10  # milliseconds; latency is computed, so that answers repeat exactly


class Cached(NamedTuple):
    """The tokens of a prompt that were read from the cache and written to it."""

    read: int
    written: dict[str, int]
    """Tokens by TTL, the longer TTL first."""


class Facts(NamedTuple):
    """The facts of one request that its answer reports."""

    input_tokens: int
    """The tokens of the complete prompt, cached or not."""
    turn: int
    """The number of messages in the conversation. It makes the ids of tool calls differ between turns."""
    echoed: dict[str, Any]
    """Members of the request that the metadata repeats."""
    model: str = ""
    cached: Cached | None = None
    """None if the request has no cache points."""
    call_prefix: str = "tooluse_"
    """The prefix of the ids of tool calls."""

    @classmethod
    def of(cls, body: dict[str, Any], model: str = "", cached: Cached | None = None) -> Facts:
        """Compute the facts of a Converse body."""
        echoed = {name: body[name] for name in _ECHOED if name in body}
        tokens = sum(count_input(body.get(name)) for name in _COUNTED)
        return cls(tokens, len(body.get("messages", ())), echoed, model, cached)

    def tool_use_id(self, call: ToolUse, index: int) -> str:
        """Return the id of a tool call: the scripted id, or one derived from its position in the conversation."""
        return self.call_prefix + self._hash(f"{index}/{call.name}")[:22] if call.id is None else call.id

    def message_id(self) -> str:
        """Return a message's id without its prefix."""
        return self._hash(f"{self.input_tokens}/{self.model}")[:24]

    def _hash(self, text: str) -> str:
        return sha256(f"{self.turn}/{text}".encode()).hexdigest()

    def metadata(self, steps: Sequence[Step], scripted: Metadata) -> dict[str, Any]:
        """Return the metadata in Converse's format; members that the script leaves out are computed."""
        output = sum(map(count_tokens, steps))
        latency = FIRST_TOKEN_MS + _TOKEN_MS * output if scripted.latency_ms is None else scripted.latency_ms
        usage = self._usage(output) if scripted.usage is None else scripted.usage
        return {"usage": usage, "metrics": {"latencyMs": latency}, **self.echoed, **scripted.extra}

    def _usage(self, output: int) -> dict[str, Any]:
        read, written = self.cached or Cached(0, {})
        wrote = sum(written.values())
        # `inputTokens` leaves out the cached tokens; `totalTokens` includes them.
        usage: dict[str, Any] = {
            "inputTokens": self.input_tokens - read - wrote,
            "outputTokens": output,
            "totalTokens": self.input_tokens + output,
        }
        if self.cached is not None:
            usage |= {"cacheReadInputTokens": read, "cacheWriteInputTokens": wrote}
        if wrote:
            usage["cacheDetails"] = [{"ttl": ttl, "inputTokens": tokens} for ttl, tokens in written.items()]
        return usage


def count_tokens(step: Step) -> int:
    """Return the output tokens of a step: one for each delta with text or input."""
    match step:
        case Text() | Reasoning():
            return len(step.pieces)
        case ToolUse():
            return len(step.fragments)
    return 0


def reasoning_tokens(steps: Sequence[Step]) -> int:
    """Return the output tokens of the reasoning."""
    return sum(count_tokens(step) for step in steps if isinstance(step, Reasoning))


def last_metadata(steps: Sequence[Step]) -> Metadata:
    """Return the last `Metadata` step, or an empty one."""
    scripted = [step for step in steps if isinstance(step, Metadata)]
    return scripted[-1] if scripted else Metadata()


def stop_of(steps: Sequence[Step]) -> Stop:
    """Return the last `Stop` step, or the one that fits the content: `tool_use` with tool calls, else `end_turn`."""
    scripted = [step for step in steps if isinstance(step, Stop)]
    if scripted:
        return scripted[-1]
    return Stop("tool_use" if any(isinstance(step, ToolUse) for step in steps) else "end_turn")
