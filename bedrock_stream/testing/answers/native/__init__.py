"""Native formats of InvokeModel: Claude, gpt-oss and Llama.

Each family converts its request to the Converse body of the same conversation, so that answers, counts and caching are
shared by all routes, and converts the answer's Converse events and document to its own format.
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
    """Return the conversation as a Converse body, and the form of its answer. Raises `Refusal`."""
    family = _family(body, model)
    try:
        return _READ[family](body, model), _FORM[family](body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid(f"Malformed input request: {error!r}, please reformat your input and try again.") from error


def _family(body: dict[str, Any], model: str) -> str:
    maker, name = maker_of(model)
    for family, prefix in _NAMES:
        if maker == family and name.startswith(prefix):
            return family
    if not maker and model.startswith("arn:"):
        # ARNs of provisioned models, application profiles and imported models do not name the family; the body does.
        return _CLAUDE if "anthropic_version" in body else _LLAMA if "prompt" in body else _OPENAI
    raise _unsupported(maker)


def _unsupported(maker: str) -> Refusal:
    if not maker:
        return invalid("The provided model identifier is invalid.")
    return invalid(
        "This action doesn't support the model that you provided. Try again with a supported text or chat model."
    )
