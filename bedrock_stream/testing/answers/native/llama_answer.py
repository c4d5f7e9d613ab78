"""Answers in Llama's format, which has text only: each chunk has a piece of `generation` and the tokens so far.

The last chunk has the last piece of text together with the stop reason and Bedrock's metrics. If a fault follows the
last text, the text is sent at once and the last chunk has an empty piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...steps import Citation, EndBlock, Metadata, Reasoning, Start, Step, Stop, Text, ToolUse
from ..facts import Facts, last_metadata
from ..rendering import Form, answer_document
from .chunks import STREAM_HEADERS, ChunkComposer, count_headers, extras, metrics

__all__ = ("form",)

_FINISH = {"max_tokens": "length", "end_turn": "stop", "stop_sequence": "stop"}


def form(_body: dict[str, Any]) -> Form:
    """Return the form of Llama's answers."""
    return Form(_Chunks, _document, count_headers, STREAM_HEADERS, _is_unsupported)


def _is_unsupported(step: Step) -> bool:
    return isinstance(step, Citation | Reasoning | ToolUse)


class _Chunks(ChunkComposer):
    def __init__(self, steps: Sequence[Step], facts: Facts) -> None:
        super().__init__(steps, facts)
        self._pieces = sum(len(step.pieces) for step in steps if isinstance(step, Text))
        self._sent = 0
        self._started = False
        self._last_piece = ""
        self._holds_last = _ends_with_text(steps)

    def translate(self, name: str, payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match name:
            case "contentBlockDelta":
                self._sent += 1
                text = payload["delta"]["text"]
                if self._holds_last and self._sent == self._pieces:
                    self._last_piece = text
                else:
                    yield self._chunk(text, self._sent)
            case "messageStop":
                reason = _FINISH.get(payload["stopReason"], payload["stopReason"])
                counts = {} if self.scripted_metadata.absent else metrics(self.metadata)
                tokens = self.metadata["usage"].get("outputTokens", self._sent)
                yield {**self._chunk(self._last_piece, tokens, reason), **counts}

    def _chunk(self, text: str, tokens: int, reason: str | None = None) -> dict[str, Any]:
        # Only the first chunk has the count of the prompt.
        is_first, self._started = not self._started, True
        return {
            "generation": text,
            "prompt_token_count": self.metadata["usage"].get("inputTokens", 0) if is_first else None,
            "generation_token_count": tokens,
            "stop_reason": reason,
        }


def _ends_with_text(steps: Sequence[Step]) -> bool:
    others = [step for step in steps if not isinstance(step, EndBlock | Metadata | Start | Stop)]
    return bool(others) and isinstance(others[-1], Text)


def _document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    answer = answer_document(steps, facts)
    usage = answer["usage"]
    return {
        "generation": "".join(block["text"] for block in answer["output"]["message"]["content"]),
        "prompt_token_count": usage.get("inputTokens", 0),
        "generation_token_count": usage.get("outputTokens", 0),
        "stop_reason": _FINISH.get(answer["stopReason"], answer["stopReason"]),
        **extras(facts.metadata(steps, last_metadata(steps))),
    }
