"""What an answer says about its request and about itself: counts, latency, ids.

Everything follows from the request and the steps, so answers repeat exactly. Forms only choose the spelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from ..steps import Metadata, Reasoning, Step, Stop, Text, ToolUse
from .tokens import count_input

__all__ = ("FIRST_TOKEN_MS", "Cached", "Facts", "last_metadata", "stop_of")

_COUNTED = ("messages", "system", "toolConfig")
_ECHOED = ("performanceConfig", "serviceTier")
FIRST_TOKEN_MS, _TOKEN_MS = 100, 10  # latency is made up, so that answers repeat exactly


class Cached(NamedTuple):
    """How many tokens of a prompt came from the cache, and how many went into it."""

    read: int
    written: dict[str, int]
    """By time to live, the longer one first."""


class Facts(NamedTuple):
    """What an answer says about its request."""

    input_tokens: int
    """Of the whole prompt, cached or not."""
    turn: int
    """How many messages the conversation has; ids of tool calls differ from turn to turn by it."""
    echoed: dict[str, Any]
    model: str = ""
    cached: Cached | None = None
    """None where the request marks nothing for the cache."""
    call_prefix: str = "tooluse_"
    """What ids of tool calls begin with."""

    @classmethod
    def of(cls, body: dict[str, Any], model: str = "", cached: Cached | None = None) -> Facts:
        """Read them off a Converse body."""
        echoed = {name: body[name] for name in _ECHOED if name in body}
        tokens = sum(count_input(body.get(name)) for name in _COUNTED)
        return cls(tokens, len(body.get("messages", ())), echoed, model, cached)

    def tool_use_id(self, call: ToolUse, index: int) -> str:
        """The id of a call: the scripted one, or one that follows from its place."""
        return self.call_prefix + self._hash(f"{index}/{call.name}")[:22] if call.id is None else call.id

    def message_id(self) -> str:
        """What follows the prefix of a message's id."""
        return self._hash(f"{self.input_tokens}/{self.model}")[:24]

    def _hash(self, text: str) -> str:
        return sha256(f"{self.turn}/{text}".encode()).hexdigest()

    def metadata(self, steps: Sequence[Step], said: Metadata) -> dict[str, Any]:
        """The metadata as Converse spells it; what the script did not say is counted."""
        output = sum(_tokens(step) for step in steps)
        latency = FIRST_TOKEN_MS + _TOKEN_MS * output if said.latency_ms is None else said.latency_ms
        usage = self._usage(output) if said.usage is None else said.usage
        return {"usage": usage, "metrics": {"latencyMs": latency}, **self.echoed, **said.extra}

    def _usage(self, output: int) -> dict[str, Any]:
        read, written = self.cached or Cached(0, {})
        wrote = sum(written.values())
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


def _tokens(step: Step) -> int:
    match step:
        case Text() | Reasoning():
            return len(step.pieces)
        case ToolUse():
            return len(step.fragments)
    return 0


def last_metadata(steps: Sequence[Step]) -> Metadata:
    """What a script says about the metadata, at last."""
    said = [step for step in steps if isinstance(step, Metadata)]
    return said[-1] if said else Metadata()


def stop_of(steps: Sequence[Step]) -> Stop:
    """Why a message stops: as the script says, or as its content makes likely."""
    said = [step for step in steps if isinstance(step, Stop)]
    return said[-1] if said else Stop("tool_use" if any(isinstance(step, ToolUse) for step in steps) else "end_turn")
