"""CountTokens: the input tokens of a conversation, the same number that its answer would report.

Only Claude, and only by the model's own id, since the service refuses inference profiles here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from ..service.families import is_claude, is_profile
from ..service.refusal import extraneous, invalid
from ..service.validation import check_converse, parse_body
from ..steps import Step
from .facts import Facts, last_metadata
from .native import read_native
from .rendering import EventComposer, Form

__all__ = ("COUNT", "read_count")

_CONVERSE = frozenset({"additionalModelRequestFields", "messages", "system", "toolConfig"})


def read_count(body: dict[str, Any], model: str) -> dict[str, Any]:
    """The Converse body of the conversation to be counted. Raises `Refusal`."""
    if not is_claude(model) or is_profile(model):
        raise invalid("The provided model doesn't support counting tokens.")
    asked = body.get("input", {})
    match [*asked]:
        case ["converse"]:
            converse: dict[str, Any] = asked["converse"]
            for name in converse:
                if name not in _CONVERSE:
                    raise extraneous(name, "#/input/converse")
            check_converse(converse, model)
            return converse
        case ["invokeModel"]:
            return read_native(parse_body(b64decode(asked["invokeModel"]["body"], validate=True)), model)[0]
    raise invalid("The input must set exactly one of its members: converse, invokeModel.")


def _whole(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    usage = facts.metadata(steps, last_metadata(steps))["usage"]
    return {"inputTokens": usage.get("inputTokens", 0)}


COUNT = Form(EventComposer, _whole)
"""A script may say the number: `metadata({"inputTokens": 7})`. What else it says is not heard."""
