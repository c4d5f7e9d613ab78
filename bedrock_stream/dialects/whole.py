"""Whole answers in a model's own JSON, put together from the documents of a stream: what Invoke and Converse return.

For callers that stream an answer only so that a long one is not given up, and want the same JSON as without. Members
that are unknown are kept. An answer whose end has not come is not whole.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from ..errors import InvalidFrame
from ..types.events import UnknownEvent
from .documents import METRICS

__all__ = ("WholeAnswer", "whole_answer")

_Wire = dict[str, Any]


class WholeAnswer(Protocol):
    """The documents of one stream, as `Raw` and `RawConverse` read them."""

    is_complete: bool
    """Whether the message's own end has come."""

    def add(self, document: Any) -> None:
        """Take the next document. Raises `InvalidFrame` for one that does not fit to those before."""

    def answer(self) -> dict[str, Any]:
        """Return the answer so far. Raises `InvalidFrame` where the documents do not make one."""


def whole_answer(native: str | None) -> WholeAnswer | None:
    """Return what puts an answer together: of a native format by its name, or of `converse`. None if it is unknown."""
    kind = _KINDS.get(native or "")
    return None if kind is None else kind()


# What documents raise that do not have the members of their format.
_MISMATCHES = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class _Whole:
    """Base of the formats: a subclass takes documents and makes the answer. What it raises becomes `InvalidFrame`."""

    def __init__(self) -> None:
        self.is_complete: bool = False

    def add(self, document: Any) -> None:
        """See `WholeAnswer.add`."""
        try:
            self._take(document)
        except _MISMATCHES as error:
            raise _mismatch(error) from None

    def answer(self) -> dict[str, Any]:
        """See `WholeAnswer.answer`."""
        try:
            return self._make()
        except _MISMATCHES as error:
            raise _mismatch(error) from None

    def _take(self, document: Any) -> None:
        raise NotImplementedError

    def _make(self) -> dict[str, Any]:
        raise NotImplementedError


def _mismatch(error: Exception) -> InvalidFrame:
    return InvalidFrame(f"a part of the answer does not match the model's format: {error!r}")


class _Claude(_Whole):
    """Claude's message: blocks by their index, each with its deltas."""

    def __init__(self) -> None:
        super().__init__()
        self._message: _Wire = {}
        self._blocks: dict[int, _Wire] = {}

    def _take(self, document: _Wire) -> None:
        match document["type"]:
            case "message_start":
                self._message = {**document["message"]}
            case "content_block_start":
                self._blocks[document["index"]] = {**document["content_block"]}
            case "content_block_delta":
                _grow(self._blocks[document["index"]], _delta_of_claude(document["delta"]))
            case "message_delta":
                self._message |= document["delta"]
                usage = {name: count for name, count in document.get("usage", {}).items() if count is not None}
                self._message["usage"] = {**self._message.get("usage", {}), **usage}
                others = document.keys() - {"type", "delta", "usage"}
                self._message |= {name: document[name] for name in others if not name.startswith("amazon-bedrock-")}
            case "message_stop":
                self.is_complete = True

    def _make(self) -> dict[str, Any]:
        blocks = []
        for _, block in sorted(self._blocks.items()):
            raw = block.pop("partial_json", None)
            blocks.append(block if raw is None else {**block, "input": _tool_input(raw)})
        return {**self._message, "content": blocks}


def _delta_of_claude(delta: _Wire) -> _Wire:
    """Return the members of a delta under the names that a block has them by."""
    members = {name: value for name, value in delta.items() if name != "type"}
    if delta["type"] == "citations_delta":
        members["citations"] = [members.pop("citation")]
    return members


