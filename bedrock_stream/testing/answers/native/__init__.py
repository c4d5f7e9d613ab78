"""Bodies in the models' own formats, for InvokeModel: three families, each one row of a table.

A family reads its request as the Converse body of the same conversation, so that one logic answers, counts and caches
for all routes; and it writes the answer's Converse events and Converse document in its own words.
"""

from __future__ import annotations

from typing import Any

from ...service.families import maker_of
from ...service.refusal import Refusal, invalid
from ..rendering import Form
from . import claude_answer, claude_request, llama_answer, llama_request, openai_answer, openai_request

__all__ = ("read_native",)

_CLAUDE, _OPENAI, _LLAMA = "anthropic", "openai", "meta"
_READ = {_CLAUDE: claude_request.read, _OPENAI: openai_request.read, _LLAMA: llama_request.read}
_FORM = {_CLAUDE: claude_answer.form, _OPENAI: openai_answer.form, _LLAMA: llama_answer.form}
_NAMES = ((_CLAUDE, "claude"), (_OPENAI, "gpt-oss"), (_LLAMA, "llama"))


def read_native(body: dict[str, Any], model: str) -> tuple[dict[str, Any], Form]:
    """The same conversation as a Converse body, and the form of its answer. Raises `Refusal`."""
    family = _family(body, model)
    try:
        return _READ[family](body, model), _FORM[family](body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid(f"Malformed input request: {error!r}, please reformat your input and try again.") from error


def _family(body: dict[str, Any], model: str) -> str:
    maker, name = maker_of(model)
    for family, start in _NAMES:
        if maker == family and name.startswith(start):
            return family
    if not maker and model.startswith("arn:"):
        # Provisioned models, application profiles and imported models do not tell whose they are, but the body does.
        return _CLAUDE if "anthropic_version" in body else _LLAMA if "prompt" in body else _OPENAI
    raise _unsupported(maker)


def _unsupported(maker: str) -> Refusal:
    if not maker:
        return invalid("The provided model identifier is invalid.")
    return invalid(
        "This action doesn't support the model that you provided. Try again with a supported text or chat model."
    )
