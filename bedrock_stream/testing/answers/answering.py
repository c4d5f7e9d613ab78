"""The unscripted answer: steps derived from a Converse body, always the same for the same body.

The request decides the kinds of blocks (reasoning, tool calls, citations, JSON, text). The text quotes the prompt and
the tool results. `maxTokens` and `stopSequences` cut the answer as they would a model's.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from ..script import citation, reasoning, stop, text, tool_call
from ..steps import Content, Reasoning, Step, Stop, Text, ToolUse
from .facts import count_tokens
from .inputs import make_input

__all__ = ("answer",)

_WORD = re.compile(r"\w{4,}")  # shorter words say little about a tool
_STOP_WORDS = frozenset(
    {"about", "call", "called", "does", "find", "from", "gets", "give", "given", "have", "into", "make", "please"}
    | {"that", "their", "them", "then", "there", "these", "they", "this", "tool", "tools", "using", "want", "what"}
    | {"when", "where", "which", "will", "with", "would", "your"}
)
_MAX_QUOTE = 200  # characters


def answer(body: dict[str, Any], model: str) -> list[Step]:
    """Return the steps that answer a valid Converse body."""
    messages = body.get("messages", [])
    last: list[dict[str, Any]] = messages[-1]["content"] if messages else []
    prompt = " ".join(block["text"] for block in last if "text" in block)
    content: list[Content] = []
    if _has_reasoning(body):
        thought = f'The user says: "{_quote(prompt)}". A short answer will do.'
        content.append(reasoning([] if _omits_reasoning_text(body) else thought))
    content += _content(body, last, prompt, model)
    return _apply_limits(content, body)


def _content(body: dict[str, Any], last: list[dict[str, Any]], prompt: str, model: str) -> list[Content]:
    results = [block["toolResult"] for block in last if "toolResult" in block]
    documents = [block["document"] for block in last if "document" in block]
    citable = [document for document in documents if document.get("citations", {}).get("enabled")]
    tools = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool]
    choice = body.get("toolConfig", {}).get("toolChoice") or {}
    if "none" in choice:  # Converse has no such choice, but native bodies do
        tools = []
    if forced := _forced_tools(tools, choice, prompt):
        return [_call(tool, prompt) for tool in forced]
    if results:
        called = _call_names(body["messages"])
        return [text(" ".join(_describe_result(result, called) for result in results))]
    if matching := _matching_tools(tools, prompt):
        names = " and ".join(tool["name"] for tool in matching)
        return [text(f"I will use {names} for that."), *(_call(tool, prompt) for tool in matching)]
    if citable:
        return [step for index, document in enumerate(citable) for step in _cite(index, document)]
    if structured := _structured_output(body, prompt):
        return [text(structured)]
    return [text(_default_text(prompt, model))]


def _default_text(prompt: str, model: str) -> str:
    return (
        f'You said: "{_quote(prompt)}". This is the emulator of Amazon Bedrock answering in place of {model}. '
        "It gives the same answer to the same request every time. Nothing left this machine."
    )


def _quote(prompt: str) -> str:
    return prompt if len(prompt) <= _MAX_QUOTE else prompt[:_MAX_QUOTE] + "..."


def _has_reasoning(body: dict[str, Any]) -> bool:
    fields = body.get("additionalModelRequestFields", {})
    # Each family has its own name: Claude; Claude 3.7 on Converse and Qwen; Nova 2; gpt-oss.
    for name in ("thinking", "reasoning_config", "reasoningConfig", "reasoning_effort"):
        setting = fields.get(name)
        if isinstance(setting, dict):
            setting = setting.get("type")
        if setting and setting not in ("disabled", "none"):
            return True
    return False


def _omits_reasoning_text(body: dict[str, Any]) -> bool:
    # With `display: omitted` Claude sends the signature without the text.
    thinking = body["additionalModelRequestFields"].get("thinking")
    return isinstance(thinking, dict) and thinking.get("display") == "omitted"


def _structured_output(body: dict[str, Any], prompt: str) -> str:
    """Return JSON text that matches the output schema, "" without a schema."""
    form = (body.get("outputConfig") or {}).get("textFormat") or {}
    schema = form.get("structure", {}).get("jsonSchema", {}).get("schema")
    return json.dumps(make_input(json.loads(schema), prompt), ensure_ascii=False) if schema else ""


# -------------------------------------------------------------------------------------------------------------- tools


def _call(tool: dict[str, Any], prompt: str) -> ToolUse:
    return tool_call(tool["name"], make_input(tool["inputSchema"]["json"], prompt))


def _forced_tools(tools: list[dict[str, Any]], choice: dict[str, Any], prompt: str) -> list[dict[str, Any]]:
    if "tool" in choice:
        return [tool for tool in tools if tool["name"] == choice["tool"]["name"]]
    return _matching_tools(tools, prompt) or tools[:1] if "any" in choice else []


def _matching_tools(tools: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """Return every tool that the prompt names, else the one with the most words in common with the prompt."""
    lowered = prompt.lower()
    named = [tool for tool in tools if _is_named(tool["name"].lower(), lowered)]
    if named:
        return named
    words = _keywords(lowered)
    shared = [len(words & _keywords(f"{tool['name']} {tool.get('description') or ''}")) for tool in tools]
    return [tools[shared.index(max(shared))]] if any(shared) else []


def _is_named(name: str, prompt: str) -> bool:
    spaced = name.replace("_", " ").replace("-", " ")
    return any(re.search(rf"\b{re.escape(form)}\b", prompt) for form in (name, spaced))


def _keywords(text: str) -> set[str]:
    return set(_WORD.findall(text.lower().replace("_", " "))) - _STOP_WORDS


def _call_names(messages: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names of the tools that were called, by the ids of the calls."""
    names: dict[str, str] = {}
    for message in messages:
        for block in message["content"]:
            if "toolUse" in block:
                names.setdefault(block["toolUse"]["toolUseId"], block["toolUse"]["name"])
    return names