class _OpenAI(_Whole):
    """A chat completion: choices by their index, each with its message."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: _Wire = {}
        self._choices: dict[int, _Wire] = {}

    def _take(self, document: _Wire) -> None:
        for choice in document.get("choices") or ():
            whole = self._choices.setdefault(choice["index"], {"index": choice["index"], "message": {}})
            _grow(whole["message"], choice.get("delta") or {})
            members = {name: value for name, value in choice.items() if name not in ("index", "delta")}
            whole |= {name: value for name, value in members.items() if value is not None or name not in whole}
        members = {name: value for name, value in document.items() if name not in ("choices", METRICS)}
        self._answer |= {name: value for name, value in members.items() if value is not None}
        if "usage" not in self._answer and METRICS in document:
            self._answer["usage"] = _usage_of_metrics(document[METRICS])
        reasons = [choice.get("finish_reason") for choice in self._choices.values()]
        self.is_complete = bool(reasons) and None not in reasons

    def _make(self) -> dict[str, Any]:
        choices = [choice for _, choice in sorted(self._choices.items())]
        for choice in choices:
            message = choice["message"]
            for call in message.get("tool_calls") or ():
                call.pop("index", None)
                message["content"] = message.get("content") or None  # as whole answers have it, and not as ""
        return {**self._answer, "object": "chat.completion", "choices": choices}


def _usage_of_metrics(metrics: _Wire) -> _Wire:
    """Return Bedrock's own counts as OpenAI's."""
    into, out = metrics["inputTokenCount"], metrics["outputTokenCount"]
    return {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}


class _Llama(_Whole):
    """Llama's answer: one text, with counts."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: _Wire = {"generation": ""}

    def _take(self, document: _Wire) -> None:
        self._answer["generation"] += document.get("generation") or ""
        for name, value in document.items():
            if name not in ("generation", METRICS) and (value is not None or name not in self._answer):
                self._answer[name] = value
        self.is_complete = self._answer.get("stop_reason") is not None

    def _make(self) -> dict[str, Any]:
        return self._answer


class _Converse(_Whole):
    """Converse's answer: blocks by their index. Only tool calls, tool results and images have a start."""

    def __init__(self) -> None:
        super().__init__()
        self._role = "assistant"
        self._blocks: dict[int, _Wire] = {}
        self._members: _Wire = {}

    def _take(self, document: UnknownEvent) -> None:
        members = document.payload
        match document.name:
            case "messageStart":
                self._role = members["role"]
            case "contentBlockStart":
                self._blocks[members["contentBlockIndex"]] = {**members["start"]}
            case "contentBlockDelta":
                _grow(self._blocks.setdefault(members["contentBlockIndex"], {}), _delta_of_converse(members["delta"]))
            case "messageStop":
                self._members |= members
                self.is_complete = True
            case "metadata":
                self._members |= members

    def _make(self) -> dict[str, Any]:
        blocks = [_block_of_converse(block) for _, block in sorted(self._blocks.items())]
        return {"output": {"message": {"role": self._role, "content": blocks}}, **self._members}


def _delta_of_converse(delta: _Wire) -> _Wire:
    """Return a delta in a form whose members can be joined: a citation becomes a list."""
    if "citation" not in delta:
        return delta
    members = {**delta}
    return {"citations": [members.pop("citation")], **members}


def _block_of_converse(block: _Wire) -> _Wire:
    """Return a block as Converse's whole answers have it."""
    if "citations" in block:
        content = [{"text": block["text"]}] if "text" in block else []
        return {"citationsContent": {"content": content, "citations": block["citations"]}}
    if "toolUse" in block:
        call = block["toolUse"]
        return {**block, "toolUse": {**call, "input": _tool_input(call.get("input", ""))}}
    if "toolResult" in block and isinstance(block["toolResult"], list):
        return {"toolResult": {"content": block["toolResult"]}}
    reasoning = block.get("reasoningContent")
    if isinstance(reasoning, dict) and "redactedContent" not in reasoning:
        return {**block, "reasoningContent": {"reasoningText": reasoning}}
    return block


def _tool_input(raw: str) -> Any:
    """Return the input of a tool call: its JSON, or the text itself if it was cut off."""
    try:
        return msgspec.json.decode(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        return raw


_NAMES = frozenset({"role", "id", "type", "name", "index", "toolUseId", "format", "status"})


def _grow(whole: _Wire, delta: _Wire) -> None:
    """Add the members of a delta: texts are joined, lists by their `index` or one behind the other."""
    for name, value in delta.items():
        known = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif isinstance(value, str) and isinstance(known, str) and name not in _NAMES:
            whole[name] = known + value
        elif isinstance(value, dict) and isinstance(known, dict):
            _grow(known, value)
        elif isinstance(value, list) and isinstance(known, dict):
            known.setdefault("content", []).extend(value)  # the items of a tool result
        elif isinstance(value, list):
            whole[name] = _grown_list(known if isinstance(known, list) else [], value)
        else:
            whole[name] = {**value} if isinstance(value, dict) else value


def _grown_list(items: list[Any], more: list[Any]) -> list[Any]:
    for item in more:
        index = item.get("index") if isinstance(item, dict) else None
        known = next((one for one in items if index is not None and one.get("index") == index), None)
        if known is None:
            item = {**item} if isinstance(item, dict) else item
            items.append(item)
        else:
            _grow(known, item)
    return items


_KINDS: dict[str, type[_Claude | _OpenAI | _Llama | _Converse]] = {
    "anthropic": _Claude,
    "converse": _Converse,
    "llama": _Llama,
    "openai": _OpenAI,
}
