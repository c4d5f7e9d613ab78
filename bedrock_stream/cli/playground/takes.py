"""What a model takes of the page's options, asked from the capability table, in the words that the model is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from ...client.client import Client
from ...request.models import Model, describe
from ...request.reasoning import reasoning_fields

__all__ = ("Choice", "Takes", "takes_of")


class Choice(msgspec.Struct, frozen=True):
    """A value of an option with its label."""

    value: str
    label: str


class Takes(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the page that a model takes."""

    model: str
    """The name of the generation."""
    native: bool
    system: bool
    temperature: bool
    stop_sequences: Literal["yes", "native", "no"]
    """`native`: not on Converse."""
    tools: bool
    schema: bool
    caching: bool
    reasoning: tuple[Choice, ...]
    """Empty if the model takes no field about it."""
    reasoning_field: str
    """The path of the field that carries the choice."""
    max_output: int | None


def takes_of(client: Client, name: str) -> Takes:
    """Return what a model takes. Raises `ConfigurationError` for an id that no model can have."""
    facts = client.facts(name)
    stops: Literal["yes", "native"] = "yes" if facts.converse_stop_sequences else "native"
    choices, field = _reasoning(describe(name, facts))
    return Takes(
        model=facts.name,
        native=facts.native is not None,
        system=facts.system,
        temperature=facts.temperature == "any",
        stop_sequences=stops if facts.stop_sequences else "no",
        tools=facts.tools and facts.stream_with_tools,
        schema=facts.native_schema or facts.tools,
        caching=facts.cache is True,
        reasoning=choices,
        reasoning_field=field,
        max_output=facts.max_output,
    )


def _reasoning(model: Model) -> tuple[tuple[Choice, ...], str]:
    """Return the choices, one for each value that the model is sent, and the field that carries it."""
    facts = model.facts
    if facts.thinking in ("unknown", "none"):
        return (), ""
    field, words = "", {}
    for word in facts.efforts:
        field, value = list(_leaves(reasoning_fields(model, word)))[-1]
        words[value] = value if value in facts.efforts else word
    choices = [Choice("", "Model default" if facts.thinking_default else "Off")]
    if facts.thinking_default and facts.thinking_off != "never":
        choices.append(Choice("none", "Off"))
    choices += [Choice(word, _label(word, value)) for value, word in words.items()]
    return tuple(choices), field


def _label(word: str, value: Any) -> str:
    return f"{value:,} tokens ({word})" if isinstance(value, int) else str(value)


def _leaves(fields: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each field, without those that only switch reasoning on."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        elif name not in ("type", "display"):
            yield f"{path}{name}", value
