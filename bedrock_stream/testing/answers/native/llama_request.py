"""Requests in Llama's format: validation with Bedrock's error messages, conversion of the prompt to Converse.

The prompt templates of Llama 2, of Llama 3 and of Llama 4 mark turns differently. A prompt without a template is one
user turn.
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
_TEXT_MODELS = ("llama2", "llama3-8b", "llama3-70b", "llama3-1", "llama3-2-1b", "llama3-2-3b", "llama3-3")
_MAX_TOKENS = {"llama4": 8192}
_DEFAULT_MAX_TOKENS = 2048  # Llama 2 and 3
# Llama 3 and 4: the role, then the text up to the end of the turn or of the prompt.
_TURN = re.compile(
    r"<\|(?:start_header_id|header_start)\|>(.*?)<\|(?:end_header_id|header_end)\|>(.*?)"
    r"(?=<\|(?:eot_id|eot|eom_id|eom|start_header_id|header_start)\|>|\Z)",
    re.DOTALL,
)
# Llama 2: the instruction, then its answer.
_INSTRUCTION = re.compile(r"\[INST\](.*?)\[/INST\](.*?)(?=</s>|<s>|\[INST\]|\Z)", re.DOTALL)
_SYSTEM = re.compile(r"<<SYS>>(.*?)<</SYS>>", re.DOTALL)


def read(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Validate a body and return the Converse body of the same conversation. Raises `Refusal`."""
    name = maker_of(model)[1]
    for key in body:
        # An ARN or an unknown name does not tell whether the model takes images, so they are accepted.
        if key not in _KEYS and (key != "images" or name.startswith(_TEXT_MODELS)):
            raise extraneous(key)
    if "prompt" not in body:
        raise _malformed("#: required key [prompt] not found")
    prompt: str = body["prompt"]
    if not prompt:
        raise _malformed("#/prompt: expected minLength: 1, actual: 0")
    most = next((most for prefix, most in _MAX_TOKENS.items() if name.startswith(prefix)), _DEFAULT_MAX_TOKENS)
    limit: Any = body.get("max_gen_len", 512)
    _check_range("max_gen_len", limit, 1, most)
    for key in ("temperature", "top_p"):
        _check_range(key, body.get(key, 0), 0, 1)
    turns = list(_turns(prompt)) or [("user", prompt)]
    return {
        "system": [{"text": text} for role, text in turns if role == "system"],
        "messages": [
            {"role": "assistant" if role == "assistant" else "user", "content": [{"text": text}]}
            for role, text in turns
            if role != "system"
        ],
        "inferenceConfig": {"maxTokens": limit},
    }


def _turns(prompt: str) -> Iterator[tuple[str, str]]:
    """Yield roles and texts. Empty turns are left out: a template ends with the header of the answer to come."""
    turns: list[tuple[str, str]] = _TURN.findall(prompt)
    for instruction, answer in _INSTRUCTION.findall(prompt):
        turns += [("system", text) for text in _SYSTEM.findall(instruction)]
        turns += [("user", _SYSTEM.sub("", instruction)), ("assistant", answer)]
    return ((role.strip(), text.strip()) for role, text in turns if text.strip())


def _check_range(key: str, value: Any, least: float, most: float) -> None:
    if not (is_integer(value) if key == "max_gen_len" else is_number(value)):
        raise _malformed(f"#/{key}: expected type: Number, found: {type(value).__name__}")
    if value < least:
        raise _malformed(f"#/{key}: {value} is not greater or equal to {least}")
    if value > most:
        raise _malformed(f"#/{key}: {value} is not less or equal to {most}")


def _malformed(problem: str) -> Refusal:
    return invalid(f"Malformed input request: {problem}, please reformat your input and try again.")
