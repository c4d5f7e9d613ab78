"""The unscripted answer: the steps that follow from a Converse body, the same every time.

No model stands behind it. What is asked for decides the kind of blocks (reasoning, tool calls, citations, JSON, text),
what is said is quoted back, and the limits of the request cut it as they would a model's answer.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from ..script import citation, reasoning, stop, text, tool_call
from ..steps import Content, Reasoning, Step, Stop, Text, ToolUse
from .inputs import make_input

__all__ = ("answer",)

_WORD = re.compile(r"\w{4,}")
_STOP_WORDS = frozenset(
    {"about", "call", "called", "does", "find", "from", "gets", "give", "given", "have", "into", "make", "please"}
    | {"that", "their", "them", "then", "there", "these", "they", "this", "tool", "tools", "using", "want", "what"}
    | {"when", "where", "which", "will", "with", "would", "your"}
)
_LONGEST_QUOTE = 200


def answer(body: dict[str, Any], model: str) -> list[Step]:
    """The steps that answer a valid Converse body."""
    messages = body.get("messages", [])
    last: list[dict[str, Any]] = messages[-1]["content"] if messages else []
    prompt = " ".join(block["text"] for block in last if "text" in block)
    content: list[Content] = []
    if _reasons(body):
        thought = f'The user says: "{_quote(prompt)}". A short answer will do.'
        content.append(reasoning([] if _hides_reasoning(body) else thought))
    content += _spoken(body, last, prompt, model)
    return _limited(content, body)


def _spoken(body: dict[str, Any], last: list[dict[str, Any]], prompt: str, model: str) -> list[Content]:
    results = [block["toolResult"] for block in last if "toolResult" in block]
    documents = [block["document"] for block in last if "document" in block]
    cited = [document for document in documents if document.get("citations", {}).get("enabled")]
    tools = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool]
    choice = body.get("toolConfig", {}).get("toolChoice") or {}
    if "none" in choice:  # which only native bodies can say
        tools = []
    if forced := _forced(tools, choice, prompt):
        return [_call(tool, prompt) for tool in forced]
    if results:
        return [text(" ".join(_told(result, body["messages"]) for result in results))]
    if wanted := _wanted(tools, prompt):
        names = " and ".join(tool["name"] for tool in wanted)
        return [text(f"I will use {names} for that."), *(_call(tool, prompt) for tool in wanted)]
    if cited:
        return [step for place, document in enumerate(cited) for step in _cited(place, document)]
    if structured := _structured(body, prompt):
        return [text(structured)]
    return [text(_plain(prompt, model))]


def _plain(prompt: str, model: str) -> str:
    return (
        f'You said: "{_quote(prompt)}". This is the emulator of Amazon Bedrock answering in place of {model}. '
        "It gives the same answer to the same request every time. Nothing left this machine."
    )


def _quote(said: str) -> str:
    return said if len(said) <= _LONGEST_QUOTE else said[:_LONGEST_QUOTE] + "..."


def _reasons(body: dict[str, Any]) -> bool:
    fields = body.get("additionalModelRequestFields", {})
    # One name a family: Claude, Claude 3.7 on Converse and Qwen, Nova 2, gpt-oss.
    for name in ("thinking", "reasoning_config", "reasoningConfig", "reasoning_effort"):
        setting = fields.get(name)
        if isinstance(setting, dict):
            setting = setting.get("type")
        if setting and setting not in ("disabled", "none"):
            return True
    return False


def _hides_reasoning(body: dict[str, Any]) -> bool:
    """Claude may be told to send the signature alone."""
    thinking = body["additionalModelRequestFields"].get("thinking")
    return isinstance(thinking, dict) and thinking.get("display") == "omitted"


def _structured(body: dict[str, Any], prompt: str) -> str:
    """The JSON text that an output schema asks for, or nothing where none does."""
    form = (body.get("outputConfig") or {}).get("textFormat") or {}
    schema = form.get("structure", {}).get("jsonSchema", {}).get("schema")
    return json.dumps(make_input(json.loads(schema), prompt), ensure_ascii=False) if schema else ""


# -------------------------------------------------------------------------------------------------------------- tools


def _call(tool: dict[str, Any], prompt: str) -> ToolUse:
    return tool_call(tool["name"], make_input(tool["inputSchema"]["json"], prompt))


def _forced(tools: list[dict[str, Any]], choice: dict[str, Any], prompt: str) -> list[dict[str, Any]]:
    if "tool" in choice:
        return [tool for tool in tools if tool["name"] == choice["tool"]["name"]]
    return _wanted(tools, prompt) or tools[:1] if "any" in choice else []


def _wanted(tools: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """Every tool that the prompt names; else the one whose words it shares most of."""
    lowered = prompt.lower()
    named = [tool for tool in tools if _is_named(tool["name"].lower(), lowered)]
    if named:
        return named
    said = _significant(lowered)
    shared = [len(said & _significant(f"{tool['name']} {tool.get('description') or ''}")) for tool in tools]
    return [tools[shared.index(max(shared))]] if any(shared) else []


def _is_named(name: str, prompt: str) -> bool:
    spaced = name.replace("_", " ").replace("-", " ")
    return any(re.search(rf"\b{re.escape(form)}\b", prompt) for form in (name, spaced))


def _significant(words: str) -> set[str]:
    return set(_WORD.findall(words.lower().replace("_", " "))) - _STOP_WORDS


def _told(result: dict[str, Any], messages: list[dict[str, Any]]) -> str:
    calls = (block["toolUse"] for message in messages for block in message["content"] if "toolUse" in block)
    name = next((call["name"] for call in calls if call["toolUseId"] == result["toolUseId"]), "the tool")
    said = ", ".join(map(_readable, result["content"])) or "nothing"
    return f"{name} failed: {said}." if result.get("status") == "error" else f"{name} says: {said}."


def _readable(item: dict[str, Any]) -> str:
    if "text" in item:
        return str(item["text"])
    return json.dumps(item["json"], ensure_ascii=False) if "json" in item else f"[{next(iter(item), 'nothing')}]"


# ---------------------------------------------------------------------------------------------------------- citations


def _cited(place: int, document: dict[str, Any]) -> Iterator[Content]:
    name = document.get("name", "document")
    source = document.get("source", {})
    excerpt = _excerpt(document.get("format"), source)
    if excerpt is None:
        where: dict[str, Any] = {"documentPage": {"documentIndex": place, "start": 1, "end": 2}}
        passage = f"the first page of {name}"
    else:
        where = {"documentChar": {"documentIndex": place, "start": 0, "end": len(excerpt)}}
        passage = excerpt
    yield text(f"According to {name}: {passage}")
    yield citation(title=name, sourceContent=[{"text": passage}], location=where)


def _excerpt(format: str | None, source: dict[str, Any]) -> str | None:
    """The first line of a document that is readable, None for the others."""
    whole = None
    if "text" in source:
        whole = source["text"]
    elif "content" in source:
        whole = " ".join(part.get("text", "") for part in source["content"])
    elif format in ("txt", "md", "csv", "html") and "bytes" in source:
        whole = b64decode(source["bytes"]).decode(errors="replace")
    return whole.strip().split("\n")[0][:_LONGEST_QUOTE] if whole else None


# ------------------------------------------------------------------------------------------------------------- limits


def _limited(content: list[Content], body: dict[str, Any]) -> list[Step]:
    """Cut at the first stop sequence, then at the limit of tokens, one a delta."""
    config = body.get("inferenceConfig", {})
    steps, met = _until_sequence(content, config.get("stopSequences", ()))
    limit = config.get("maxTokens")
    if limit is not None and sum(map(_size, steps)) > limit:
        return [*_first(steps, limit), Stop("max_tokens")]
    if met is None:
        return list(steps)
    asked = "/stop_sequence" in body.get("additionalModelResponseFieldPaths", ())
    return [*steps, stop("stop_sequence", fields={"stop_sequence": met} if asked else None)]


def _until_sequence(content: list[Content], sequences: list[str]) -> tuple[list[Content], str | None]:
    kept: list[Content] = []
    for step in content:
        if isinstance(step, Text):
            said = "".join(step.pieces)
            found = [(said.index(sequence), sequence) for sequence in sequences if sequence in said]
            if found:
                place, sequence = min(found)
                return [*kept, *([text(said[:place])] if place else [])], sequence
        kept.append(step)
    return kept, None


def _size(step: Content) -> int:
    match step:
        case Text() | Reasoning():
            return len(step.pieces)
        case ToolUse():
            return len(step.fragments)
    return 0


def _first(steps: list[Content], limit: int) -> Iterator[Content]:
    for step in steps:
        size, room = _size(step), limit
        limit -= size
        match step:
            case _ if size <= room:
                yield step
            case Text():
                yield Text(step.pieces[:room])
            case Reasoning():
                yield Reasoning(step.pieces[:room], None)
            case ToolUse():
                yield ToolUse(step.name, step.fragments[:room])
        if limit <= 0:
            return
