"""Answers of Llama, which has nothing but text: pieces of `generation`, and how many tokens there were so far.

The last chunk has the last piece, the reason and Bedrock's metrics at once; a fault behind the last text, which must
not hold that text back, gives it an empty piece instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...steps import Citation, EndBlock, Metadata, Reasoning, Start, Step, Stop, Text, ToolUse
from ..facts import Facts, last_metadata
from ..rendering import Form, whole_answer
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("form",)

_FINISH = {"max_tokens": "length", "end_turn": "stop", "stop_sequence": "stop"}


def form(_body: dict[str, Any]) -> Form:
    """How Llama answers."""
    return Form(_Chunks, _whole, count_headers, STREAM_HEADERS, _is_unsayable)


def _is_unsayable(step: Step) -> bool:
    return isinstance(step, Citation | Reasoning | ToolUse)


class _Chunks(ChunkComposer):
    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, facts)
        self._pieces = sum(len(step.pieces) for step in steps if isinstance(step, Text))
        self._said = 0
        self._begun = False
        self._held = ""
        self._holds = _ends_with_text(steps)

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "contentBlockDelta":
                self._said += 1
                text = payload["delta"]["text"]
                if self._holds and self._said == self._pieces:
                    self._held = text
                else:
                    yield self._chunk(text, self._said)
            case "messageStop":
                reason = _FINISH.get(payload["stopReason"], payload["stopReason"])
                counted = {} if self.said.absent else metrics(self.closing)
                tokens = self.closing["usage"].get("outputTokens", self._said)
                yield {**self._chunk(self._held, tokens, reason), **counted}

    def _chunk(self, text: str, tokens: int, reason: str | None = None) -> dict[str, Any]:
        first, self._begun = not self._begun, True
        return {
            "generation": text,
            "prompt_token_count": self.closing["usage"].get("inputTokens", 0) if first else None,
            "generation_token_count": tokens,
            "stop_reason": reason,
        }


def _ends_with_text(steps: Sequence[Step]) -> bool:
    behind = [step for step in steps if not isinstance(step, EndBlock | Metadata | Start | Stop)]
    return bool(behind) and isinstance(behind[-1], Text)


def _whole(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    answer = whole_answer(steps, facts)
    usage = answer["usage"]
    return {
        "generation": "".join(block["text"] for block in answer["output"]["message"]["content"]),
        "prompt_token_count": usage.get("inputTokens", 0),
        "generation_token_count": usage.get("outputTokens", 0),
        "stop_reason": _FINISH.get(answer["stopReason"], answer["stopReason"]),
        **extras(facts.metadata(steps, last_metadata(steps))),
    }