def _describe_result(result: dict[str, Any], names: dict[str, str]) -> str:
    name = names.get(result["toolUseId"], "the tool")
    output = ", ".join(map(_result_text, result["content"])) or "nothing"
    return f"{name} failed: {output}." if result.get("status") == "error" else f"{name} says: {output}."


def _result_text(item: dict[str, Any]) -> str:
    if "text" in item:
        return str(item["text"])
    return json.dumps(item["json"], ensure_ascii=False) if "json" in item else f"[{next(iter(item), 'nothing')}]"


# ---------------------------------------------------------------------------------------------------------- citations


def _cite(index: int, document: dict[str, Any]) -> Iterator[Content]:
    name = document.get("name", "document")
    source = document.get("source", {})
    excerpt = _excerpt(document.get("format"), source)
    if excerpt is None:
        location: dict[str, Any] = {"documentPage": {"documentIndex": index, "start": 1, "end": 2}}
        passage = f"the first page of {name}"
    else:
        location = {"documentChar": {"documentIndex": index, "start": 0, "end": len(excerpt)}}
        passage = excerpt
    yield text(f"According to {name}: {passage}")
    yield citation(title=name, sourceContent=[{"text": passage}], location=location)


def _excerpt(format: str | None, source: dict[str, Any]) -> str | None:
    """Return the first line of a text document, None for other formats."""
    content = None
    if "text" in source:
        content = source["text"]
    elif "content" in source:
        content = " ".join(part.get("text", "") for part in source["content"])
    elif format in ("txt", "md", "csv", "html") and "bytes" in source:
        content = b64decode(source["bytes"]).decode(errors="replace")
    return content.strip().split("\n")[0][:_MAX_QUOTE] if content else None


# ------------------------------------------------------------------------------------------------------------- limits


def _apply_limits(content: list[Content], body: dict[str, Any]) -> list[Step]:
    """Cut the answer at the first stop sequence, then at `maxTokens` (one token is one delta)."""
    config = body.get("inferenceConfig", {})
    steps, matched = _cut_at_sequence(content, config.get("stopSequences", ()))
    limit = config.get("maxTokens")
    if limit is not None and sum(map(count_tokens, steps)) > limit:
        return [*_first_tokens(steps, limit), Stop("max_tokens")]
    if matched is None:
        return list(steps)
    # Converse reports the matched sequence only if the request lists its path.
    requested = "/stop_sequence" in body.get("additionalModelResponseFieldPaths", ())
    return [*steps, stop("stop_sequence", fields={"stop_sequence": matched} if requested else None)]


def _cut_at_sequence(content: list[Content], sequences: list[str]) -> tuple[list[Content], str | None]:
    """Return the content before the first stop sequence, and that sequence; stop sequences apply to text only."""
    before: list[Content] = []
    for step in content:
        if isinstance(step, Text):
            joined = "".join(step.pieces)
            matches = [(joined.index(sequence), sequence) for sequence in sequences if sequence in joined]
            if matches:
                start, sequence = min(matches)
                return [*before, *([text(joined[:start])] if start else [])], sequence
        before.append(step)
    return before, None


def _first_tokens(steps: list[Content], limit: int) -> Iterator[Content]:
    for step in steps:
        size, remaining = count_tokens(step), limit
        limit -= size
        match step:
            case _ if size <= remaining:
                yield step
            case Text():
                yield Text(step.pieces[:remaining])
            case Reasoning():
                # The signature follows the last piece of text, so reasoning that is cut has none.
                yield Reasoning(step.pieces[:remaining], None)
            case ToolUse():
                yield ToolUse(step.name, step.fragments[:remaining])
        if limit <= 0:
            return
