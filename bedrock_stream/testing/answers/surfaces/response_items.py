"""The output of a response: its items, and the events that build them up from Converse's deltas."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from ...steps import Step, ToolUse

__all__ = ("Output",)

_PADDING = "abcdefghijklmnop"  # hides the lengths of deltas


class Output:
    """The items of one response; each block of Converse is one."""

    def __init__(self, identity: str, steps: Sequence[Step], *, is_open: bool, is_encrypted: bool, pads: bool) -> None:
        self.items: list[dict[str, Any]] = []
        """The items that are whole."""
        self._identity = identity
        # Text in front of calls is a commentary. Models whose reasoning is open have no phases.
        calls = any(isinstance(step, ToolUse) for step in steps)
        self._phase = {} if is_open else {"phase": "commentary" if calls else "final_answer"}
        self._is_open, self._is_encrypted, self._pads = is_open, is_encrypted, pads
        self._item: dict[str, Any] | None = None  # the item that is being built
        self._text = ""
        self._annotations: list[dict[str, Any]] = []
        self._deltas = 0

    def begin_call(self, call: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the events that begin a call of a function."""
        yield self._begin(
            "fc", type="function_call", call_id=call["toolUseId"], name=call["name"], arguments="", status="in_progress"
        )

    def delta(self, delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the events of a delta."""
        match delta:
            case {"text": text}:
                yield from self._begin_message()
                yield self._delta("output_text", text, content_index=0, logprobs=[])
            case {"citation": members}:
                yield from self._begin_message()
                yield self._annotate(members)
            case {"toolUse": {"input": fragment}}:
                yield self._delta("function_call_arguments", fragment)
            case {"reasoningContent": reasoning}:
                yield from self._reason(reasoning)

    def end(self) -> Iterator[dict[str, Any]]:
        """Yield the events that end the open item, if there is one."""
        if self._item is None:  # a block without any delta
            return
        match self._item["type"]:
            case "message":
                yield from self._end_message()
            case "function_call":
                yield self._at("function_call_arguments.done", arguments=self._text)
                self._item |= {"arguments": self._text, "status": "completed"}
            case _:
                yield from self._end_reasoning()
        yield {"type": "response.output_item.done", "output_index": len(self.items), "item": self._item}
        self.items.append(self._item)
        self._item, self._text, self._annotations = None, "", []

    # --------------------------------------------------------------------------------------------------------- messages

    def _begin_message(self) -> Iterator[dict[str, Any]]:
        if self._item is None:
            yield self._begin("msg", type="message", role="assistant", content=[], status="in_progress", **self._phase)
            yield self._at("content_part.added", content_index=0, part=self._part())

    def _end_message(self) -> Iterator[dict[str, Any]]:
        assert self._item is not None  # noqa: S101 - its callers have checked it
        yield self._at("output_text.done", content_index=0, text=self._text, logprobs=[])
        yield self._at("content_part.done", content_index=0, part=self._part())
        self._item |= {"content": [self._part()], "status": "completed"}

    def _part(self) -> dict[str, Any]:
        return {"type": "output_text", "text": self._text, "annotations": self._annotations, "logprobs": []}

    def _annotate(self, members: dict[str, Any]) -> dict[str, Any]:
        """Convert a citation of Converse."""
        web = (members.get("location") or {}).get("web")
        number = len(self._annotations)
        if web is None:
            annotation = {
                "type": "file_citation", "file_id": "file_0", "filename": members.get("title"), "index": len(self._text)
            }  # fmt: skip
        else:
            annotation = {
                "type": "url_citation", "url": web.get("url"), "title": members.get("title"), "start_index": 0,
                "end_index": len(self._text),
            }  # fmt: skip
        self._annotations = [*self._annotations, annotation]
        return self._at("output_text.annotation.added", content_index=0, annotation_index=number, annotation=annotation)

    # -------------------------------------------------------------------------------------------------------- reasoning

    def _reason(self, reasoning: dict[str, Any]) -> Iterator[dict[str, Any]]:
        sealed = self._sealed(reasoning)
        if self._item is None:
            # Encrypted reasoning without a summary comes whole.
            state = {"status": "in_progress", "content": []} if self._is_open else {}
            yield self._begin("rs", type="reasoning", summary=[], **state, **sealed)
            if not self._is_open and "text" in reasoning:
                yield self._at("reasoning_summary_part.added", summary_index=0, part=_summary(""))
        else:
            self._item |= sealed
        if "text" in reasoning and self._is_open:
            yield self._delta("reasoning_text", reasoning["text"], content_index=0)
        elif "text" in reasoning:
            yield self._delta("reasoning_summary_text", reasoning["text"], summary_index=0)

    def _sealed(self, reasoning: dict[str, Any]) -> dict[str, Any]:
        if self._is_open or not self._is_encrypted:
            return {}
        if "redactedContent" in reasoning:
            data = b64decode(reasoning["redactedContent"])
            # What is no text stays base64, as everywhere.
            return {"encrypted_content": data.decode() if data.isascii() else reasoning["redactedContent"]}
        return {"encrypted_content": reasoning["signature"]} if "signature" in reasoning else {}

    def _end_reasoning(self) -> Iterator[dict[str, Any]]:
        assert self._item is not None  # noqa: S101 - its callers have checked it
        if self._is_open:
            yield self._at("reasoning_text.done", content_index=0, text=self._text)
            self._item |= {"content": [{"type": "reasoning_text", "text": self._text}], "status": "completed"}
        elif self._text:
            yield self._at("reasoning_summary_text.done", summary_index=0, text=self._text)
            yield self._at("reasoning_summary_part.done", summary_index=0, part=_summary(self._text))
            self._item["summary"] = [_summary(self._text)]

    # ----------------------------------------------------------------------------------------------------------- events

    def _begin(self, prefix: str, **members: Any) -> dict[str, Any]:
        number = len(self.items)
        digest = sha256(f"{self._identity}/{number}".encode()).hexdigest()[:32]
        self._item = {"id": f"{prefix}_{digest}", **members}
        return {"type": "response.output_item.added", "output_index": number, "item": dict(self._item)}

    def _at(self, kind: str, **members: Any) -> dict[str, Any]:
        assert self._item is not None  # noqa: S101 - an event of an item comes behind its beginning
        return {
            "type": f"response.{kind}", "item_id": self._item["id"], "output_index": len(self.items), **members,
        }  # fmt: skip

    def _delta(self, kind: str, text: str, **members: Any) -> dict[str, Any]:
        self._text += text
        self._deltas += 1
        padding = {"obfuscation": _PADDING[: self._deltas * 7 % len(_PADDING)]} if self._pads else {}
        return self._at(f"{kind}.delta", delta=text, **members, **padding)


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}
