"""Renders the capability table as `docs/guides/families.md`.

python -m bedrock_stream.request.models.families > docs/guides/families.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...types.model_facts import ModelFacts
from .table import ROWS, Row

__all__ = ("COLUMNS", "is_served", "render")

_HEAD = """\
# What each model family takes

This page is generated from the library's table: `python -m bedrock_stream.request.models.families >
docs/guides/families.md`. It states what is known to be refused or needed; what a page or a live answer of the service
does not settle is not refused. `unsupported="send"` lets the service decide about everything, `unsupported="drop"`
leaves refused options out.
Ids are shown without geo prefix (`us.`, `global.`, ...) and as their common beginning. A row that begins with "a newer"
or "another" stands for models that the table does not know.

- *formats*: the model's own by InvokeModel, and Converse. bedrock-mantle serves plain ids, and Converse then profiles.
- *reasoning*: the values of `reasoning=`, then how it is switched off with `"none"`.
- *sampling*: what is refused of temperature, top_p, top_k and stop sequences.
- *tools*: the forms of `tool_choice` that are taken, beside "none".
- *schema*: `native`, if structured output is constrained by the schema; else a tool returns it.
- *caching*: the smallest prefix in tokens, and whether it may last an hour.
- *input*: what else than text a message may contain. *output*: the limit of `max_tokens`.
"""

_MAKERS = {
    "ai21": "AI21",
    "amazon": "Amazon",
    "anthropic": "Anthropic",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "google": "Google",
    "meta": "Meta",
    "minimax": "MiniMax",
    "mistral": "Mistral",
    "moonshotai": "Moonshot",
    "nvidia": "NVIDIA",
    "openai": "OpenAI",
    "qwen": "Qwen",
    "twelvelabs": "TwelveLabs",
    "writer": "Writer",
    "xai": "xAI",
    "zai": "Z.ai",
}


def render() -> str:
    """Return the page in Markdown: a table for each maker."""
    parts = [_HEAD]
    for vendor, rows in _by_maker().items():
        served = [row for row in rows if is_served(row.facts)]
        parts.append(f"## {_MAKERS[vendor]}\n")
        if served:
            lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
            lines += [f"| {' | '.join(column(row) for column in COLUMNS.values())} |" for row in served]
            parts.append("\n".join(lines) + "\n")
        lines = [
            f"Each model of {row.facts.name} ({_ids(row)}) {row.facts.refused}."
            for row in rows
            if not is_served(row.facts)
        ]
        parts += [f"{line}\n" for line in lines]
    return "\n".join(parts)


def _by_maker() -> dict[str, list[Row]]:
    makers: dict[str, list[Row]] = {}
    for row in ROWS:
        makers.setdefault(row.ids[0].partition(".")[0], []).append(row)
    return {vendor: makers[vendor] for vendor in sorted(makers, key=lambda name: _MAKERS[name].lower())}


def _ids(row: Row) -> str:
    return ", ".join(f"`{start}`" for start in row.ids)


def is_served(facts: ModelFacts) -> bool:
    """Return whether a conversation reaches the models of a row."""
    return facts.refused is None or facts.mantle is not None


_MANTLE = {"messages": "Messages on mantle", "chat": "Chat on mantle", "responses": "Responses on mantle"}


def _route(facts: ModelFacts) -> str:
    routes = {"native": facts.native, "Converse": True} if facts.refused is None else {}
    names = [name for name, is_there in routes.items() if is_there]
    return ", ".join([*names, _MANTLE[facts.mantle]] if facts.mantle else names)


def _reasoning(facts: ModelFacts) -> str:
    if facts.thinking == "none":
        return "always, not controllable" if facts.thinking_default else "no"
    if facts.thinking == "unknown":
        return "unknown"
    values = ", ".join(facts.efforts)
    if facts.takes_budget:
        values += " or a budget"
    default = "; on by default" if facts.thinking_default else ""
    return f"{values}{default}; off: {_OFF[facts.thinking_off]}"


_OFF = {
    "omit": "leave out",
    "disabled": "`disabled`",
    "between_tools": "`between_tools`",
    "none": "`none`",
    "never": "never",
}


def _sampling(facts: ModelFacts) -> str:
    refused = {
        "temperature": facts.temperature == "none",
        "temperature but 1": facts.temperature == "one",
        "top_p": not facts.top_p,
        "top_k": facts.top_k is None,
        "temperature with top_p": not facts.temperature_with_top_p and facts.top_p,
        "stop sequences": not facts.stop_sequences,
        "stop sequences on Converse": facts.stop_sequences and not facts.converse_stop_sequences,
    }
    return _joined(f"no {name}" for name, is_refused in refused.items() if is_refused)


def _tools(facts: ModelFacts) -> str:
    if not facts.tools:
        return "no"
    choices = ", ".join(facts.tool_choices)
    if facts.thinking in ("none", "unknown") or facts.tool_choices == ("auto",):
        return choices
    if not facts.forced_with_thinking:
        return f"{choices}; with reasoning auto"
    return f"{choices}; with a budget auto" if facts.takes_budget and not facts.forced_with_budget else choices


def _schema(facts: ModelFacts) -> str:
    return "native" if facts.native_schema else "by a tool" if facts.tools else "no"


def _caching(facts: ModelFacts) -> str:
    if not facts.cache:
        return "no" if facts.cache is False else "unknown"
    least = f"from {facts.cache_min_tokens}" if facts.cache_min_tokens else "yes"
    return f"{least}, 1 h" if facts.cache_one_hour else least


def _input(facts: ModelFacts) -> str:
    kinds = {"images": facts.images, "documents": facts.documents, "video": facts.video}
    return _joined(kind for kind, is_taken in kinds.items() if is_taken)


def _output(facts: ModelFacts) -> str:
    return "unknown" if facts.max_output is None else str(facts.max_output)


def _notes(facts: ModelFacts) -> str:
    refused = {
        "no system prompt": not facts.system,
        "no prefill": not facts.prefill,
        "starts with the user": not facts.leading_assistant,
        "tool results alone in their turn": facts.results_alone and facts.tools,
        "no `status` of tool results": not facts.tool_status,
        f"at least {facts.min_max_tokens} max_tokens": facts.min_max_tokens > 1,
        "citations": facts.citations,
    }
    return _joined(note for note, holds in refused.items() if holds)


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words) or "-"


def _of(fact: Callable[[ModelFacts], str]) -> Callable[[Row], str]:
    return lambda row: fact(row.facts)


COLUMNS: dict[str, Callable[[Row], str]] = {
    "generation": _of(lambda facts: facts.name),
    "ids": _ids,
    "formats": _of(_route),
    "reasoning": _of(_reasoning),
    "sampling": _of(_sampling),
    "tools": _of(_tools),
    "schema": _of(_schema),
    "caching": _of(_caching),
    "input": _of(_input),
    "output": _of(_output),
    "notes": _of(_notes),
}
"""The columns of the table: what each shows of a row."""

if __name__ == "__main__":
    print(render(), end="")
