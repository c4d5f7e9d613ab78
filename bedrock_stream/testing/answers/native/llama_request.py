"""Llama's prompt on Bedrock: what is refused, and the turns that its template holds.

Llama 2, 3 and 4 mark turns each in its own way. A prompt without marks is one turn of the user's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ....types.checks import is_integer, is_number
from ...service.families import maker_of
from ...service.refusal import Refusal, extraneous, invalid

__all__ = ("read",)

_KEYS = frozenset({"max_gen_len", "prompt", "temperature", "top_p", "amazon-bedrock-guardrailConfig"})
_SIGHTED = ("llama3-2-11b", "llama3-2-90b", "llama4")
_MOST_TOKENS = {"llama4": 8192}
_MOST = 2048  # of Llama 2 and 3
# Llama 3 and 4: role, then text up to the end of the turn or of the prompt.
_TURN = re.compile(
    r"<\|(?:start_header_id|header_start)\|>(.*?)<\|(?:end_header_id|header_end)\|>(.*?)"
    r"(?=<\|(?:eot_id|eot|eom_id|eom|start_header_id|header_start)\|>|\Z)",
    re.DOTALL,
)
# Llama 2: the instruction, then the answer to it.
_INSTRUCTION = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|\Z)", re.DOTALL)
_SYSTEM = re.compile(r"<<SYS>>(.*?)<</SYS>>", re.DOTALL)


def read(body: dict[str, Any], model: str) -> dict[str, Any]:
    """The Converse body of the same conversation. Raises `Refusal` where Llama would not take it."""
    name = maker_of(model)[1]
    for key in body:
        if key not in _KEYS and not (key == "images" and (not name or name.startswith(_SIGHTED))):
            raise extraneous(key)
    if "prompt" not in body:
        raise _misread("#: required key [prompt] not found")
    prompt: str = body["prompt"]
    if not prompt:
        raise _misread("#/prompt: expected minLength: 1, actual: 0")
    most = next((most for start, most in _MOST_TOKENS.items() if name.startswith(start)), _MOST)
    limit: Any = body.get("max_gen_len", 512)
    _check_range("max_gen_len", limit, 1, most)
    for key in ("temperature", "top_p"):
        _check_range(key, body.get(key, 0), 0, 1)
    turns = list(_turns(prompt)) or [("user", prompt)]
    return {
        "system": [{"text": said} for role, said in turns if role == "system"],
        "messages": [
            {"role": "assistant" if role == "assistant" else "user", "content": [{"text": said}]}
            for role, said in turns
            if role != "system"
        ],
        "inferenceConfig": {"maxTokens": limit},
    }


def _turns(prompt: str) -> Iterator[tuple[str, str]]:
    """Roles and texts; an empty turn, as the answer that is asked for, is none."""
    turns: list[tuple[str, str]] = _TURN.findall(prompt)
    for instruction, answer in _INSTRUCTION.findall(prompt):
        turns += [("system", said) for said in _SYSTEM.findall(instruction)]
        turns += [("user", _SYSTEM.sub("", instruction)), ("assistant", answer)]
    return ((role.strip(), said.strip()) for role, said in turns if said.strip())


def _check_range(key: str, value: Any, least: float, most: float) -> None:
    if not (is_integer(value) if key == "max_gen_len" else is_number(value)):
        raise _misread(f"#/{key}: expected type: Number, found: {type(value).__name__}")
    if value < least:
        raise _misread(f"#/{key}: {value} is not greater or equal to {least}")
    if value > most:
        raise _misread(f"#/{key}: {value} is not less or equal to {most}")


def _misread(what: str) -> Refusal:
    return invalid(f"Malformed input request: {what}, please reformat your input and try again.")
