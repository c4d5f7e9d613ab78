"""CountTokens: the number of input tokens of a conversation, equal to the number that its answer reports.

It supports Claude only, and only foundation model ids: the service refuses inference profiles here.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from ..service.families import is_claude, is_profile
from ..service.model_rules import rules_of
from ..service.refusal import extraneous, invalid
from ..service.validation import check_converse, parse_body
from ..steps import Step
from .facts import Facts, last_metadata
from .native import read_native
from .rendering import EventComposer, Form

__all__ = ("COUNT", "read_count")

# The members of a conversation that CountTokens accepts; settings as `inferenceConfig` are refused.
_CONVERSE = frozenset({"additionalModelRequestFields", "messages", "system", "toolConfig"})


def read_count(body: dict[str, Any], model: str) -> dict[str, Any]:
    """Return the Converse body of the conversation to count. Raises `Refusal`."""
    if not is_claude(model) or is_profile(model) or not rules_of(model).count_tokens:
        raise invalid("The provided model doesn't support counting tokens.")
    source = body.get("input", {})
    match [*source]:
        case ["converse"]:
            converse: dict[str, Any] = source["converse"]
            for name in converse:
                if name not in _CONVERSE:
                    raise extraneous(name, "#/input/converse")
            check_converse(converse, model)
            return converse
        case ["invokeModel"]:
            # The native body is a blob, which JSON carries as base64.
            return read_native(parse_body(b64decode(source["invokeModel"]["body"], validate=True)), model)[0]
    raise invalid("The input must set exactly one of its members: converse, invokeModel.")


def _document(steps: Sequence[Step], facts: Facts) -> dict[str, Any]:
    usage = facts.metadata(steps, last_metadata(steps))["usage"]
    return {"inputTokens": usage.get("inputTokens", 0)}


COUNT = Form(EventComposer, _document)
"""CountTokens. A script can set the number with `metadata({"inputTokens": 7})`; its content is ignored."""
