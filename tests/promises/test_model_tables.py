"""The library's table of models and the emulator's own say the same, but for listed differences with a source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bedrock_stream.request.models.table import Row
from bedrock_stream.testing.service.model_rules import Rules, rules_of
from bedrock_stream.types.model_facts import ModelFacts
from tests.support.table_differences import DIFFERENCES, ONE_ID_PER_ROW

# What stands in `fields` of the emulator's rules for a tool choice.
_CHOICE = "toolConfig.toolChoice."
_MEDIA = ("image", "document", "video")
_KNOWN = {model: row for model, row in ONE_ID_PER_ROW.items() if row.known}


def _claude(facts: ModelFacts) -> bool:
    return facts.family == "claude"


def _library_thinking(facts: ModelFacts) -> Any:
    if not _claude(facts):
        return None
    kinds = {"budget": {"enabled"}, "adaptive": {"adaptive"}}.get(facts.thinking, set())
    return sorted(kinds | ({"enabled"} if facts.takes_budget else set()))


def _emulator_thinking(rules: Rules) -> Any:
    return None if rules.thinking is None else sorted(rules.thinking & {"enabled", "adaptive"})


def _library_off(facts: ModelFacts) -> Any:
    """Return how Claude's thinking is switched off: with a type of its own, or never; None if by leaving it out."""
    if not _claude(facts) or facts.thinking_off == "omit":
        return None
    return facts.thinking_off


def _emulator_off(rules: Rules) -> Any:
    kinds = (rules.thinking or frozenset()) & {"disabled", "between_tools"}
    return "never" if not kinds else next(iter(kinds)) if len(kinds) == 1 else sorted(kinds)


def _library_efforts(facts: ModelFacts) -> Any:
    if facts.thinking not in ("adaptive", "effort"):
        return None  # the words stand for budgets, or nothing is known
    words = {facts.effort_words.get(word, word) for word in facts.efforts}
    return sorted(words | ({"none"} if facts.thinking_off == "none" else set()))


def _emulator_efforts(rules: Rules) -> Any:
    words = rules.effort.words if rules.effort else rules.claude_efforts
    return None if words is None else sorted(words)


def _known_replay(replay: str) -> Any:
    # `any` refuses nothing, as for models of which nothing is known; the emulator has no rule for `redacted`. A
    # request does not tell who wrote its reasoning.
    return None if replay in ("any", "redacted") else {"own": "unsigned"}.get(replay, replay)


def _choices(rules: Rules) -> Any:
    if not rules.tools:
        return []
    if not rules.forced_tools:
        return ["auto"]
    return ["auto", *(form for form in ("any", "tool") if f"{_CHOICE}{form}" not in rules.fields)]


def _taken(*kinds: str) -> Callable[[Rules], Any]:
    return lambda rules: not any(kind in rules.content for kind in kinds)


# The name of a fact: what the library says, what the emulator says. None: that side does not know.
FACTS: dict[str, tuple[Callable[[ModelFacts], Any], Callable[[Rules], Any]]] = {
    "thinking": (_library_thinking, _emulator_thinking),
    "thinking_off": (_library_off, _emulator_off),
    "efforts": (_library_efforts, _emulator_efforts),
    "effort_path": (
        lambda facts: facts.reasoning_path if facts.thinking == "effort" else None,
        lambda rules: rules.effort.path if rules.effort else None,
    ),
    "excluded_at_high": (lambda facts: bool(facts.excluded_at_high), lambda rules: rules.high_alone),
    "temperature": (
        lambda facts: facts.temperature,
        lambda rules: "none" if "temperature" in rules.fields else "one" if rules.deprecated_sampling else "any",
    ),
    "top_p": (lambda facts: facts.top_p, lambda rules: "topP" not in rules.fields and not rules.deprecated_sampling),
    "temperature_with_top_p": (
        # Without a free temperature or without top_p the question does not arise.
        lambda facts: facts.temperature_with_top_p if facts.top_p else None,
        lambda rules: rules.both_samplings,
    ),
    "top_k": (
        # A library without a field for it does not say that the model refuses one.
        lambda facts: True if facts.top_k == ("top_k",) else None,
        lambda rules: (
            "top_k" not in rules.additional
            and "top_k" not in rules.unknown_parameters
            and not rules.deprecated_sampling
        ),
    ),
    "stop_sequences": (
        lambda facts: facts.stop_sequences and facts.converse_stop_sequences,
        lambda rules: "stopSequences" not in rules.fields,
    ),
    "system": (lambda facts: facts.system, lambda rules: rules.system),
    "tools": (lambda facts: facts.tools, lambda rules: rules.tools),
    "tool_choices": (lambda facts: list(facts.tool_choices), _choices),
    "tool_status": (lambda facts: facts.tool_status, lambda rules: "status" not in rules.fields),
    "tool_id": (
        lambda facts: facts.tool_id if facts.tools else None,
        lambda rules: {None: "any", "mistral": "nine"}.get(rules.tool_id, rules.tool_id),
    ),
    "results_alone": (lambda facts: facts.results_alone if facts.tools else None, lambda rules: rules.results_alone),
    "prefill": (lambda facts: facts.prefill, lambda rules: rules.prefill in ("yes", "unless reasoning")),
    "prefill_with_reasoning": (
        lambda facts: facts.prefill_with_reasoning if facts.prefill else None,
        lambda rules: rules.prefill == "yes",
    ),
    "replay": (lambda facts: _known_replay(facts.replay), lambda rules: _known_replay(rules.replay)),
    "min_max_tokens": (lambda facts: facts.min_max_tokens, lambda rules: rules.min_tokens),
    "max_output": (lambda facts: facts.max_output, lambda rules: rules.max_tokens),
    "native_schema": (lambda facts: facts.native_schema, lambda rules: rules.schema != "no"),
    "strict_tools": (lambda facts: facts.strict_tools, lambda rules: rules.strict),
    "cache": (lambda facts: facts.cache, lambda rules: rules.cache == "yes"),
    "cache_ttl": (lambda facts: facts.cache_ttl if facts.cache else None, lambda rules: rules.cache_ttl),
    "cache_tools": (lambda facts: facts.cache_tools if facts.cache else None, lambda rules: rules.cache_with_tools),
    "cache_beside_tools": (
        lambda facts: facts.cache_beside_tools if facts.cache else None,
        lambda rules: rules.cache_with_tools,
    ),
    "images": (lambda facts: facts.images, _taken("image")),
    "documents": (lambda facts: facts.documents, _taken("document")),
    "video": (lambda facts: facts.video, _taken("video")),
    "citations": (lambda facts: facts.citations, lambda rules: rules.citations),
    "s3_images": (lambda facts: facts.s3_images if facts.images else None, lambda rules: "s3Uri" not in rules.fields),
    "documents_in_turns": (
        lambda facts: facts.documents_in_turns,
        lambda rules: "document" not in rules.turn_content,
    ),
    "refused_in_results": (
        lambda facts: [kind for kind in _MEDIA if kind in facts.refused_in_results and _is_taken(facts, kind)],
        lambda rules: [kind for kind in _MEDIA if kind in rules.result_content - rules.content],
    ),
    "count_tokens": (lambda facts: facts.count_tokens, lambda rules: rules.count_tokens),
}


def _is_taken(facts: ModelFacts, kind: str) -> bool:
    return {"image": facts.images, "document": facts.documents, "video": facts.video}[kind]


def differences(model: str, row: Row) -> dict[str, tuple[Any, Any]]:
    """Return the facts that the two tables disagree about: what the library says, what the emulator says."""
    rules = rules_of(model)
    pairs = {name: (library(row.facts), emulator(rules)) for name, (library, emulator) in FACTS.items()}
    return {
        name: (ours, theirs) for name, (ours, theirs) in pairs.items() if None not in (ours, theirs) and ours != theirs
    }


@pytest.mark.parametrize("model", _KNOWN)
def test_the_tables_differ_only_where_a_source_is_given(model: str) -> None:
    """A difference that is listed and no longer exists fails as well."""
    row = _KNOWN[model]
    listed = {fact for fact, items in DIFFERENCES.items() if any(row.facts.name in item.models for item in items)}
    found = differences(model, row)
    assert found.keys() == listed, found


def test_every_listed_difference_has_a_source_and_models_of_the_table() -> None:
    names = {row.facts.name for row in _KNOWN.values()}
    assert DIFFERENCES.keys() <= FACTS.keys()
    for items in DIFFERENCES.values():
        for item in items:
            assert item.source.strip()
            assert item.models
            assert item.models <= names


def test_both_tables_know_every_fact_of_some_model() -> None:
    """A fact that one side never knows would compare nothing."""
    for name, (library, emulator) in FACTS.items():
        pairs = [(library(row.facts), emulator(rules_of(model))) for model, row in _KNOWN.items()]
        assert any(None not in pair for pair in pairs), name
